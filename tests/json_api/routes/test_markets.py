"""Quotes, trades, markets, obligations and reports over the JSON API and in a terminal."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from markets.models import BookSample, Obligation, QuoteState, ReportSource
from markets.reading.trades import record_fills
from tests.conftest import count_queries
from tests.markets.conftest import a_fill, deployed, sample  # noqa: F401 - a fixture

ORDERS = [
    {"client_order_id": "B1", "side": "buy", "price": "0.012462", "amount": "1600", "filled": "100"},
    {"client_order_id": "S1", "side": "sell", "price": "0.012538", "amount": "1600", "filled": "0"},
]


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def quoting(bot, deployed, now):  # noqa: F811
    deployment = deployed(bot, observed_at=now)
    QuoteState.objects.create(
        deployment=deployment,
        source=ReportSource.REPORT,
        read_at=now,
        reported_at=now,
        mid_price=Decimal("0.0125"),
        best_bid=Decimal("0.01245"),
        best_ask=Decimal("0.01255"),
        orders=ORDERS,
        balances={"SHARP": {"total": "100000.000000000000000001", "available": ""}},
    )
    BookSample.objects.create(
        server=bot.server,
        connector="bitmart",
        trading_pair="SHARP-USDT",
        taken_at=now,
        best_bid=Decimal("0.01245"),
        best_ask=Decimal("0.01255"),
        bid_depth={"0.5": 100.0, "1": 200.0, "2": None},
        ask_depth={"0.5": 100.0, "1": 200.0, "2": None},
    )
    sample(deployment, now, run=now - timedelta(hours=1), bid_value={"0.5": 25.0, "1": 25.0}, ask_value={"0.5": 0.0})
    return bot


def test_a_bots_orders_are_those_that_are_open_now(quoting, tool):
    answer = tool.get(f"/bots/{quoting.pk}/orders").json()
    assert (answer["source"], answer["quoting"], answer["is_stale"]) == ("report", "both sides", False)
    assert [(order["side"], order["price"], order["filled"]) for order in answer["orders"]] == [
        ("sell", "0.012538", "0"),
        ("buy", "0.012462", "100"),
    ]
    assert answer["spread_percent"] == "0.608"
    assert answer["balances"][0]["total"] == "100000.000000000000000001"


def test_a_bot_that_was_never_deployed_quotes_nothing(bot, tool):
    answer = tool.get(f"/bots/{bot.pk}/orders").json()
    assert (answer["orders"], answer["quoting"], answer["not_quoting"]) == ([], "nothing", "The bot is not deployed.")


def test_trades_are_listed_by_time_and_side(quoting, tool, now):
    fills = [
        a_fill(n, side, price="0.012462123456789012345", filled_at=now - timedelta(days=n))
        for n, side in ((1, "BUY"), (2, "SELL"), (3, "BUY"))
    ]
    record_fills(quoting.deployment, fills)
    path = f"/bots/{quoting.pk}/trades"
    assert [trade["trade_id"] for trade in tool.get(path).json()["results"]] == ["1", "2", "3"]
    assert [trade["trade_id"] for trade in tool.get(f"{path}?side=BUY").json()["results"]] == ["1", "3"]
    since = (now - timedelta(days=2, hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    assert [trade["trade_id"] for trade in tool.get(f"{path}?since={since}").json()["results"]] == ["1", "2"]
    assert [trade["trade_id"] for trade in tool.get(f"{path}?until={since}").json()["results"]] == ["3"]
    [trade] = tool.get(f"{path}?page_size=1").json()["results"]
    assert (trade["price"], trade["fees"], trade["instance"]) == (
        "0.012462123456789012345",
        {"USDT": "0.05"},
        quoting.deployment.instance_name,
    )


@pytest.mark.parametrize("query", ["since=soon", "side=HOLD", "cursor=x"])
def test_a_filter_that_makes_no_sense_is_named(quoting, tool, query):
    answer = tool.get(f"/bots/{quoting.pk}/trades?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_markets_have_their_order_books_and_the_bots_share(quoting, tool):
    [market] = tool.get("/markets").json()["results"]
    assert (market["connector"], market["pair"], market["bots"]) == ("bitmart", "SHARP-USDT", [quoting.pk])
    assert (market["best_bid"], market["problem"]) == ("0.01245", "")
    near, _, far = market["depth"]
    assert (near["bids"], near["own_bid_share"], near["own_ask_share"]) == (100.0, 0.25, 0.0)
    assert (far["bids"], far["own_bid_share"]) == (None, None)


def test_a_book_that_could_not_be_read_says_so(quoting, tool):
    BookSample.objects.update(problem="The server can't reach the exchange.", best_bid=None, best_ask=None)
    [market] = tool.get("/markets").json()["results"]
    assert (market["best_bid"], market["problem"]) == (None, "The server can't reach the exchange.")


def test_many_bots_of_a_market_are_one_market_in_as_many_queries(quoting, make_bot, deployed, tool):  # noqa: F811
    before = count_queries(lambda: tool.get("/markets"))
    for number in range(4):
        deployed(make_bot(name=f"Bot {number}"))
    assert count_queries(lambda: tool.get("/markets")) == before
    [market] = tool.get("/markets").json()["results"]
    assert len(market["bots"]) == 5


def test_markets_are_read_a_page_at_a_time(quoting, make_bot, deployed, tool):  # noqa: F811
    for number, pair in enumerate(("AAA-USDT", "BBB-USDT", "AAA-USDT")):
        deployed(make_bot(name=f"Bot {number}", trading_pair=pair))
    seen, path = [], "/markets?page_size=1"
    while path:
        answer = tool.get(path).json()
        [market] = answer["results"]
        seen.append((market["pair"], len(market["bots"])))
        path = answer["next"]
    assert sorted(seen) == [("AAA-USDT", 2), ("BBB-USDT", 1), ("SHARP-USDT", 1)]


@pytest.mark.parametrize("query", ["pair=sharp/usdt", "connector=bitmart", "server=Sandbox"])
def test_markets_are_found_by_pair_exchange_and_server(quoting, tool, query):
    assert [market["pair"] for market in tool.get(f"/markets?{query}").json()["results"]] == ["SHARP-USDT"]
    assert tool.get(f"/markets?{query}x").json()["results"] == []


def test_obligations_say_how_they_stand(quoting, tool):
    obligation = Obligation.objects.create(
        client=quoting.client, connector="bitmart", trading_pair="SHARP-USDT", max_spread_percent=Decimal("0.5")
    )
    obligation.days.create(day=datetime.now(UTC).date(), met=75, broken=25)
    [answer] = tool.get(f"/clients/{quoting.client_id}/obligations").json()
    assert (answer["terms"], answer["state"], answer["today"]["met"]) == ("spread up to 0.5 %", "met", 0.75)
    assert answer["max_spread_percent"] == "0.5"


def test_the_report_is_that_of_the_last_month_or_of_a_period(quoting, tool):
    path = f"/clients/{quoting.client_id}/report"
    assert tool.get(path).json()["client"] == "Sharp"
    answer = tool.get(f"{path}?first=2026-10-01&last=2026-10-31").json()
    assert (answer["first"], answer["last"], answer["totals"]) == ("2026-10-01", "2026-10-31", [])


@pytest.mark.parametrize(
    ("query", "field"),
    [("first=2026-10-01", "last"), ("last=2026-10-01", "first"), ("first=2026-10-02&last=2026-10-01", "last")],
)
def test_a_report_of_half_a_period_is_refused(quoting, tool, query, field):
    answer = tool.get(f"/clients/{quoting.client_id}/report?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def run(*words: str, noun: str = "bot") -> str:
    out = StringIO()
    call_command(noun, *words, stdout=out)
    return out.getvalue()


def test_a_terminal_shows_orders_and_trades(quoting, now):
    record_fills(quoting.deployment, [a_fill(1, filled_at=now)])
    assert "buy   1600 at 0.012462" in run("orders", str(quoting.pk))
    assert json.loads(run("orders", str(quoting.pk), "--json"))["quoting"] == "both sides"
    assert "BUY  1600 SHARP-USDT at 0.0125" in run("trades", str(quoting.pk))
    assert json.loads(run("trades", str(quoting.pk), "--json"))[0]["trade_id"] == "1"


def test_a_terminal_shows_markets_and_obligations(quoting):
    Obligation.objects.create(
        client=quoting.client,
        connector="bitmart",
        trading_pair="SHARP-USDT",
        max_spread_percent=Decimal("0.5"),
        reason="The spread was 0.6 %.",
    )
    assert "SHARP-USDT on bitmart, Sandbox: 0.01245 / 0.01255" in run(noun="markets")
    assert json.loads(run("--json", noun="markets"))[0]["bots"] == [quoting.pk]
    shown = run("obligations", str(quoting.client_id), noun="client")
    assert "spread up to 0.5 %: not_measured" in shown and "The spread was 0.6 %." in shown
    assert json.loads(run("obligations", str(quoting.client_id), "--json", noun="client"))[0]["pair"] == "SHARP-USDT"
