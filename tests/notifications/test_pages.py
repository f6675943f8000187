"""Incidents and channels in the admin: what is wrong, whom it concerns, who is told, and who may see that."""

import re
from html import unescape

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from bots.models import Bot, BotState
from core.encryption import Unreadable
from notifications.admin.forms import FIELDS_OF_KINDS
from notifications.delivery import outbox
from notifications.models import Channel, ChannelKind, Delivery, Incident, IncidentKind
from notifications.outbox import DeliveryState
from operations import runner
from operations.models import Operation, State, WorkerHeartbeat
from tests.controlpanel.conftest import MANAGER_PERMISSIONS, operate_url, text_of, url_of
from tests.hummingbot_api.stub import Reply
from tests.notifications.conftest import answers, ended, looks, runs, shows

INCIDENTS, CHANNELS = "admin:notifications_incident", "admin:notifications_channel"
SLACK = "https://hooks.slack.com/services/T000/B000/planted-slack-part"


@pytest.fixture
def crashed(bot: Bot) -> Incident:
    shows(bot, BotState.CRASHED)
    (incident,) = looks()
    return incident


def django_test_client(user) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def badge(page: str) -> str:
    found = re.search(r'<span class="panel-count">(\d+)', page)
    return found[1] if found else ""


def words(response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


# --- incidents ---


def test_without_a_worker_the_list_says_that_nobody_is_looking_rather_than_that_nothing_is_wrong(bot, admin_client):
    page = words(admin_client.get(reverse(f"{INCIDENTS}_changelist")))
    assert "Monitoring is not running" in page
    assert "All clear" not in page


def test_what_helps_stands_out_and_not_the_mark_as_seen(crashed, admin_client):
    page = text_of(admin_client.get(url_of(crashed)))
    (primary,) = re.findall(r'<(?:a|button)[^>]*class="panel-button is-primary".*?</(?:a|button)>', page, re.S)
    assert operate_url(crashed.subject, "recover") in primary
    assert "Acknowledge" in page


def test_who_may_add_no_channel_is_told_who_can(crashed, admin_client, django_user_model):
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_incident", "view_every_client"]))
    assert "Add a channel" in words(admin_client.get(url_of(crashed)))
    reported = django_test_client(viewer)
    assert "Ask an administrator to add a channel" in words(reported.get(url_of(crashed)))


def test_when_nothing_is_wrong_the_list_says_so_and_the_sidebar_has_no_badge(bot, admin_client):
    WorkerHeartbeat.objects.create(worker="test", last_seen_at=timezone.now())
    page = admin_client.get(reverse(f"{INCIDENTS}_changelist"))
    assert "All clear" in words(page)
    assert badge(text_of(page)) == ""


def test_the_list_begins_with_what_is_open_and_the_sidebar_counts_it_on_every_page(bot, make_live, admin_client):
    shows(bot, BotState.CRASHED)
    looks()
    other = make_live("Blunt")
    shows(other, BotState.CRASHED)
    looks()
    shows(other, BotState.RUNNING)
    looks()
    response = admin_client.get(reverse(f"{INCIDENTS}_changelist"))
    rows = list(response.context["cl"].result_list)
    assert [(row.subject, row.is_open) for row in rows] == [(bot, True), (other, False)]
    assert "All clear" not in words(response)
    assert badge(text_of(admin_client.get(reverse("admin:index")))) == "1"
    over = admin_client.get(reverse(f"{INCIDENTS}_changelist"), {"state": "over"}).context["cl"].result_list
    assert [row.subject for row in over] == [other]


def test_a_suspicion_is_shown_nowhere(bot, admin_client):
    shows(bot, BotState.UNRESPONSIVE)
    looks()
    suspicion = Incident.objects.get()
    assert list(admin_client.get(reverse(f"{INCIDENTS}_changelist")).context["cl"].result_list) == []
    assert admin_client.get(suspicion.get_absolute_url()).status_code == 404


def test_an_incidents_page_says_what_to_do_who_was_told_and_leads_to_what_it_is_about(
    bot, channel, receiver, admin_client
):
    operation = ended("deploy", bot, State.FAILED, "docker_down")
    (incident,) = looks()
    receiver.will(Reply("gone", 404))
    outbox.send_due()
    response = admin_client.get(incident.get_absolute_url())
    page = words(response)
    assert "“Deploy” failed open" in page
    assert "What to do Mend it." in page
    assert "Alerts opened given up The receiver responded with 404: gone." in page
    for row in (bot, bot.client, operation, channel):
        assert f'href="{row.get_absolute_url()}"' in text_of(response)
    ended("deploy", bot, State.SUCCEEDED)
    looks()
    assert "Resolution The operation has succeeded since." in words(admin_client.get(incident.get_absolute_url()))


def test_an_incidents_page_has_the_buttons_that_help_and_the_way_to_the_log(
    crashed, bot, admin_client, make_user, browse
):
    page = text_of(admin_client.get(url_of(crashed)))
    for url in (operate_url(bot, "redeploy"), operate_url(bot, "archive"), url_of(bot, "logs")):
        assert f'href="{url}"' in page
    seen_by = make_user("viewer", {"bots.view_bot", "notifications.view_incident", "accounts.view_every_client"})
    assert operate_url(bot, "redeploy") not in text_of(browse(seen_by).get(url_of(crashed)))
    shows(bot, BotState.RUNNING)
    looks()
    assert operate_url(bot, "redeploy") not in text_of(admin_client.get(url_of(crashed)))


def test_what_nobody_was_told_is_only_certain(crashed, admin_client):
    assert "Certain, and told" not in text_of(admin_client.get(url_of(crashed)))


def test_a_stop_that_failed_is_not_over_by_being_seen(bot, admin_client):
    ended("stop", bot, State.FAILED, "server_unreachable")
    (incident,) = looks()
    page = admin_client.post(url_of(incident, "acknowledge"), follow=True)
    assert "stays open until it is resolved" in words(page)
    assert f'href="{operate_url(bot, "stop")}"' in text_of(page)
    assert looks() == [incident]


def test_marking_as_seen_ends_a_failed_operations_incident_and_only_notes_it_on_others(bot, admin_client):
    shows(bot, BotState.CRASHED)
    ended("deploy", bot, State.FAILED, "docker_down")
    for incident in looks():
        page = admin_client.post(url_of(incident, "acknowledge"), follow=True)
        assert "You acknowledged" in words(page)
        assert url_of(incident, "acknowledge") not in text_of(page)
    (still_open,) = looks()
    assert (still_open.kind, str(still_open.acknowledged_by)) == ("bot_crashed", "admin")
    again = admin_client.post(url_of(still_open, "acknowledge"), follow=True)
    assert "was already acknowledged" in words(again)


def test_several_are_marked_as_seen_from_the_list(bot, make_live, admin_client):
    for live in (bot, make_live("Blunt")):
        ended("deploy", live, State.FAILED, "docker_down")
    chosen = [incident.pk for incident in looks()]
    facts = {"action": "acknowledge_selected", ACTION_CHECKBOX_NAME: chosen}
    admin_client.post(reverse(f"{INCIDENTS}_changelist"), facts)
    assert looks() == []


def test_looking_at_the_address_that_marks_as_seen_marks_nothing(crashed, admin_client):
    assert admin_client.get(url_of(crashed, "acknowledge")).status_code == 405
    crashed.refresh_from_db()
    assert crashed.acknowledged_at is None


def test_without_the_permission_there_is_no_button_no_action_and_no_way_to_mark_as_seen(
    bot, crashed, make_user, browse
):
    user = make_user("trainee", MANAGER_PERMISSIONS - {"notifications.acknowledge_incident"})
    Client.objects.update(account_manager=user)
    browser = browse(user)
    page = browser.get(crashed.get_absolute_url())
    assert page.status_code == 200
    assert url_of(crashed, "acknowledge") not in text_of(page)
    assert "acknowledge_selected" not in text_of(browser.get(reverse(f"{INCIDENTS}_changelist")))
    assert browser.post(url_of(crashed, "acknowledge")).status_code == 403
    facts = {"action": "acknowledge_selected", ACTION_CHECKBOX_NAME: [crashed.pk]}
    browser.post(reverse(f"{INCIDENTS}_changelist"), facts)
    crashed.refresh_from_db()
    assert crashed.acknowledged_at is None


def test_an_incident_goes_with_its_client_and_not_by_itself(client_sharp, admin_client):
    ended("push_profile", client_sharp, State.FAILED, "key_refused")
    (incident,) = looks()
    assert admin_client.get(url_of(incident, "delete")).status_code == 403
    assert "delete_selected" not in text_of(admin_client.get(reverse(f"{INCIDENTS}_changelist")))
    assert admin_client.post(url_of(client_sharp, "delete"), {"post": "yes"}).status_code == 302
    assert not Incident.objects.exists()


# --- whose ---


@pytest.fixture
def two_clients(make_live, make_user) -> tuple[Bot, Bot]:
    """On one server: one with a manager who looks after it, and a colleague's."""
    own = make_live("Own", manager=make_user("manager"))
    foreign = make_live("Foreign", server=own.server, manager=make_user("colleague"))
    return own, foreign


def test_a_manager_sees_own_clients_incidents_and_a_servers_without_anybody_elses_name(
    two_clients, make_user, browse, channel
):
    own, foreign = two_clients
    Channel.objects.update(name="Foreign's chat")
    for bot in two_clients:
        shows(bot, BotState.CRASHED)
        ended("deploy", bot, State.FAILED, "docker_down")
    for _ in range(2):
        answers(own.server, docker_running=False)
        looks()
    browser = browse(own.client.account_manager)
    page = browser.get(reverse(f"{INCIDENTS}_changelist"))
    assert {row.subject for row in page.context["cl"].result_list} == {own, own.server}
    assert badge(text_of(page)) == "3"
    assert "foreign" not in text_of(page).lower()
    for incident in Incident.objects.all():
        response = browser.get(incident.get_absolute_url())
        act = browser.post(url_of(incident, "acknowledge"))
        if incident.client == foreign.client:
            assert (response.status_code, act.status_code) == (404, 404)
        else:
            assert (response.status_code, act.status_code) == (200, 302)
            assert "foreign" not in text_of(response).lower()
    # A server that none of one's clients is on is none of one's business.
    assert not Incident.objects.visible_to(make_user("newcomer")).exists()


def test_a_server_that_only_a_clients_bot_is_on_is_seen_too(make_live, make_user):
    manager = make_user("manager")
    own, elsewhere = make_live("Own", manager=manager), make_live("Elsewhere")
    own.server = elsewhere.server
    own.save()
    for _ in range(2):
        answers(elsewhere.server, docker_running=False)
        looks()
    assert [incident.subject for incident in Incident.objects.visible_to(manager).open()] == [elsewhere.server]


# --- bots of somebody else ---


@pytest.fixture
def unknown(bot) -> Incident:
    runs(bot.server, "hummingbot-other-20261122-105939")
    (incident,) = looks()
    return incident


def test_who_knows_it_says_so_on_the_incidents_page_and_is_named_on_the_servers_until_it_is_taken_back(
    unknown, bot, admin_client
):
    known, back = (
        reverse(act, args=[unknown.subject_id])
        for act in ("acknowledge_unmanaged_instance", "withdraw_instance_acknowledgement")
    )
    assert f'action="{known}"' in text_of(admin_client.get(url_of(unknown)))
    assert f'action="{known}"' in text_of(admin_client.get(url_of(bot.server)))
    page = admin_client.post(known, follow=True)
    assert "unmanaged, known Marked as known by admin now" in words(page)
    assert f'action="{known}"' not in text_of(page) + text_of(admin_client.get(url_of(unknown)))
    assert looks() == []
    assert "was already marked as known" in words(admin_client.post(known, follow=True))
    page = admin_client.post(back, follow=True)
    assert "is unknown again" in words(page)
    assert f'action="{known}"' in text_of(page)
    assert "was not marked as known" in words(admin_client.post(back, follow=True))
    assert len(looks()) == 1
    history = words(admin_client.get(url_of(bot.server, "history")))
    assert history.index("Marked an unmanaged bot as unknown") < history.index("Marked an unmanaged bot as known")
    assert "hummingbot-other" not in history  # which is also for those who may not know the name


def test_looking_at_the_address_that_says_it_is_known_says_nothing(unknown, admin_client):
    address = reverse("acknowledge_unmanaged_instance", args=[unknown.subject_id])
    assert admin_client.get(address).status_code == 405
    assert len(looks()) == 1


def test_who_may_not_say_so_has_no_button_and_who_sees_own_clients_only_does_not_find_it(
    unknown, bot, make_user, browse
):
    address = reverse("acknowledge_unmanaged_instance", args=[unknown.subject_id])
    viewer = make_user("viewer", {"accounts.view_every_client", "accounts.view_server", "notifications.view_incident"})
    for page in (unknown, bot.server):
        shown = text_of(browse(viewer).get(url_of(page)))
        assert "hummingbot-other" in shown
        assert address not in shown
    assert browse(viewer).post(address).status_code == 403
    manager = make_user("manager", MANAGER_PERMISSIONS | {"bots.acknowledge_instance"})
    Client.objects.update(account_manager=manager)
    assert browse(manager).post(address).status_code == 404
    assert browse(manager).get(url_of(unknown)).status_code == 404
    assert len(looks()) == 1


# --- channels ---


def test_without_a_channel_the_list_says_that_nobody_is_told(admin_client, channel):
    page = reverse(f"{CHANNELS}_changelist")
    assert "Until you add one" not in words(admin_client.get(page))
    channel.delete()
    assert "Until you add one" in words(admin_client.get(page))


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


def test_a_stored_secret_is_never_taken_for_another_kinds(admin_client, db):
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


def test_a_secret_that_cannot_be_decrypted_is_said_so_and_kept_as_it_is(admin_client, db):
    save(admin_client)
    Channel.objects.update(secret=Unreadable(b"encrypted with another key"))
    channel = Channel.objects.get()
    assert "can't be decrypted" in words(admin_client.get(url_of(channel)))
    assert save(admin_client, channel, slack_secret="", name="Renamed").status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret) == ("Renamed", Unreadable(b"encrypted with another key"))


def test_a_manager_who_may_have_channels_has_own_ones_about_own_clients(two_clients, browse):
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


def test_who_may_only_look_at_channels_has_no_secret_field_and_no_button(channel, make_user, browse):
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
    assert looks() == []  # it failed before the eyes of whoever asked for it


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


# --- how many queries ---


def add_incident(make_live, number: int) -> None:
    live = make_live(f"Client {number}")
    Channel.objects.create(name=f"Channel {number}", kind="slack", secret=SLACK, client=live.client)
    shows(live, BotState.CRASHED)
    ended("deploy", live, State.FAILED, "docker_down")
    looks()


@pytest.mark.parametrize("name", [INCIDENTS, CHANNELS])
def test_a_list_takes_as_many_queries_for_ten_rows_as_for_two(name, make_live, queries):
    page = reverse(f"{name}_changelist")
    for number in range(2):
        add_incident(make_live, number)
    few = queries(page)
    for number in range(2, 10):
        add_incident(make_live, number)
    assert queries(page) == few


def test_an_incidents_page_takes_as_many_queries_for_ten_channels_as_for_one(crashed, queries):
    def tell(number: int) -> None:
        channel = Channel.objects.create(name=f"Channel {number}", kind="slack", secret=SLACK)
        Delivery.objects.create(incident=crashed, channel=channel, event="opened")

    tell(0)
    few = queries(url_of(crashed))
    for number in range(1, 10):
        tell(number)
    assert queries(url_of(crashed)) == few


def test_a_channels_page_takes_as_many_queries_for_ten_messages_as_for_one(channel, make_live, queries):
    def tell(number: int) -> None:
        live = make_live(f"Client {number}")
        ended("deploy", live, State.FAILED, "docker_down")
        looks()

    tell(0)
    few = queries(url_of(channel))
    for number in range(1, 10):
        tell(number)
    assert queries(url_of(channel)) == few


def test_every_kind_of_incident_can_be_chosen_for_a_channel(admin_client, db):
    page = text_of(admin_client.get(reverse(f"{CHANNELS}_add")))
    assert [kind for kind in IncidentKind.values if f'value="{kind}"' not in page] == []
