"""Obligations to clients: broken for too long, or beyond reach, until they are met again."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from markets.models import Obligation, ObligationDay, Period
from notifications.models import Incident
from tests.notifications.conftest import polls
from tests.notifications.watching.test_watch import kinds_of, reported


@pytest.fixture
def obligation(make_live) -> Obligation:
    return Obligation.objects.create(
        client=make_live().client,
        connector="bitmart",
        trading_pair="SHARP-USDT",
        max_spread_percent=Decimal("0.5"),
        min_uptime_percent=Decimal(90),
        uptime_period=Period.DAY,
        alert_after_minutes=30,
    )


def broken(obligation: Obligation, minutes: float, reason: str = "The spread was 0.6 %.") -> None:
    since = timezone.now() - timedelta(minutes=minutes)
    Obligation.objects.filter(pk=obligation.pk).update(broken_since=since, reason=reason)


def met(obligation: Obligation) -> None:
    Obligation.objects.filter(pk=obligation.pk).update(broken_since=None, reason="")


def test_one_that_is_broken_for_too_long_is_an_incident_until_it_is_met(obligation, channel):
    broken(obligation, minutes=29)
    assert polls(2) == []
    broken(obligation, minutes=31)
    (incident,) = polls(3)
    assert (incident.kind, incident.subject, incident.client) == ("obligation_broken", obligation, obligation.client)
    met(obligation)
    assert polls() == []
    assert reported() == [("obligation_broken", "opened"), ("obligation_broken", "closed")]
    assert Incident.objects.get().resolution == "The obligation is met again."


def test_what_is_not_measured_opens_and_resolves_nothing(obligation):
    Obligation.objects.update(reason="Sharp bot does not report what it quotes.")
    assert polls(2) == []
    broken(obligation, minutes=31)
    assert kinds_of(polls()) == ["obligation_broken"]
    Obligation.objects.update(broken_since=timezone.now(), reason="There was no report in this time.")
    assert kinds_of(polls(2)) == ["obligation_broken"]


def test_an_uptime_that_can_not_be_reached_any_more_is_an_incident_at_once(obligation):
    day = 24 * 60 * 60
    ObligationDay.objects.create(obligation=obligation, day=timezone.now().date(), broken=day)
    (incident,) = polls()
    assert "can still be reached" in incident.sentence
    assert incident.remedy.startswith("Tell the client")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("No bot of the client is quoting this market.", "Deploy or start a bot"),
        ("The spread was 0.6 %, above the largest allowed spread of 0.5 %.", "0.25 % on each side or less"),
        ("The bid depth within 2 % was 20.00 USDT, below the least depth.", "Raise the order amount"),
        ("Both sides were quoted 40% of the time.", "its balances pay for both sides"),
    ],
)
def test_it_says_what_to_change(obligation, reason, remedy):
    broken(obligation, minutes=31, reason=reason)
    (incident,) = polls()
    assert reason in incident.sentence
    assert remedy in incident.remedy


def test_one_that_ended_is_no_incident_any_more(obligation):
    broken(obligation, minutes=31)
    assert kinds_of(polls()) == ["obligation_broken"]
    Obligation.objects.update(active=False)
    assert polls() == []
