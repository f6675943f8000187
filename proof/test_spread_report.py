# ruff: noqa: S101
"""Proof that `spread` publishes the report of `docs/reports.md`, tick by tick, and quotes whatever happens to it."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import asyncio
import json
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hummingbot.core.data_type.common import OrderType, TradeType
from hummingbot.core.data_type.in_flight_order import InFlightOrder, OrderState, TradeUpdate
from hummingbot.core.data_type.trade_fee import AddedToCostTradeFee, DeductedFromReturnsTradeFee, TokenAmount
from hummingbot.core.event.events import OrderFilledEvent
from stage import PAIR, START, bitmart, simulated_market
from test_spread import ASK, BID, Moody, script, stage

BUY, SELL = TradeType.BUY, TradeType.SELL


@pytest.fixture
def publishing(stage):
    """Makes plays whose bot has an MQTT broker, and returns them with what they publish."""

    def make(market=None, **changes):
        play = stage(market or bitmart(), **changes)
        reports: list[dict] = []
        play.strategy.mqtt_enabled, play.strategy._pub = True, reports.append
        return play, reports

    return make


def report_of(published: dict) -> dict:
    return published["spread"]["custom_info"]


def fill(side: TradeType, price: str, amount: str, fee=None, order_id: str = "any") -> OrderFilledEvent:
    fee = fee or AddedToCostTradeFee()
    return OrderFilledEvent(START, order_id, PAIR, side, OrderType.LIMIT, Decimal(price), Decimal(amount), fee)


# --- when ---


async def test_it_publishes_at_once_and_then_every_ten_seconds(publishing):
    play, reports = publishing()
    await play.until(31)
    assert [report_of(r)["reported_at"] - START for r in reports] == [1, 11, 21, 31]


async def test_the_topic_and_the_shape_are_those_of_a_controller(publishing):
    play, reports = publishing()
    await play.until(11)
    assert set(reports[-1]) == {"spread"}
    assert set(reports[-1]["spread"]) == {"performance", "custom_info"}
    assert json.loads(json.dumps(reports)) == reports


async def test_without_a_broker_it_quotes_and_publishes_nothing(stage):
    play = stage()
    assert not play.strategy.mqtt_enabled
    await play.until(62)
    assert play.orders == []
    await play.until(64)
    assert play.orders == [BID, ASK]
    await play.stop()
    assert play.orders == []


async def test_the_last_report_comes_before_the_stop_and_has_no_orders(publishing):
    play, reports = publishing()
    await play.first_quotes()
    stopped = []
    end = play.strategy.executor_orchestrator.stop

    async def note(*args):
        stopped.append(len(reports))
        await end(*args)

    play.strategy.executor_orchestrator.stop = note
    await play.stop()
    final = report_of(reports[stopped[0] - 1])
    assert final["final"] is True
    assert final["orders"] == []
    # What Hummingbot itself publishes at a stop has no controller in it.
    assert [r for r in reports[stopped[0] :] if r] == []


@pytest.mark.parametrize("fault", [RuntimeError("no broker"), ValueError(), KeyError("spread"), OSError(32, "pipe")])
async def test_whatever_happens_to_its_reports_it_quotes_on_and_says_so_once(publishing, caplog, fault):
    play, _ = publishing()

    def refuse(message):
        raise fault

    play.strategy._pub = refuse
    await play.until(64)
    assert play.orders == [BID, ASK]
    assert [r.message for r in caplog.records if "No report" in r.message] == [f"No report: {fault!r}."]
    await play.stop()
    assert play.orders == []


async def test_a_fill_that_it_cannot_count_does_not_keep_it_from_quoting(publishing):
    play, _ = publishing()
    play.strategy.did_fill_order(SimpleNamespace(trading_pair=PAIR))
    await play.first_quotes()
    assert play.orders == [BID, ASK]


# --- the market, the orders, the balances ---


async def test_it_has_the_best_prices_the_orders_and_the_balances(publishing):
    play, reports = publishing()
    await play.until(11)
    report = report_of(reports[-1])
    assert (report["report_version"], report["connector"], report["trading_pair"]) == (1, "bitmart", PAIR)
    assert (report["best_bid"], report["best_ask"], report["mid_price"]) == ("0.01245", "0.01255", "0.0125")
    # Bound are 1600 SHARP, and 1600 * 0.012462 = 19.9392 USDT with BitMart's fee of 0.25 %, 0.049848.
    assert report["balances"] == {
        "SHARP": {"total": "100000", "available": "98400"},
        "USDT": {"total": "1000", "available": "980.010952"},
    }
    found = [(o["side"], o["price"], o["amount"], o["filled"], o["created_at"] - START) for o in report["orders"]]
    assert sorted(found) == [("buy", "0.012462", "1600", "0", 2), ("sell", "0.012538", "1600", "0", 2)]
    assert all(o["exchange_order_id"] == f"exchange-{o['client_order_id']}" for o in report["orders"])
    assert report["not_quoting"] == ""
    assert report["final"] is False


async def test_a_simulated_exchange_has_no_ids_of_its_own(publishing):
    play, reports = publishing(simulated_market())
    await play.until(11)
    assert [(o["side"], o["exchange_order_id"]) for o in report_of(reports[-1])["orders"]] == [
        ("buy", ""),
        ("sell", ""),
    ]


async def test_an_order_that_the_exchange_has_not_confirmed_is_no_quote(publishing):
    market, never = bitmart(), asyncio.Event()

    async def hang(*args, **kwargs):
        await never.wait()

    market._place_order = hang
    play, reports = publishing(market)
    await play.until(21)
    assert report_of(reports[-1])["orders"] == []
    assert report_of(reports[-1])["counters"]["quoting_seconds"] == "0"


async def test_it_says_in_the_exchanges_words_why_an_order_was_rejected(publishing):
    market = bitmart()

    async def reject(*args, **kwargs):
        raise OSError("Balance not enough")

    market._place_order = reject
    play, reports = publishing(market)
    await play.until(11)
    report = report_of(reports[-1])
    assert report["counters"]["rejections"] == 2
    assert "Balance not enough" in report["last_rejection"]["reason"]
    assert report["last_rejection"]["at"] >= START
    assert report["orders"] == []


async def test_it_says_which_side_the_balance_does_not_pay_for(publishing):
    play, reports = publishing(bitmart(usdt="5"))
    await play.until(11)
    reason = "No bid of 1600.0 SHARP-USDT at 0.012462: the available balance does not pay for it."
    assert report_of(reports[-1])["not_quoting"] == reason
    assert [o["side"] for o in report_of(reports[-1])["orders"]] == ["sell"]


async def test_it_reports_also_while_its_market_is_not_ready(publishing):
    market = simulated_market(Moody)
    market.up = False
    play, reports = publishing(market)
    await play.until(11)
    report = report_of(reports[-1])
    assert report["not_quoting"] == "mock_paper_exchange is not ready."
    assert report["counters"]["running_seconds"] == "10"
    assert report["counters"]["connected_seconds"] == "0"


async def test_without_a_mid_price_its_prices_are_missing(publishing):
    play, reports = publishing(simulated_market())
    play.market.new_empty_order_book(PAIR)
    await play.until(11)
    published = reports[-1]
    assert not {"mid_price", "best_bid", "best_ask"} & set(report_of(published))
    assert not {"unrealized_pnl_quote", "global_pnl_quote"} & set(published["spread"]["performance"])
    assert report_of(published)["not_quoting"] == "The order book has no mid price: waiting, nothing is placed."


# --- the counters ---


async def test_the_counters_of_a_minute_of_quotes(publishing):
    play, reports = publishing()
    # The second 2 places, so that the tick of second 3 finds the first second of quotes: 60 of them until second 62,
    # whose refresh cancels.
    await play.until(62)
    play.strategy._publish()
    counters = report_of(reports[-1])["counters"]
    assert counters["running_seconds"] == "61"  # the first tick begins the count
    assert counters["connected_seconds"] == "61"
    assert counters["quoting_seconds"] == "60"
    # 0.012538 - 0.012462 = 0.000076 are 0.608 % of 0.0125.
    assert Decimal(counters["spread_percent_seconds"]) == Decimal("0.608") * 60
    # Both orders are 0.304 % from the mid price: 1600 * 0.012462 = 19.9392 and 1600 * 0.012538 = 20.0608.
    assert counters["bid_depth_seconds"] == dict.fromkeys(("0.5", "1", "2"), str(Decimal("19.9392") * 60).rstrip("0"))
    assert counters["ask_depth_seconds"] == dict.fromkeys(("0.5", "1", "2"), str(Decimal("20.0608") * 60).rstrip("0"))


async def test_an_order_counts_for_the_distances_that_it_is_within(publishing):
    play, reports = publishing(bid_spread="0.015", ask_spread="0.03")
    await play.until(11)
    counters = report_of(reports[-1])["counters"]
    # 0.0125 * 0.985 = 0.0123125, rounded down: 0.012312, 1.504 % away. The ask is 3 % away. 8 seconds of quotes.
    assert counters["bid_depth_seconds"] == {"0.5": "0", "1": "0", "2": str(Decimal("0.012312") * 1600 * 9).rstrip("0")}
    assert counters["ask_depth_seconds"] == {"0.5": "0", "1": "0", "2": "0"}


@pytest.mark.parametrize("loss", ["up", "connected"])
async def test_seconds_without_a_connection_are_not_counted_as_connected(publishing, loss):
    market = simulated_market(Moody)
    play, reports = publishing(market)
    await play.until(11)
    setattr(market, loss, False)
    await play.until(31)
    first, last = (report_of(r)["counters"] for r in (reports[1], reports[-1]))
    assert Decimal(last["running_seconds"]) - Decimal(first["running_seconds"]) == 20
    assert Decimal(last["connected_seconds"]) - Decimal(first["connected_seconds"]) == 0
    assert last["quoting_seconds"] == first["quoting_seconds"]


async def test_the_time_that_its_container_was_paused_is_not_counted(publishing):
    play, reports = publishing()
    await play.until(11)
    play.strategy._measure(START + 3600)
    play.strategy._publish()
    first, last = (report_of(r)["counters"] for r in reports[-2:])
    assert Decimal(last["running_seconds"]) - Decimal(first["running_seconds"]) == Decimal(5)


async def test_counters_only_grow(publishing):
    market = bitmart()
    play, reports = publishing(market, order_refresh_time=7)
    for second in range(5, 200, 25):
        await play.until(second)
        if market.alive:
            market.fill("0.012462")
    seen = [report_of(r)["counters"] for r in reports]
    for name in ("running_seconds", "connected_seconds", "quoting_seconds", "spread_percent_seconds", "buys"):
        values = [Decimal(counters[name]) for counters in seen]
        assert values == sorted(values)
    assert int(seen[-1]["buys"]) > 3


# --- the money ---


async def test_a_fill_of_the_real_connector_is_counted_once(publishing):
    market = bitmart()
    play, reports = publishing(market)
    await play.until(11)
    market.fill("0.012462")
    await play.until(21)
    report, performance = report_of(reports[-1]), reports[-1]["spread"]["performance"]
    counters = report["counters"]
    assert (counters["buys"], counters["sells"], counters["buy_volume_quote"]) == (1, 0, "19.9392")
    assert counters["maker_volume_quote"] == "19.9392"  # it had been on the book for nine seconds
    assert performance["inventory_base"] == 1600
    assert performance["average_cost_quote"] == 0.012462
    assert performance["realized_pnl_quote"] == 0
    # 1600 * (0.0125 - 0.012462) = 0.0608
    assert performance["unrealized_pnl_quote"] == pytest.approx(0.0608)
    assert performance["volume_traded"] == 19.9392


async def test_an_order_that_is_filled_at_once_was_no_maker(publishing):
    market = bitmart()
    play, reports = publishing(market)
    await play.first_quotes()
    market.fill("0.012462")
    await play.until(11)
    assert report_of(reports[-1])["counters"]["maker_volume_quote"] == "0"


async def test_a_late_fill_of_an_earlier_run_is_counted_as_a_makers(publishing):
    market = bitmart()
    left = InFlightOrder("HBOT-old", PAIR, OrderType.LIMIT, BUY, Decimal(1600), START, Decimal("0.012"))
    left.exchange_order_id, left.current_state = "7", OrderState.OPEN
    market.restore_tracking_states({"HBOT-old": left.to_json()})
    play, reports = publishing(market)
    await play.until(1)
    market._order_tracker.process_trade_update(
        TradeUpdate(
            trade_id="late",
            client_order_id="HBOT-old",
            exchange_order_id="7",
            trading_pair=PAIR,
            fill_timestamp=START - 500,
            fill_price=Decimal("0.012"),
            fill_base_amount=Decimal(600),
            fill_quote_amount=Decimal("7.2"),
            fee=AddedToCostTradeFee(),
        )
    )
    await play.until(11)
    counters = report_of(reports[-1])["counters"]
    assert (counters["buys"], counters["buy_volume_quote"], counters["maker_volume_quote"]) == (1, "7.2", "7.2")


async def test_a_fill_in_another_pair_is_not_its_own(publishing):
    play, reports = publishing()
    play.strategy.did_fill_order(fill(BUY, "1", "1")._replace(trading_pair="BTC-USDT"))
    await play.until(1)
    assert report_of(reports[-1])["counters"]["buys"] == 0


def percent(rate: str) -> AddedToCostTradeFee:
    return AddedToCostTradeFee(percent=Decimal(rate))


def flat(token: str, amount: str) -> DeductedFromReturnsTradeFee:
    return DeductedFromReturnsTradeFee(flat_fees=[TokenAmount(token, Decimal(amount))])


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        # Bought at 10 and at 20, so 15 on average; sold one at 18.
        (
            [fill(BUY, "10", "1"), fill(BUY, "20", "1"), fill(SELL, "18", "1")],
            {"realized": 3, "inventory": 1, "average_cost": 15},
        ),
        # Sold first: the profit comes from buying lower.
        ([fill(SELL, "10", "4"), fill(BUY, "7", "3")], {"realized": 9, "inventory": -1, "average_cost": 10}),
        # From long to short in one fill: 2 closed at +1 each, 3 opened at 11.
        ([fill(BUY, "10", "2"), fill(SELL, "11", "5")], {"realized": 2, "inventory": -3, "average_cost": 11}),
        ([fill(BUY, "10", "2"), fill(SELL, "9", "2")], {"realized": -2, "inventory": 0, "average_cost": 0}),
        # 0.25 % of 20; a flat fee in quote; 0.1 base at 10.
        ([fill(BUY, "10", "2", percent("0.0025"))], {"fees": Decimal("0.05")}),
        ([fill(SELL, "10", "2", flat("USDT", "0.05"))], {"fees": Decimal("0.05"), "realized": 0}),
        ([fill(BUY, "10", "2", flat("SHARP", "0.1"))], {"fees": 1}),
        ([fill(BUY, "10", "2", flat("BNB", "0.1"))], {"fees": 0, "fees_other": {"BNB": Decimal("0.1")}}),
    ],
)
def test_profit_by_average_cost_with_fees_apart(script, fills, expected):
    counted = script.Fills()
    for one in fills:
        counted.add(one, rested=True)
    assert {name: getattr(counted, name) for name in expected} == expected


def test_the_profit_of_all_is_net_of_fees(script):
    counted = script.Fills()
    for one in (fill(BUY, "10", "2", percent("0.01")), fill(SELL, "12", "1", percent("0.01"))):
        counted.add(one, rested=True)
    # 2 realized, 1 * (13 - 10) = 3 unrealized, 0.20 + 0.12 of fees, on a volume of 32.
    performance = counted.performance(Decimal(13))
    assert performance["realized_pnl_quote"] == 2
    assert performance["unrealized_pnl_quote"] == 3
    assert performance["fees_quote"] == pytest.approx(0.32)
    assert performance["global_pnl_quote"] == pytest.approx(4.68)
    assert performance["global_pnl_pct"] == pytest.approx(4.68 / 32)


@pytest.mark.parametrize(
    ("number", "text"),
    [(Decimal("1E+3"), "1000"), (Decimal("0.00001250"), "0.0000125"), (0.1, "0.1"), (Decimal(0), "0"), (10, "10")],
)
def test_amounts_are_plain_text(script, number, text):
    assert script.plain(number) == text
