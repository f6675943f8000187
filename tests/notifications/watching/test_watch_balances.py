"""Balances below the minimum."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Balance, Client, ClientStatus, ExchangeKey
from notifications.models import Incident
from tests.notifications.conftest import polls
from tests.notifications.watching.test_watch import key, kinds_of, reported


def holds(key: ExchangeKey, ago: timedelta = timedelta(0), connector: str = "bitmart", **units: float) -> None:
    """Have its server report these balances, and nothing about the exchange when there are none."""
    profile = key.client.profiles.get()
    tokens = [{"token": t, "units": u, "available_units": 0, "price": 0, "value": 0} for t, u in units.items()]
    profile.balances.update(holdings=None)
    profile.balances.create(taken_at=timezone.now() - ago, value=0, holdings={connector: tokens} if tokens else {})


ENOUGH = {"USDT": 500.0, "SHARP": 20000.0}


def test_less_than_the_minimum_in_two_readings_is_an_incident_until_two_show_that_it_is_back(key, channel):
    holds(key, USDT=499.5, SHARP=30000)
    assert polls(3) == []  # once may be money on its way, or a server that has not read everything yet
    holds(key, USDT=480.25, SHARP=30000)
    (incident,) = polls(3)
    assert (incident.kind, incident.subject, incident.client) == ("low_balance", key, key.client)
    holds(key, **ENOUGH)
    (incident,) = polls(3)
    holds(key, **ENOUGH)
    assert polls() == []
    assert reported() == [("low_balance", "opened"), ("low_balance", "closed")]
    assert Incident.objects.get().resolution == "The balance is 20000 SHARP, 500 USDT again."


def test_it_shows_the_balance_its_time_and_the_minimum(key):
    for _ in range(2):
        holds(key, USDT=480.25, SHARP=30000)
        incidents = polls()
    (incident,) = incidents
    assert incident.sentence.startswith("BitMart held 30000 SHARP, 480.25 USDT of Sharp at 20")
    assert incident.sentence.endswith(" UTC. The minimum is 20000 SHARP, 500 USDT.")


def test_an_asset_that_the_server_did_not_report_has_no_balance(key):
    for _ in range(2):
        holds(key, USDT=1000)
        incidents = polls()
    (incident,) = incidents
    assert "held 0 SHARP, 1000 USDT" in incident.sentence


def test_what_is_not_reported_neither_opens_an_incident_nor_ends_one(key):
    for _ in range(3):
        holds(key, USDT=None, SHARP=30000)
        assert polls() == []
    for _ in range(2):
        holds(key, USDT=1, SHARP=30000)
        polls()
    for _ in range(3):
        holds(key, USDT=None, SHARP=30000)
        assert len(polls()) == 1
    for _ in range(2):
        holds(key, USDT=None, SHARP=5)
        (incident,) = polls()
    assert "held 5 SHARP, an unreported amount of USDT" in incident.sentence


def test_enough_is_no_incident_whatever_else_is_there(key):
    for _ in range(3):
        holds(key, BTC=0.0001, **ENOUGH)
        assert polls() == []
    assert not Incident.objects.exists()


@pytest.mark.parametrize(
    "unknown",
    [
        lambda key: holds(key),  # the server tells the same when it could not read it
        lambda key: holds(key, connector="okx", USDT=1),
        lambda key: holds(key, ago=timedelta(minutes=21), USDT=1),
        lambda key: None,
    ],
    ids=["nothing of it", "of another exchange", "long ago", "never"],
)
def test_outdated_balances_open_and_resolve_nothing(unknown, key):
    for _ in range(2):
        unknown(key)
        assert polls(2) == []
    for _ in range(2):
        holds(key, USDT=1)
        incidents = polls()
    assert kinds_of(incidents) == ["low_balance"]
    Balance.objects.all().delete()
    unknown(key)
    assert polls(3) == incidents


def test_without_a_minimum_or_for_a_client_who_has_left_there_is_none(key):
    for _ in range(2):
        holds(key, USDT=1)
        polls()
    ExchangeKey.objects.update(minimum_balances={})
    polls()
    assert polls() == []
    assert Incident.objects.get().resolution == "The key has no minimum balance any more."
    ExchangeKey.objects.update(minimum_balances={"USDT": "2"})
    for _ in range(2):
        holds(key, USDT=1)
        incidents = polls()
    assert kinds_of(incidents) == ["low_balance"]
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    polls()
    assert polls() == []
