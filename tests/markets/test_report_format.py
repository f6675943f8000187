"""A bot's report is taken as far as it can be read, and what it leaves out is named. See ``docs/reports.md``."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.models import BotState
from markets.models import QuoteSample, QuoteState, ReportSource
from markets.reading.quotes import read_quotes
from markets.report_format import BotReport, find_report, value_within
from tests.markets.conftest import NOW

#: As the page of the docs has it.
REPORT: dict[str, Any] = {
    "report_version": 1,
    "connector": "bitmart",
    "trading_pair": "SHARP-USDT",
    "reported_at": 1795927945.5,
    "started_at": 1795927918.0,
    "final": False,
    "mid_price": "0.0125",
    "best_bid": "0.01245",
    "best_ask": "0.01255",
    "balances": {"SHARP": {"total": "1602000", "available": "1600400"}},
    "orders": [
        {
            "client_order_id": "B1",
            "exchange_order_id": "7",
            "side": "buy",
            "price": "0.012462",
            "amount": "1600",
            "filled": "600",
            "created_at": 1795927940.0,
        }
    ],
    "not_quoting": "",
    "last_rejection": {"at": 1795927930.0, "reason": "Balance not enough"},
    "counters": {
        "running_seconds": "27",
        "connected_seconds": "20",
        "quoting_seconds": "15.5",
        "spread_percent_seconds": "9.3",
        "bid_depth_seconds": {"0.5": "310", "1": "310", "2": "310"},
        "ask_depth_seconds": {"0.5": "310"},
        "buys": 2,
        "sells": 1,
        "rejections": 3,
    },
}


def read(info: Any, performance: Any = None, name: str = "spread") -> BotReport | None:
    return find_report({name: {"custom_info": info, "performance": performance or {}}}, str)


def test_the_report_of_the_docs_is_read_whole():
    report = read(REPORT, {"realized_pnl_quote": 0.12, "close_type_counts": {}})
    assert report.missing == []
    assert (report.mid_price, report.best_bid) == (Decimal("0.0125"), Decimal("0.01245"))
    assert report.reported_at == datetime(2026, 11, 29, 4, 52, 25, 500000, UTC)
    [order] = report.orders
    assert (order.left, order.value) == (1000, Decimal("12.462"))
    assert (report.counters.quoting, report.counters.fills, report.counters.rejections) == (15.5, 3, 3)
    assert (report.last_rejection, report.performance) == ("Balance not enough", {"realized_pnl_quote": 0.12})


def test_a_controller_publishes_it_under_its_own_name_beside_others():
    published = {
        "other": {"custom_info": {}, "performance": {}},
        "mine": {"custom_info": REPORT, "performance": {}},
        "third": None,
    }
    assert find_report(published, str).mid_price == Decimal("0.0125")


@pytest.mark.parametrize("info", [None, {}, [], "text", {"report_version": 2}, {"mid_price": "1"}])
def test_what_is_no_report_of_this_version_is_none(info):
    assert read(info) is None


def test_numbers_are_taken_where_text_is_expected():
    report = read(REPORT | {"mid_price": 0.0125, "counters": {"running_seconds": 27}})
    assert (report.mid_price, report.counters.running) == (Decimal("0.0125"), 27.0)


@pytest.mark.parametrize("part", ["mid_price", "orders", "balances", "counters"])
def test_a_part_that_is_left_out_is_named(part):
    assert read({name: value for name, value in REPORT.items() if name != part}).missing == [part]


@pytest.mark.parametrize(
    "broken", [None, 7, "x", [], {}, {"side": "hold", "price": "1", "amount": "1"}, {"side": "buy"}]
)
def test_an_order_that_cannot_be_read_does_not_hide_the_others(broken):
    assert len(read(REPORT | {"orders": [broken, *REPORT["orders"]]}).orders) == 1


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "0", "1e999999", "1e-999999", 1e300, "soon", None, [], {}])
def test_a_price_that_is_none_is_not_known(value):
    report = read(REPORT | {"mid_price": value})
    assert report.mid_price is None


@pytest.mark.parametrize(
    "value",
    [
        *(1e300, -1e18, 1795927940000, "NaN", "soon", "0001-01-01T00:00:00+23:59", None),
        "9999-12-31T23:59:59.999999",  # as a float, it is in the year 10000
    ],
)
def test_of_an_order_whose_time_is_none_the_age_is_not_known(value):
    (order,) = read(REPORT | {"orders": [REPORT["orders"][0] | {"created_at": value}]}).orders
    assert order.created_at is None


@pytest.mark.parametrize("value", ["NaN", "-5", None, [], "soon", "1e400", 1e300, pytest.param(10**400, id="10**400")])
def test_a_counter_that_is_none_counts_nothing(value):
    counters = read(REPORT | {"counters": {"running_seconds": value, "bid_depth_seconds": {"0.5": value}}}).counters
    assert (counters.running, counters.bid_depth) == (0.0, {"0.5": 0.0})


@pytest.mark.parametrize("value", [pytest.param(10**400, id="10**400"), 1e300, 2**31, -1, "NaN", None])
def test_a_number_of_fills_or_rejections_that_is_none_is_not_known(value):
    counters = read(REPORT | {"counters": {"buys": value, "sells": 1, "rejections": value}}).counters
    assert (counters.fills, counters.rejections) == (None, None)


def test_no_report_is_too_long_to_be_stored():
    orders = [REPORT["orders"][0] | {"client_order_id": "x" * 10_000} for _ in range(5000)]
    report = read(REPORT | {"orders": orders, "not_quoting": "long " * 10_000})
    assert (len(report.orders), len(report.orders[0].client_order_id), len(report.not_quoting)) == (200, 500, 500)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.fixed_dictionaries({}, optional={name: JSON for name in REPORT if name != "report_version"}))
def test_whatever_a_script_publishes_is_read_without_an_error(info):
    report = read(info | {"report_version": 1})
    json.dumps([order.as_json() for order in report.orders or ()])
    json.dumps(report.balances)


def test_the_value_of_orders_counts_within_a_distance_of_the_mid_price():
    orders = read(REPORT).orders
    # 0.012462 is 0.304 % from 0.0125.
    assert value_within(orders, "buy", Decimal("0.0125")) == {"0.5": 12.462, "1": 12.462, "2": 12.462}
    assert value_within(orders, "buy", Decimal("0.0126")) == {"0.5": 0.0, "1": 0.0, "2": 12.462}
    assert value_within(orders, "sell", Decimal("0.0125")) == {"0.5": 0.0, "1": 0.0, "2": 0.0}
    assert value_within(orders, "buy", None) == {}


# --- storing it -----------------------------------------------------------------------------------------------------


class Status:
    def __init__(self, info: Any) -> None:
        self.performance = {"spread": {"custom_info": info, "performance": {}}}


class API:
    """A server whose bot publishes this."""

    def __init__(self, info: Any) -> None:
        self.bots, self.info = self, info

    def status(self, name: str) -> Status:
        return Status(self.info)


def test_the_latest_report_and_its_counters_are_stored(bot, deployed):
    deployment = deployed(bot)
    read_quotes(API(REPORT), deployment, NOW)
    state, sample = QuoteState.objects.get(), QuoteSample.objects.get()
    assert (state.source, state.mid_price, len(state.orders)) == (ReportSource.REPORT, Decimal("0.0125"), 1)
    assert (sample.quoting, sample.base_total, sample.quote_total) == (15.5, Decimal(1602000), None)
    assert sample.bid_value == {"0.5": 12.462, "1": 12.462, "2": 12.462}
    read_quotes(API(REPORT), deployment, NOW)  # the same poll once more
    assert QuoteSample.objects.count() == 1


@pytest.mark.parametrize("info", [{}, None, {"report_version": 9}])
def test_a_bot_without_a_report_has_the_orders_of_its_log(bot, deployed, info):
    orders = [
        {"client_order_id": "B1", "side": "BUY", "price": "0.012", "amount": "5", "exchange_order_id": ""},
        {"client_order_id": "S1"},  # of which only the id is known
    ]
    deployment = deployed(bot, observed_state=BotState.RUNNING, open_orders=orders, logs_read_at=NOW)
    read_quotes(API(info), deployment, NOW)
    state = QuoteState.objects.get()
    assert (state.source, state.reported_at, state.missing) == (ReportSource.LOG, NOW, ["report"])
    assert [(order["side"], order["price"]) for order in state.orders] == [("buy", "0.012")]
    assert not QuoteSample.objects.exists()


@pytest.mark.parametrize(
    "published",
    [
        {"notes": "x" * 1_000_000},
        {"x" * 1_000_000: 1},
        {"not_quoting": "x" * 1_000_000},
        {"last_rejection": {"reason": "x" * 1_000_000}},
        {"balances": {f"{'x' * 100}{number}": {"total": 1} for number in range(10_000)}},
        {"orders": [REPORT["orders"][0] | {"client_order_id": "x" * 100_000}] * 200},
    ],
)
def test_of_megabytes_no_more_is_masked_than_is_kept(published):
    masked = []
    find_report({"spread": {"custom_info": REPORT | published}}, lambda text: masked.append(text) or text)
    assert 0 < sum(map(len, masked)) <= 200 * 3 * 5_000


def test_a_secret_that_is_cut_where_a_text_ends_is_masked():
    def mask(text: str) -> str:
        return text.replace("planted-secret", "•••")

    report = find_report({"spread": {"custom_info": REPORT | {"not_quoting": "x" * 495 + "planted-secret"}}}, mask)
    assert report.not_quoting == "x" * 495 + "•••"
