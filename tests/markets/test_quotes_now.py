"""Home counts the bots that quote both sides, and says how wide the widest of them is."""

from datetime import timedelta
from decimal import Decimal

import pytest

from bots.models import BotState, Deployment
from hummingbot_api.connectors import AccountType
from markets.figures.quotes_now import QuotingCount, count_quoting, open_bots, quotes_of
from markets.models import QuoteState, ReportSource
from tests.markets.conftest import NOW
from tests.markets.test_bot_market import BOTH, quotes


@pytest.fixture(autouse=True)
def at_noon(monkeypatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def running(bot, deployed) -> Deployment:
    return deployed(bot, observed_at=NOW)


def counted() -> list[QuotingCount]:
    return count_quoting(open_bots(Deployment.objects.all(), NOW))


def test_the_best_order_of_each_side_and_the_spread_between_them(running):
    state = quotes(running, *BOTH, ("buy", "0.0120", "100"), ("sell", "0.0130", "100"))
    found = quotes_of(running, state, NOW)
    assert (found.bid, found.ask, found.orders) == (Decimal("0.012462"), Decimal("0.012538"), 4)
    # (0.012538 - 0.012462) / 0.0125
    assert found.spread == Decimal("0.608")
    assert found.text == "quoting"


def test_a_bot_with_both_sides_counts_as_quoting(running):
    quotes(running, *BOTH)
    assert counted() == [QuotingCount(AccountType.REAL, expected=1, quoting=1, widest=Decimal("0.608"))]


@pytest.mark.parametrize(("orders", "text"), [(BOTH[:1], "bids only"), (BOTH[1:], "asks only"), ((), "not quoting")])
def test_a_bot_without_a_side_is_not_quoting(orders, text, running):
    state = quotes(running, *orders)
    assert quotes_of(running, state, NOW).text == text
    [count] = counted()
    assert (count.expected, count.quoting, count.not_quoting, count.widest) == (1, 0, 1, None)


@pytest.mark.parametrize(
    "values",
    [{"read_at": NOW - timedelta(minutes=4)}, {"source": ReportSource.NONE}, {"source": ReportSource.LOG}],
    ids=["old", "none", "from the log"],
)
def test_without_a_recent_report_nothing_is_claimed(values, running):
    quotes(running, *BOTH, **values)
    [count] = counted()
    assert (count.expected, count.quoting, count.unknown, count.not_quoting) == (1, 0, 1, 0)


def test_a_crashed_bot_quotes_nothing_whatever_it_reported_before(running):
    state = quotes(running, *BOTH)
    running.update(observed_state=BotState.CRASHED)
    assert not quotes_of(running, state, NOW).both_sides
    [count] = counted()
    assert (count.expected, count.quoting) == (1, 0)


@pytest.mark.parametrize("state", [BotState.PAUSED, BotState.STOPPED])
def test_a_bot_at_rest_is_not_expected_to_quote(state, running):
    quotes(running)
    running.update(observed_state=state)
    assert counted() == []


def test_live_and_paper_are_counted_apart_in_one_query(running, bot, make_pmm, deployed, django_assert_num_queries):
    quotes(running, *BOTH)
    paper = deployed(make_pmm(), connector="binance_paper_trade", observed_at=NOW)
    quotes(paper)
    with django_assert_num_queries(1):
        live, simulated = counted()
    assert (live.account_type, live.quoting) == (AccountType.REAL, 1)
    assert (simulated.account_type, simulated.quoting) == (AccountType.PAPER, 0)
    assert QuoteState.objects.count() == 2
