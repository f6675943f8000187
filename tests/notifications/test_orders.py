"""Incidents about orders that a bot left open, and about bots that are up and do not quote."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import Bot, BotState, Trouble
from bots.reporting.guidance import TROUBLE_ADVICE
from notifications.models import Event, Incident
from operations.models import State
from tests.notifications.conftest import ended, polls, shows
from tests.notifications.watching.test_watch import kinds_of, reported

ORDER = {
    "client_order_id": "B1",
    "side": "BUY",
    "price": "0.012462",
    "amount": "1600",
    "trading_pair": "SHARP-USDT",
    "exchange_order_id": "1795925816268",
}


@pytest.fixture
def orphaned(bot):
    return bot.deployment.orphaned_orders.create(reason="The bot has stopped.", orders=[ORDER])


def test_orders_that_may_be_open_are_an_incident_that_names_them(bot, orphaned, channel):
    (incident,) = polls(3)
    assert (incident.kind, incident.subject, incident.client) == ("orders_open", bot, bot.client)
    assert "buy 1600 SHARP-USDT at 0.012462 (exchange order 1795925816268)" in incident.sentence
    assert reported() == [("orders_open", Event.OPENED)]


@pytest.mark.parametrize("state", [BotState.RUNNING, BotState.STOPPED, BotState.CRASHED])
def test_only_a_person_ends_it(state, bot, orphaned, channel, admin_user):
    polls()
    shows(bot, state)
    assert "orders_open" in kinds_of(polls(3))
    bot.deployment.end(BotState.ARCHIVED)
    assert kinds_of(polls(3)) == ["orders_open"]
    orphaned.resolve(admin_user)
    assert polls() == []
    assert Incident.objects.get(kind="orders_open").resolution == f"{admin_user} marked them as resolved."


def test_an_acknowledgement_is_no_end_of_it(bot, orphaned, admin_user):
    (incident,) = polls()
    assert not incident.resolved_by_acknowledgement


def test_an_operation_that_failed_because_of_them_is_no_second_incident(bot, orphaned):
    ended("archive", bot, State.FAILED, code="orders_may_be_open")
    assert kinds_of(polls()) == ["orders_open"]


def test_unknown_orders_are_an_incident_too(bot):
    bot.deployment.orphaned_orders.create(reason="The instance is gone.")
    (incident,) = polls()
    assert "Check all open orders" in incident.sentence or "Check all open orders" in incident.sentence


def in_trouble_for_two_looks(bot: Bot, trouble: Trouble | str) -> list[Incident]:
    for _ in range(2):
        in_trouble(bot, trouble)
        incidents = polls()
    return incidents


def in_trouble(bot: Bot, trouble: Trouble | str, ago: timedelta = timedelta(minutes=5)) -> None:
    since = timezone.now() - ago
    reason = "HTTP status is 401: Invalid API key" if trouble else ""
    bot.deployment.update(trouble=trouble, trouble_reason=reason, trouble_since=since if trouble else None)
    shows(bot, BotState.RUNNING)


@pytest.mark.parametrize("trouble", Trouble)
def test_a_bot_that_is_up_and_does_not_quote_is_an_incident_until_it_quotes_again(trouble, bot, channel):
    in_trouble(bot, trouble)
    assert polls(3) == []  # one rejected order is none
    (incident,) = in_trouble_for_two_looks(bot, trouble)
    assert incident.kind == "bot_not_quoting"
    assert incident.remedy == TROUBLE_ADVICE[trouble].remedy
    assert incident.sentence == f"The bot is up, but not quoting ({trouble.label}): HTTP status is 401: Invalid API key"
    assert in_trouble_for_two_looks(bot, "") == []
    assert Incident.objects.get().resolution == "The bot is quoting again."


def test_an_exchange_that_just_started_to_get_ready_is_no_incident(bot):
    in_trouble(bot, Trouble.NOT_READY, ago=timedelta(minutes=1))
    assert polls(3) == []


def test_a_bot_that_was_stopped_since_is_no_longer_an_incident(bot):
    assert kinds_of(in_trouble_for_two_looks(bot, Trouble.ORDERS_REJECTED)) == ["bot_not_quoting"]
    for _ in range(2):
        shows(bot, BotState.STOPPED)
        incidents = polls()
    assert "bot_not_quoting" not in kinds_of(incidents)


def test_unknown_states_resolve_nothing(bot):
    in_trouble_for_two_looks(bot, Trouble.ORDERS_REJECTED)
    shows(bot, BotState.UNKNOWN)
    assert kinds_of(polls(3)) == ["bot_not_quoting"]
