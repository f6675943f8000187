"""The pages of channels."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import re
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from core.encryption import Unreadable
from notifications.admin.forms import FIELDS_OF_KINDS
from notifications.models import Channel, ChannelKind, Delivery
from notifications.sending.delivery import outbox
from notifications.sending.outbox import DeliveryState
from operations import runner
from operations.models import Operation, State
from tests.controlpanel.conftest import operate_url, text_of, url_of
from tests.hummingbot_api.stub import Reply
from tests.notifications.conftest import polls
from tests.notifications.test_pages import CHANNELS, SLACK, crashed, two_clients, words


def test_without_a_channel_the_list_reports_that_no_one_is_notified(admin_client, channel):
    page = reverse(f"{CHANNELS}_changelist")
    assert "Add a channel to notify everybody" not in words(admin_client.get(page))
    channel.delete()
    assert "Add a channel to notify everybody" in words(admin_client.get(page))


def facts(**changes) -> dict:
    return {"name": "Alerts", "kind": "slack", "slack_secret": SLACK, "active": "on", **changes}


def save(browser, row: Channel | None = None, **changes):
    return browser.post(url_of(row) if row else reverse(f"{CHANNELS}_add"), facts(**changes))


def errors_of(response) -> dict[str, str]:
    return {field: " ".join(errors) for field, errors in response.context["adminform"].form.errors.items()}


def test_a_channel_is_saved_and_its_address_never_shown_again(admin_client, db):
    assert save(admin_client, kinds=["bot_crashed", "server_down"]).status_code == 302
    channel = Channel.objects.get()
    assert (channel.secret, channel.kinds) == (SLACK, ["bot_crashed", "server_down"])
    for page in (url_of(channel), reverse(f"{CHANNELS}_changelist"), url_of(channel, "history")):
        assert "planted" not in text_of(admin_client.get(page))
    assert "Leave this empty to keep the stored value" in words(admin_client.get(url_of(channel)))
    assert save(admin_client, channel, slack_secret="", name="Renamed").status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret, channel.kinds) == ("Renamed", SLACK, [])


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"slack_secret": ""}, "slack_secret", "Enter the webhook address."),
        ({"slack_secret": "http://hooks.example.com"}, "slack_secret", "must begin with https://"),
        (
            {"kind": "webhook", "webhook_secret": "https://169.254.169.254/"},
            "webhook_secret",
            "does not send messages to this address",
        ),
        (
            {"kind": "telegram", "telegram_secret": "planted", "telegram_recipient": "1"},
            "telegram_secret",
            "as provided by BotFather",
        ),
        ({"kind": "telegram", "telegram_secret": "1:planted"}, "telegram_recipient", "Enter the chat ID"),
        ({"kind": "email"}, "email_recipient", "at least one e-mail address"),
        (
            {"kind": "email", "email_recipient": "ops@example.com, nobody"},
            "email_recipient",
            "“nobody” is not an e-mail address",
        ),
        ({"kind": ""}, "kind", "This field is required."),
        ({"kinds": ["made_up"]}, "kinds", "made_up is not one of the available choices"),
    ],
)
def test_a_mistake_is_named_on_its_field_and_no_secret_comes_back(wrong, field, sentence, admin_client, db):
    response = save(admin_client, **wrong)
    assert sentence in errors_of(response)[field]
    assert "planted" not in text_of(response)
    assert not Channel.objects.exists()


def test_a_channel_is_for_a_client_or_a_manager_and_not_for_both(bot, admin_client, admin_user):
    response = save(admin_client, client=bot.client.pk, manager=admin_user.pk)
    assert "Choose a client or an account manager, not both." in text_of(response)


def test_without_a_mail_server_no_email_channel_is_made(admin_client, settings, db):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": False}
    response = save(admin_client, kind="email", email_recipient="ops@example.com")
    assert "must set EMAIL_URL" in errors_of(response)["kind"]


def test_a_stored_secret_is_never_used_for_another_kind(admin_client, db):
    save(admin_client)
    channel = Channel.objects.get()
    response = save(admin_client, channel, kind="discord", slack_secret="")
    assert errors_of(response) == {"discord_secret": "Enter the webhook address."}
    assert save(admin_client, channel, kind="email", email_recipient="ops@example.com").status_code == 302
    channel.refresh_from_db()
    assert (channel.recipient, channel.secret) == ("ops@example.com", "")


def test_what_was_typed_for_another_kind_is_neither_checked_nor_stored(admin_client, db):
    others = {"email_recipient": "nobody", "discord_secret": "http://x", "telegram_secret": "x", "webhook_secret": "x"}
    assert save(admin_client, **others).status_code == 302
    channel = Channel.objects.get()
    assert (channel.recipient, channel.secret) == ("", SLACK)
    telegram = {"kind": "telegram", "telegram_secret": "1:planted", "telegram_recipient": "@desk"}
    assert save(admin_client, channel, **telegram).status_code == 302
    channel.refresh_from_db()
    assert (channel.recipient, channel.secret) == ("@desk", "1:planted")
    assert save(admin_client, channel).status_code == 302
    channel.refresh_from_db()
    assert (channel.recipient, channel.secret) == ("", SLACK)


def test_what_is_stored_is_shown_in_its_kinds_field_alone(admin_client, db):
    channel = Channel.objects.create(name="Desk", kind="email", recipient="desk@example.com")
    fields = admin_client.get(url_of(channel)).context["adminform"].form
    shown = {name: fields[name].value() for name in FIELDS_OF_KINDS}
    assert {name: value for name, value in shown.items() if value} == {"email_recipient": "desk@example.com"}


def test_every_kind_has_fields_of_its_own(admin_client, db):
    assert set(FIELDS_OF_KINDS.values()) == set(ChannelKind.values)
    page = unescape(text_of(admin_client.get(reverse(f"{CHANNELS}_add"))))
    shown_when = re.findall(r"""x-show="(kind == '\w+')">""", page)
    assert shown_when == [f"kind == '{kind}'" for kind in FIELDS_OF_KINDS.values()]


def test_an_undecryptable_secret_is_reported_and_kept(admin_client, db):
    save(admin_client)
    Channel.objects.update(secret=Unreadable(b"encrypted with another key"))
    channel = Channel.objects.get()
    assert "can't be decrypted" in words(admin_client.get(url_of(channel)))
    assert save(admin_client, channel, slack_secret="", name="Renamed").status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret) == ("Renamed", Unreadable(b"encrypted with another key"))


def test_a_manager_with_permission_has_own_channels_for_own_clients(two_clients, browse):
    own, foreign = two_clients
    manager = own.client.account_manager
    colleague = Channel.objects.create(
        name="Foreign's", kind="slack", secret=SLACK, manager=foreign.client.account_manager
    )
    everybodys = Channel.objects.create(name="Desk of all", kind="slack", secret=SLACK)
    manager.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="notifications", codename__endswith="_channel")
    )
    browser = browse(manager)
    assert save(browser, name="Mine", manager=foreign.client.account_manager.pk).status_code == 302
    assert save(browser, name="Client's", client=own.client.pk).status_code == 302
    assert "Select a valid choice" in errors_of(save(browser, name="x", client=foreign.client.pk))["client"]
    scopes = {channel.name: channel.whose for channel in Channel.objects.visible_to(manager)}
    assert scopes == {"Mine": "the clients of manager", "Client's": "Own"}
    page = browser.get(reverse(f"{CHANNELS}_changelist"))
    assert "Foreign" not in text_of(page) and "Desk of all" not in text_of(page)
    for channel in (colleague, everybodys):
        assert browser.get(url_of(channel)).status_code == 302
        assert browser.post(operate_url(channel, "test_channel")).status_code == 404


def test_a_user_with_view_permission_has_no_secret_field_and_no_button(channel, make_user, browse):
    viewer = make_user("viewer", {"notifications.view_channel", "accounts.view_every_client"})
    page = browse(viewer).get(url_of(channel))
    assert page.status_code == 200
    assert "/hook" not in text_of(page) and "_secret" not in text_of(page)
    assert operate_url(channel, "test_channel") not in text_of(page)
    assert browse(viewer).post(operate_url(channel, "test_channel")).status_code == 403


def run_test(browser, channel: Channel) -> Operation:
    response = browser.post(operate_url(channel, "test_channel"))
    operation = Operation.objects.latest("pk")
    assert response["Location"] == operation.get_absolute_url()
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    return operation


def test_a_test_message_shows_whether_the_channel_works(channel, receiver, admin_client):
    operation = run_test(admin_client, channel)
    assert (operation.state, operation.summary) == (
        State.SUCCEEDED,
        "Webhook (JSON) accepted the message. Check that it has arrived there.",
    )
    assert b"Test message" in receiver.seen[0].body
    receiver.will(Reply("no_service", 404))
    operation = run_test(admin_client, channel)
    assert (operation.state, operation.error_code) == (State.FAILED, "channel_refused")
    page = admin_client.get(operation.get_absolute_url())
    assert "The receiver responded with 404: no_service." in words(page)
    assert channel.get_absolute_url() in text_of(page)
    assert polls() == []  # it failed before the eyes of the user who submitted it


def test_a_test_message_by_email_goes_to_the_channels_addresses(channel, admin_client):
    Channel.objects.update(kind=ChannelKind.EMAIL, recipient="ops@example.com", secret="")
    assert run_test(admin_client, channel).state == State.SUCCEEDED
    assert mail.outbox[0].to == ["ops@example.com"]


def test_the_list_of_channels_says_how_the_last_message_went(channel, crashed, receiver, admin_client):
    page = reverse(f"{CHANNELS}_changelist")
    Channel.objects.create(name="Another", kind="slack", secret=SLACK)
    assert words(admin_client.get(page)).count("none yet") == 2
    receiver.will(Reply("", 503), Reply("", 404))
    for outcome in ("retrying", "given up"):
        outbox.send_due()
        assert outcome in words(admin_client.get(page))
        assert "The receiver responded with" in words(admin_client.get(url_of(channel)))
        Delivery.objects.update(next_attempt_at=timezone.now())
    assert Delivery.objects.get().state == DeliveryState.FAILED
