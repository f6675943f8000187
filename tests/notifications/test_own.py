"""A user's own notifications: of the incidents that they see, by severity, and not in their quiet hours."""

from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from bots.models import BotState
from notifications.kinds import SEVERITIES, IncidentKind, Severity
from notifications.models import Channel, ChannelKind, Delivery, Incident, PersonalSettings, users_who_see
from notifications.sending.delivery import outbox
from notifications.sending.outbox import DeliveryState
from operations import runner
from operations.models import Operation, State
from tests.conftest import count_queries
from tests.controlpanel.conftest import text_of
from tests.notifications.conftest import answers, crash, ended, polls, quiet, runs, shows

PAGE = "/admin/my-notifications/"
TOKEN = "1:planted-telegram-token"


def own_channel(user: User, severity: Severity = Severity.INFO, **facts: Any) -> Channel:
    facts = {"kind": ChannelKind.EMAIL, "recipient": f"{user.pk}@example.com"} | facts
    return Channel.objects.create(user=user, name=f"{user.pk}/{facts['kind']}", severity=severity, **facts)


def facts(**changes: Any) -> dict[str, Any]:
    return {"email_severity": "critical", "email_recipient": "mara@example.com", "time_zone": "UTC"} | changes


def saved(browser: Browser, **changes: Any) -> Any:
    return browser.post(PAGE, facts(**changes))


def errors(response: Any) -> dict[str, Any]:
    return dict(response.context["form"].errors)


# --- whose incidents ---


def test_a_user_is_notified_of_own_clients_and_of_no_others(own_bot, make_live, manager, users):
    own_channel(manager)
    for foreign in (make_live("Foreign"), make_live("Others", manager=users["A"])):
        crash(foreign)
    crash(own_bot)
    outbox.send_due()
    (message,) = mail.outbox
    assert message.subject == "Problem: Sharp · Sharp bot: bot crashed"
    assert message.to == [f"{manager.pk}@example.com"]


def test_each_severity_comes_from_the_kind_in_one_table():
    assert set(SEVERITIES) == set(IncidentKind)
    assert SEVERITIES[IncidentKind.ORDERS_OPEN] == Severity.CRITICAL
    assert SEVERITIES[IncidentKind.LOW_BALANCE] == Severity.INFO


@pytest.mark.parametrize(
    ("chosen", "kinds"),
    [
        ("critical", {"bot_crashed"}),
        ("warning", {"bot_crashed", "bot_stopped"}),
        ("info", {"bot_crashed", "bot_stopped", "low_balance"}),
    ],
)
def test_a_user_hears_of_what_is_at_least_as_severe_as_chosen(chosen, kinds, own_bot, manager):
    channel = own_channel(manager, Severity(chosen))
    notified = {
        kind
        for kind in ("bot_crashed", "bot_stopped", "low_balance")
        if Channel.objects.notified_of(
            Incident(kind=kind, client=own_bot.client, server=own_bot.server, operation_kind="")
        ).contains(channel)
    }
    assert notified == kinds


def test_a_stop_that_failed_is_critical(own_bot):
    ended("stop", own_bot, State.FAILED, code="stop_unconfirmed")
    assert polls()[-1].severity == Severity.CRITICAL


def test_those_who_are_notified_are_those_who_see_the_incident(own_bot, make_live, users):
    make_live("Foreign", manager=users["V"])
    other = make_live("Apart")
    answers(own_bot.server, mqtt_connected=False)
    polls(2)
    runs(own_bot.server, "hummingbot-stranger")
    for bot in (own_bot, other):
        crash(bot)
    incidents = Incident.objects.all()
    assert {incident.kind for incident in incidents} >= {"bot_crashed", "mqtt_down", "unmanaged_instance"}
    for incident in incidents:
        active = User.objects.filter(is_active=True)
        may_view = [user for user in active if user.has_perm("notifications.view_incident")]
        seen = {user for user in may_view if Incident.objects.visible_to(user).contains(incident)}
        assert set(users_who_see(incident)) == seen, incident


@pytest.mark.parametrize("what", ["suspended", "lost the client", "lost the role"])
def test_a_user_who_may_no_longer_see_it_gets_nothing(what, own_bot, manager):
    own_channel(manager)
    crash(own_bot)
    if what == "suspended":
        User.objects.filter(pk=manager.pk).update(is_active=False)
    elif what == "lost the client":
        Client.objects.update(account_manager=None)
    else:
        manager.groups.clear()
    outbox.send_due()
    assert not mail.outbox
    assert Delivery.objects.get().state == DeliveryState.FAILED
    shows(own_bot, BotState.RUNNING)
    polls()
    outbox.send_due()
    assert not mail.outbox


def test_many_users_take_as_many_queries_as_one(own_bot, manager, users):
    incident = crash(own_bot)
    own_channel(manager)

    def notified() -> int:
        return count_queries(lambda: list(Channel.objects.notified_of(incident)))

    notified()
    one = notified()
    for user in {users["A"], users["V"], users["O"]}:
        own_channel(user)
    assert notified() == one


# --- quiet hours ---


def quiet_hours_end() -> None:
    PersonalSettings.objects.update(quiet_from=None, quiet_to=None)
    Delivery.objects.filter(state=DeliveryState.WAITING).update(next_attempt_at=timezone.now())


@pytest.mark.parametrize(
    ("hours", "zone", "now", "end"),
    [
        ((22, 7), "UTC", (23, 0), (1, 7)),
        ((22, 7), "UTC", (6, 59), (0, 7)),
        ((22, 7), "UTC", (7, 0), None),
        ((22, 7), "UTC", (21, 59), None),
        ((1, 5), "UTC", (3, 0), (0, 5)),
        ((22, 7), "Asia/Tokyo", (13, 30), (0, 22)),  # 22:30 there
        ((22, 7), "Asia/Tokyo", (22, 30), None),
    ],
)
def test_quiet_hours_are_those_of_the_users_own_time_zone(hours, zone, now, end):
    settings = PersonalSettings(quiet_from=time(hours[0]), quiet_to=time(hours[1]), time_zone=zone)
    moment = datetime(2026, 11, 29, *now, tzinfo=UTC)
    until = end and datetime(2026, 11, 29 + end[0], end[1], tzinfo=UTC)
    assert settings.quiet_until(moment, Severity.WARNING) == until


def test_what_opens_in_quiet_hours_is_sent_once_when_they_end(own_bot, manager):
    own_channel(manager)
    quiet(manager, critical_anytime=False)
    crash(own_bot)
    outbox.send_due()
    outbox.send_due()
    assert not mail.outbox and Delivery.objects.get().attempts == 0
    quiet_hours_end()
    outbox.send_due()
    outbox.send_due()
    assert len(mail.outbox) == 1


def test_what_was_resolved_in_quiet_hours_is_not_sent_at_all(own_bot, manager):
    own_channel(manager)
    quiet(manager, critical_anytime=False)
    crash(own_bot)
    outbox.send_due()
    shows(own_bot, BotState.RUNNING)
    assert not polls()
    quiet_hours_end()
    outbox.send_due()
    assert not mail.outbox and not Delivery.objects.exists()


def test_the_end_of_what_was_sent_before_waits_for_the_end_of_the_quiet_hours(own_bot, manager):
    own_channel(manager)
    crash(own_bot)
    outbox.send_due()
    quiet(manager, critical_anytime=False)
    shows(own_bot, BotState.RUNNING)
    polls()
    outbox.send_due()
    assert len(mail.outbox) == 1
    quiet_hours_end()
    outbox.send_due()
    assert mail.outbox[1].subject.startswith("Resolved")


@pytest.mark.parametrize(("state", "sent"), [(BotState.CRASHED, 1), (BotState.STOPPED, 0)])
def test_critical_incidents_come_in_quiet_hours_too_if_the_user_wants(state, sent, own_bot, manager):
    own_channel(manager)
    quiet(manager, critical_anytime=True)
    shows(own_bot, state)
    assert polls()
    outbox.send_due()
    assert len(mail.outbox) == sent


def test_shared_channels_and_other_users_are_not_affected_by_quiet_hours(own_bot, manager, users):
    own_channel(manager)
    own_channel(users["V"])
    Channel.objects.create(name="Desk", kind=ChannelKind.EMAIL, recipient="desk@example.com")
    quiet(manager, critical_anytime=False)
    crash(own_bot)
    outbox.send_due()
    assert {message.to[0] for message in mail.outbox} == {"desk@example.com", f"{users['V'].pk}@example.com"}


def test_a_retry_waits_for_the_end_of_the_quiet_hours_too(own_bot, manager, monkeypatch):
    def fail(*args: Any) -> None:
        raise OSError

    own_channel(manager)
    crash(own_bot)
    with monkeypatch.context() as broken:
        broken.setattr("notifications.sending.channels.email.send_mail", fail)
        outbox.send_due()
    quiet(manager, critical_anytime=False)
    Delivery.objects.update(next_attempt_at=timezone.now())
    outbox.send_due()
    assert not mail.outbox and Delivery.objects.get().attempts == 1


def test_changed_quiet_hours_count_for_what_waits(own_bot, manager, browse):
    own_channel(manager, recipient="mara@example.com")
    quiet(manager, critical_anytime=False)
    crash(own_bot)
    outbox.send_due()
    assert saved(browse(manager)).status_code == 302
    outbox.send_due()
    assert len(mail.outbox) == 1


# --- the page ---


@pytest.mark.parametrize("letter", ["A", "M", "V"])
def test_every_user_sets_up_their_own_and_sees_no_other(letter, users, browse):
    for user in users.values():
        own_channel(user, kind=ChannelKind.TELEGRAM, secret=TOKEN, recipient=f"chat-of-{user.pk}")
    browser, user = browse(users[letter]), users[letter]
    assert saved(browser, telegram_severity="warning", telegram_recipient="mine").status_code == 302
    page = text_of(browser.get(PAGE))
    assert "mine" in page and "mara@example.com" in page and "chat-of-" not in page and TOKEN not in page
    own = {channel.kind: channel for channel in Channel.objects.filter(user=user)}
    assert (own["email"].active, own["email"].severity) == (True, "critical")
    assert (own["telegram"].secret, own["telegram"].severity) == (TOKEN, "warning")


def test_the_menu_of_the_user_leads_there(manager, browse):
    assert PAGE in text_of(browse(manager).get(reverse("admin:index")))


def test_the_own_address_is_offered(manager, browse):
    assert f'value="{manager.email}"' in text_of(browse(manager).get(PAGE))


@pytest.mark.parametrize(
    ("entered", "field", "words"),
    [
        ({"email_recipient": ""}, "email_recipient", "at least one e-mail address"),
        ({"email_recipient": "a@example.com, b@example.com"}, "email_recipient", "valid email"),
        (
            {"telegram_severity": "info", "telegram_secret": "x", "telegram_recipient": "1"},
            "telegram_secret",
            "BotFather",
        ),
        ({"telegram_severity": "info", "telegram_secret": "1:x"}, "telegram_recipient", "chat ID"),
        ({"slack_severity": "info"}, "slack_secret", "webhook address"),
        ({"slack_severity": "info", "slack_secret": "https://10.0.0.7/"}, "slack_secret", "hooks.slack"),
        ({"slack_severity": "info", "slack_secret": "http://hooks.slack.com/x"}, "slack_secret", "https://"),
        ({"slack_severity": "info", "slack_secret": "https://127.0.0.1/x"}, "slack_secret", "does not send"),
        ({"quiet": "on", "quiet_from": "22:00", "quiet_to": ""}, "quiet_to", "Enter a time"),
        ({"quiet": "on", "quiet_from": "22:00", "quiet_to": "22:00"}, "quiet_to", "another time"),
        ({"time_zone": "Mars/Base"}, "time_zone", "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(entered, field, words, manager, browse, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"LOCAL": False, "MAIL": True}
    found = errors(saved(browse(manager), **entered))
    assert list(found) == [field] and words in found[field][0]
    assert not Channel.objects.exists() and not PersonalSettings.objects.exists()


def test_a_secret_is_kept_encrypted_when_its_field_is_left_empty(manager, browse):
    browser = browse(manager)
    slack = "https://hooks.slack.com/services/planted"
    saved(browser, slack_severity="info", slack_secret=slack)
    saved(browser, slack_severity="critical")
    channel = Channel.objects.get(kind=ChannelKind.SLACK)
    assert (channel.secret, channel.severity) == (slack, "critical")
    page = text_of(browser.get(PAGE))
    assert slack not in page and "Leave this empty to keep the stored value." in page


def test_off_sends_nothing_and_keeps_what_was_entered(own_bot, manager, browse):
    browser = browse(manager)
    saved(browser)
    saved(browser, email_severity="")
    crash(own_bot)
    outbox.send_due()
    assert not mail.outbox
    assert Channel.objects.get().recipient == "mara@example.com"


def test_a_test_message_is_sent_to_ones_own_channel_only(manager, users, browse):
    own_channel(manager)
    test = reverse("test_my_notifications", args=["email"])
    assert browse(users["V"]).post(test).status_code == 404
    assert browse(manager).get(test).status_code == 405
    answer = browse(manager).post(test)
    operation = Operation.objects.get()
    assert answer.url == operation.get_absolute_url()
    runner.run(operation.pk)
    assert mail.outbox[0].to == [f"{manager.pk}@example.com"]
    assert browse(manager).get(answer.url).status_code == 200
    assert browse(users["V"]).get(answer.url).status_code == 404
    assert browse(users["A"]).get(answer.url).status_code == 404


def test_administrators_see_shared_channels_and_not_those_of_users(manager, users, browse):
    channel = own_channel(manager)
    browser = browse(users["A"])
    assert str(channel) not in text_of(browser.get(reverse("admin:notifications_channel_changelist")))
    page = browser.get(reverse("admin:notifications_channel_change", args=[channel.pk]))
    assert page.status_code == 302


def test_an_incident_shows_a_user_that_their_own_channel_was_notified(own_bot, manager, users, browse):
    own_channel(manager)
    incident = crash(own_bot)
    assert f"E-mail of {manager}" in text_of(browse(manager).get(incident.get_absolute_url()))
    others = text_of(browse(users["V"]).get(incident.get_absolute_url()))
    assert f"E-mail of {manager}" not in others and "1 user was notified" in others
