"""What operations that failed tell."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ExchangeKey
from bots.models import Bot, BotState, Deployment
from notifications.models import Incident
from notifications.watching.incidents import acknowledge
from operations.models import Operation, State
from operations.services import operation_request
from tests.notifications.conftest import ended, polls, shows
from tests.notifications.watching.test_watch import kinds_of, reported


def test_a_failed_operation_is_an_incident_until_one_of_its_kind_succeeds(bot, channel):
    operation = ended("start", bot, State.FAILED, "bot_never_connected")
    (incident,) = polls(3)
    assert (incident.kind, incident.operation, incident.code) == ("operation_failed", operation, "bot_never_connected")
    assert (incident.sentence, incident.remedy) == ("start said no.", "Fix it.")
    ended("stop", bot, State.SUCCEEDED)
    assert polls() == [incident]
    ended("start", bot, State.SUCCEEDED)
    assert polls(3) == []
    assert reported() == [("operation_failed", "opened"), ("operation_failed", "closed")]


@pytest.mark.parametrize(("failed", "settling"), [("deploy", "redeploy"), ("stop", "archive"), ("start", "redeploy")])
def test_a_new_instance_or_none_at_all_settles_what_failed_before(failed, settling, bot):
    ended(failed, bot, State.FAILED, "stop_unconfirmed")
    assert len(polls()) == 1
    ended(settling, bot, State.SUCCEEDED)
    assert polls() == []


def test_a_failure_that_is_tried_again_is_the_same_incident(bot, channel):
    ended("deploy", bot, State.FAILED, "server_timed_out")
    (incident,) = polls()
    again = operation_request(kind="deploy", subject=bot)
    assert polls() == [incident]
    Operation.objects.filter(pk=again.pk).update(
        state=State.FAILED, error_code="docker_down", error_message="Docker is down.", finished_at=timezone.now()
    )
    (same,) = polls(2)
    assert (same, same.operation, same.sentence) == (incident, again, "Docker is down.")
    assert reported() == [("operation_failed", "opened")]


def test_a_failure_that_is_retried_at_once_is_not_reported_before_the_retry_ends(bot):
    ended("deploy", bot, State.FAILED, "server_timed_out")
    again = operation_request(kind="deploy", subject=bot)
    assert polls() == []
    Operation.objects.filter(pk=again.pk).update(state=State.SUCCEEDED)
    assert polls() == []


@pytest.mark.parametrize("kind", ["deploy", "push_profile", "test_key"])
def test_a_refused_key_is_an_incident_by_that_name(kind, bot):
    key = ExchangeKey(client=bot.client, connector="bitmart")
    key.set_values({"bitmart_api_key": "x"})
    key.save()
    subject = {"deploy": bot, "push_profile": bot.client, "test_key": key}[kind]
    ended(kind, subject, State.FAILED, "key_refused")
    (incident,) = polls()
    assert (incident.kind, incident.client, incident.subject) == ("key_refused", bot.client, subject)


def test_a_failure_over_unreadable_keys_is_resolved_by_a_recreated_profile(bot):
    key = ExchangeKey(client=bot.client, connector="bitmart")
    key.set_values({"bitmart_api_key": "x"})
    key.save()
    ended("push_profile", bot.client, State.FAILED, "server_keys_unreadable")
    ended("test_key", key, State.FAILED, "server_keys_unreadable")
    assert len(polls()) == 2
    ended("recreate_profile", bot.client, State.SUCCEEDED)
    key.was_tried(passed=True, outcome="yes")
    assert polls() == []


@pytest.mark.parametrize("kind", ["deploy", "push_profile", "test_key"])
def test_a_rejected_key_is_resolved_when_the_exchange_accepts_it(kind, bot):
    key = ExchangeKey(client=bot.client, connector="bitmart")
    key.set_values({"bitmart_api_key": "x"})
    key.save()
    key.was_tried(passed=False, outcome="no")
    ended(kind, {"deploy": bot, "push_profile": bot.client, "test_key": key}[kind], State.FAILED, "key_refused")
    assert kinds_of(polls()) == ["key_refused"]
    key.was_tried(passed=True, outcome="yes")
    assert polls() == []
    assert Incident.objects.get().resolution == "The exchange has accepted the key since."


@pytest.mark.parametrize("kind", ["stop", "pause", "archive"])
def test_a_bot_that_could_not_be_stopped_stays_an_incident_when_acknowledged(kind, bot, admin_user):
    ended(kind, bot, State.FAILED, "server_unreachable")
    (incident,) = polls()
    assert incident.remedy.startswith("The bot may still be trading. To stop it now, disable the API key")
    assert "Fix it." in incident.remedy
    acknowledge(incident, admin_user)
    assert polls() == [incident]
    shows(bot, BotState.UNKNOWN)
    assert polls() == [incident]
    bot.deployment.end(BotState.ARCHIVED)
    assert polls() == []


@pytest.mark.parametrize(
    ("failed", "state", "is_over"),
    [
        ("stop", BotState.STOPPED, True),
        ("pause", BotState.PAUSED, True),
        ("pause", BotState.STOPPED, True),
        ("stop", BotState.PAUSED, False),
        ("archive", BotState.STOPPED, False),
    ],
)
def test_a_failure_whose_goal_was_reached_anyway_is_resolved(failed, state, is_over, bot):
    ended("stop", bot, State.CANCELLED)
    bot.deployment.update(stopped_at=timezone.now())
    ended(failed, bot, State.FAILED, "stop_unconfirmed")
    assert "operation_failed" in kinds_of(polls())
    shows(bot, state)
    assert ("operation_failed" not in kinds_of(polls())) is is_over


def test_a_stop_that_finally_succeeds_is_resolved(bot):
    ended("stop", bot, State.FAILED, "server_unreachable")
    polls()
    ended("stop", bot, State.SUCCEEDED)
    assert polls() == []


@pytest.mark.parametrize(("code", "connector"), [("container_exited", "bitmart"), ("x", "binance_paper_trade")])
def test_without_real_money_the_remedy_does_not_mention_the_exchange(code, connector, bot):
    bot.deployment.update(connector=connector)
    ended("stop", bot, State.FAILED, code)
    assert [incident.remedy for incident in polls()] == ["Fix it."]


def test_two_kinds_that_fail_on_one_bot_are_two_incidents(bot):
    ended("start", bot, State.FAILED, "bot_never_connected")
    ended("stop", bot, State.FAILED, "stop_unconfirmed")
    assert [incident.operation_kind for incident in polls()] == ["start", "stop"]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.CANCELLED])
def test_an_operation_that_did_not_fail_is_no_incident(state, bot):
    ended("deploy", bot, state)
    assert polls() == []


def test_a_failed_read_only_operation_is_no_incident(bot):
    ended("refresh", bot, State.FAILED, "server_unreachable")
    ended("check_server", bot.server, State.FAILED, "server_unreachable")
    assert polls() == []


def test_old_failures_are_not_reported(bot):
    ended("deploy", bot, State.FAILED, "docker_down", ago=timedelta(days=2))
    assert polls() == []


def test_an_acknowledged_failure_is_resolved_and_not_reported_again(bot, channel, admin_user):
    ended("deploy", bot, State.FAILED, "docker_down")
    (incident,) = polls()
    acknowledge(incident, admin_user)
    assert polls(3) == []
    incident.refresh_from_db()
    assert (incident.acknowledged_by, incident.resolution) == (admin_user, "Acknowledged by admin.")
    assert reported() == [("operation_failed", "opened"), ("operation_failed", "closed")]
    ended("deploy", bot, State.FAILED, "docker_down")
    assert len(polls()) == 1


def test_an_acknowledged_crash_stays_open_until_it_is_resolved(bot, admin_user):
    shows(bot, BotState.CRASHED)
    (incident,) = polls()
    acknowledge(incident, admin_user)
    assert polls() == [incident]
    shows(bot, BotState.RUNNING)
    assert polls() == []


def test_deleting_its_subject_resolves_it(bot):
    ended("deploy", bot, State.FAILED, "docker_down")
    assert len(polls()) == 1
    Bot.objects.update(deployment=None)
    Deployment.objects.all().delete()
    bot.delete()
    assert polls() == []
    assert Incident.objects.get().resolution == "It was deleted in the panel."
