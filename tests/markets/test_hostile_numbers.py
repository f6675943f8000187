"""Whatever numbers one bot publishes or trades: every page answers, and the other bots are read."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Server
from hummingbot_api import reading
from hummingbot_api.resources.fills import archived_fill, live_fill
from markets.figures.ledgers import keep_ledgers
from markets.models import QuoteSample, QuoteState, Trade, TradeReading
from markets.reading.poll import read_markets
from markets.reading.quotes import read_quotes
from markets.reading.trades import record_fills
from tests.markets.conftest import MINUTE, a_fill, book_sample, sample
from tests.markets.test_report_format import API, REPORT

#: The largest and the smallest that are read, and some that are not.
NUMBERS = ["9e60", "1e-60", "1e61", "1e999999999", "1e-999999999", 1e300, 10**400, "1e400", "NaN"]
PAGES_OF_BOT = ["bots_bot_now", "bots_bot_performance", "markets_bot_trades", "bots_bot_change"]


def named(value: Any) -> str:
    return str(value)[:12]


@pytest.fixture
def deployment(bot, deployed):
    return deployed(bot, sent_at=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def check_pages(deployment, admin_client):
    """Open every page that has a figure of the bot's market in it."""

    def check_pages() -> None:
        client = deployment.bot.client_id
        addresses = [
            *(reverse(f"admin:{name}", args=[deployment.bot_id]) for name in PAGES_OF_BOT),
            *(reverse(name) for name in ("admin:index", "home_now", "markets", "admin:markets_trade_changelist")),
            *(reverse(name, args=[client]) for name in ("client", "client_markets", "client_report_json")),
            *(reverse(name, args=[client]) for name in ("client_report", "client_report_xlsx")),
            reverse("admin:bots_bot_changelist"),
            reverse("admin:markets_trade_export", args=["csv"]),
            reverse("admin:markets_trade_export", args=["xlsx"]),
        ]
        statuses = {address: admin_client.get(address).status_code for address in addresses}
        assert set(statuses.values()) == {200}, statuses

    return check_pages


def a_report(number: Any) -> dict[str, Any]:
    """A report in which every number is this one; its orders and its balances are there whatever it is."""
    order = REPORT["orders"][0]
    counted = dict.fromkeys([name for name in REPORT["counters"] if not name.endswith("depth_seconds")], number)
    depths = dict.fromkeys(("bid_depth_seconds", "ask_depth_seconds"), dict.fromkeys(("0.5", "1", "2"), number))
    return REPORT | {
        "reported_at": datetime.now(UTC).timestamp(),
        "orders": [
            order | {"side": side, name: number} for name in ("price", "amount", "filled") for side in ("buy", "sell")
        ],
        "balances": {asset: {"total": number, "available": number} for asset in ("SHARP", "USDT")},
        "counters": counted | depths,
    }


@pytest.mark.one_in(10, "each number: some of them in a shorter run")
@pytest.mark.parametrize("number", NUMBERS, ids=named)
@pytest.mark.parametrize("has_price", [True, False])
def test_every_page_answers_whatever_a_bot_publishes(number, has_price, deployment, check_pages):
    now = datetime.now(UTC)
    book_sample(deployment, now, "0.0124", "0.0126")
    report = a_report(number) | ({} if has_price else dict.fromkeys(("mid_price", "best_bid", "best_ask"), number))
    for minutes in (1, 0):
        read_quotes(API(report), deployment, now - minutes * MINUTE)
    check_pages()


@pytest.mark.parametrize("time", ["0001-01-01", "0002-01-01", "9998-12-31T23:59:59", "9999-12-31T23:59:59.999999"])
def test_every_page_answers_whatever_times_a_bot_publishes(time, deployment, check_pages):
    orders = [REPORT["orders"][0] | {"side": side, "created_at": time} for side in ("buy", "sell")]
    rejection = {"at": time, "reason": "Balance not enough"}
    times = {"reported_at": time, "started_at": time, "last_rejection": rejection}
    read_quotes(API(REPORT | times | {"orders": orders}), deployment, datetime.now(UTC))
    read_quotes(API(REPORT | times | {"orders": []}), deployment, datetime.now(UTC))
    check_pages()


@pytest.mark.one_in(6, "each number: some of them in a shorter run")
@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "1.2.3", "-", "e", "-5"])
def test_an_order_of_the_log_without_a_price_is_not_shown(number, deployment, check_pages):
    whole = {"client_order_id": "B1", "side": "BUY", "price": "0.012", "amount": "5", "exchange_order_id": ""}
    deployment.update(open_orders=[whole, whole | {"price": number}, whole | {"amount": number}])
    read_quotes(API(None), deployment, datetime.now(UTC))
    assert [order["price"] for order in QuoteState.objects.get().orders] == ["0.012"]
    check_pages()


def a_trade(number: Any, of: str, key: str) -> dict[str, Any]:
    return {
        "exchange_trade_id": key,
        "connector_name": "bitmart",
        "trading_pair": "SHARP-USDT",
        "trade_type": "BUY" if of == "price" else "SELL",
        "price": "0.0125",
        "amount": "1600",
        "timestamp": datetime.now(UTC).timestamp() * 1000 - 60_000,
        of: number,
    }


@pytest.mark.parametrize("number", ["9e60", "1e-60"])
def test_every_page_answers_whatever_a_bot_trades(number, deployment, check_pages):
    cases = [("price", "p"), ("amount", "a"), ("trade_fee_in_quote", "f")]
    record_fills(deployment, [archived_fill(a_trade(number, of, key)) for of, key in cases])
    percent = {"trade_fee": {"percent": number, "flat_fees": [{"token": "BNB", "amount": number}]}}
    record_fills(deployment, [live_fill(LIVE | {"price": number, "quantity": number, "raw_json": percent})])
    record_fills(deployment, [a_fill(9, "SELL", filled_at=datetime.now(UTC))])
    assert Trade.objects.count() == 5
    keep_ledgers(datetime.now(UTC) + timedelta(days=1))
    check_pages()


@pytest.mark.parametrize("timestamp", [-62104060800000, 0, 253370764799000, 1e300])
def test_every_page_answers_whenever_a_bot_trades(timestamp, deployment, check_pages):
    """At the begin of the year 2, in 1970, at the end of 9998, or never."""
    fills = reading.readable([a_trade(timestamp, "timestamp", "t")], archived_fill)
    record_fills(deployment, fills)
    record_fills(deployment, [a_fill(9, "SELL", filled_at=datetime.now(UTC))])
    check_pages()


LIVE = {
    "trade_id": "l",
    "market": "bitmart",
    "symbol": "SHARP-USDT",
    "trade_type": "BUY",
    "quote_asset": "USDT",
    "trade_timestamp": datetime.now(UTC).timestamp() * 1000 - 60_000,
}


@pytest.mark.parametrize("seconds", [float("inf"), 1e60, 1e12])
def test_every_page_answers_although_such_a_counter_is_stored(seconds, deployment, check_pages):
    """As a panel stored it that read such a number."""
    now, run = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=1)
    for minutes in (2, 1):
        endless = dict.fromkeys(("running", "connected", "quoting", "spread"), seconds)
        sample(deployment, now - minutes * MINUTE, run=run, **endless)
    check_pages()


# --- reading --------------------------------------------------------------------------------------------------------


class Bots:
    """A server's bots and archives, by the name of an instance: what a bot says, or what reading it raises."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.bots = self.archives = self
        self.said = said

    def status(self, name: str) -> SimpleNamespace:
        if isinstance(self.said[name], Exception):
            raise self.said[name]
        return SimpleNamespace(performance={"spread": {"custom_info": self.said[name], "performance": {}}})

    def fills(self, name: str, *args: Any, **options: Any) -> list[Any]:
        return [archived_fill(a_trade("0.0125", "price", name[-6:]))] if self.orders(name) == [] else []

    def orders(self, name: str) -> list[Any]:
        if isinstance(self.said[name], Exception):
            raise self.said[name]
        return []


@pytest.fixture
def read(server, monkeypatch):
    """Read the markets of a server whose bots say this."""

    def read(said: dict[str, Any]) -> None:
        @contextmanager
        def api(**options: Any):
            yield Bots(said)

        monkeypatch.setattr(Server, "api", lambda self, **options: api())
        monkeypatch.setattr("markets.reading.poll.read_books", lambda *args: None)
        read_markets(server)

    return read


@pytest.fixture
def other(make_bot, deployed):
    return deployed(make_bot(name="Second"), sent_at=datetime.now(UTC) - timedelta(days=1))


UNEXPECTED = [OverflowError("It is too large."), ArithmeticError(), TypeError(), RecursionError(), MemoryError()]


@pytest.mark.parametrize("problem", UNEXPECTED, ids=repr)
def test_one_bot_that_can_not_be_read_takes_nothing_from_the_others(problem, deployment, other, read, caplog):
    read({deployment.instance_name: problem, other.instance_name: REPORT})
    assert [state.deployment for state in QuoteState.objects.exclude(reported_at=None)] == [other]
    assert [trade.deployment for trade in Trade.objects.all()] == [other]
    assert f"{deployment} could not be read" in caplog.text


@pytest.mark.parametrize("problem", UNEXPECTED, ids=repr)
def test_nor_does_one_archive(problem, deployment, other, read, caplog):
    deployment.update(ended_at=datetime.now(UTC))
    other.update(ended_at=datetime.now(UTC) - timedelta(hours=1))
    read({deployment.instance_name: problem, other.instance_name: None})
    assert [trade.deployment for trade in Trade.objects.all()] == [other]
    assert TradeReading.objects.get(deployment=deployment).tried_at is not None  # it is tried again after the others
    assert f"{deployment} could not be read" in caplog.text


@pytest.mark.parametrize("number", NUMBERS, ids=named)
def test_whatever_one_bot_publishes_the_others_are_read(number, deployment, other, read):
    read({deployment.instance_name: a_report(number), other.instance_name: REPORT})
    assert QuoteSample.objects.filter(deployment=other).exists()
    assert QuoteState.objects.get(deployment=deployment).reported_at is not None
