# ruff: noqa: S101
"""Proof of the settings of `pmm_simple` on the wheel's own market making base, executors and BitMart connector.

All that pmm_simple does is in that base; its module only adds the choice of the executor. With `PROOF_CONTROLLERS`
the same tests run the server's module.
"""

from decimal import Decimal

import pytest
from hummingbot.core.data_type.common import MarketDict, OrderType, PositionMode, TradeType
from hummingbot.strategy_v2.controllers.market_making_controller_base import MarketMakingControllerConfigBase
from pydantic import ValidationError
from stage import PAIR, bitmart, rendered

SETTINGS = {"total_amount_quote": 80, "buy_spreads": [0.003, 0.006], "sell_spreads": [0.003, 0.006]}
# 80 USDT in four alike orders: 20 each. Prices are rounded down to 0.000001, amounts to 0.1. This base multiplies
# by the float's binary value, which for 0.006 is a trace more than 0.006.
QUOTES = [
    ("bid", Decimal("0.012462"), Decimal("1604.8")),  # 0.0125 * 0.997 = 0.0124625; 20 / 0.0124625 = 1604.81...
    ("bid", Decimal("0.012424"), Decimal("1609.6")),  # 0.0125 * 0.994 = 0.012425 less a trace; 20 / ... = 1609.65...
    ("ask", Decimal("0.012575"), Decimal("1590.4")),  # 0.0125 * 1.006 = 0.012575; 20 / 0.012575 = 1590.45...
    ("ask", Decimal("0.012537"), Decimal("1595.2")),  # 0.0125 * 1.003 = 0.0125375; 20 / 0.0125375 = 1595.21...
]


# --- the config ---


def test_it_accepts_what_the_panel_renders(load):
    (config,) = load("pmm_simple", **SETTINGS).load_controller_configs()
    assert isinstance(config, MarketMakingControllerConfigBase)
    assert (config.id, config.controller_type, config.controller_name) == ("sharp", "market_making", "pmm_simple")
    assert (config.connector_name, config.trading_pair) == ("bitmart", PAIR)
    assert config.total_amount_quote == Decimal(80)
    assert config.buy_spreads == config.sell_spreads == [0.003, 0.006]
    assert (config.leverage, config.position_mode) == (1, PositionMode.HEDGE)
    assert config.skip_rebalance is True
    barriers = config.triple_barrier_config
    assert (barriers.stop_loss, barriers.take_profit) == (Decimal("0.03"), Decimal("0.02"))
    assert (barriers.time_limit, barriers.take_profit_order_type) == (2700, OrderType.LIMIT)


def test_every_setting_is_one_of_the_base_class():
    assert set(rendered("pmm_simple", **SETTINGS)) <= set(MarketMakingControllerConfigBase.model_fields)


def test_it_shares_the_total_amount_by_the_amounts(load):
    (config,) = load(
        "pmm_simple", **SETTINGS, buy_amounts_pct=[1, 2], sell_amounts_pct=[3, 2]
    ).load_controller_configs()
    assert config.get_spreads_and_amounts_in_quote(TradeType.BUY)[1] == [10, 20]  # 80 * 1/8, 80 * 2/8
    assert config.get_spreads_and_amounts_in_quote(TradeType.SELL)[1] == [30, 20]


def test_amounts_that_are_left_out_break_the_base_class_so_the_panel_always_sends_them():
    """The trap: a default is not validated there, and None is no list. The controller would never quote."""
    left_out = {k: v for k, v in rendered("pmm_simple", **SETTINGS).items() if not k.endswith("amounts_pct")}
    with pytest.raises(TypeError):
        MarketMakingControllerConfigBase(**left_out).get_spreads_and_amounts_in_quote(TradeType.BUY)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("buy_amounts_pct", [1]),
        ("sell_amounts_pct", [1, 2, 3]),
        ("total_amount_quote", "much"),
        ("executor_refresh_time", 1.5),
        ("cooldown_time", None),
        ("stop_loss", 0),
        ("take_profit", -0.02),
        ("time_limit", 0),
        ("position_mode", "BOTH"),
        ("take_profit_order_type", "STOP"),
        ("skip_rebalance", "perhaps"),
        ("order_amount", 1600),
    ],
)
def test_it_refuses_bad_settings(load, field, value):
    with pytest.raises(ValidationError) as refusal:
        load("pmm_simple", **SETTINGS | {field: value}).load_controller_configs()
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


def test_a_spread_that_is_no_number_is_refused_by_an_error_of_its_own(load):
    """The validator of the amounts looks up the spreads that failed, so this is no ValidationError."""
    with pytest.raises(KeyError):
        load("pmm_simple", **SETTINGS | {"buy_spreads": ["wide"]}).load_controller_configs()


@pytest.mark.parametrize(
    ("field", "value"),
    [("buy_spreads", [-0.003, 5]), ("sell_spreads", None), ("total_amount_quote", -1), ("leverage", 0)],
)
def test_what_only_the_panel_refuses(load, field, value):
    """Hummingbot accepts these, so only the bounds in the panel's schema block them."""
    load("pmm_simple", **SETTINGS | {field: value}).load_controller_configs()


def test_update_markets_names_the_connector_and_the_pair(load):
    (config,) = load("pmm_simple", **SETTINGS).load_controller_configs()
    assert dict(config.update_markets(MarketDict({}))) == {"bitmart": {PAIR}}


# --- trading ---


async def test_it_places_each_level_at_its_price_and_amount(play):
    show = play("pmm_simple", **SETTINGS)
    assert dict(show.strategy.markets) == {"bitmart": {PAIR}}
    await show.until(3)
    assert show.orders == QUOTES
    assert show.market.most_alive == 4


async def test_it_refreshes_on_time_at_the_new_price_and_cancels_before_it_replaces(play):
    show = play("pmm_simple", **SETTINGS, executor_refresh_time=60)
    await show.until(3)
    first = show.ids
    show.market.move_book(0.01246, 0.01256)  # mid 0.01251
    await show.until(60)
    assert show.ids == first
    await show.until(80)
    assert not show.ids & first
    assert show.orders == [
        ("bid", Decimal("0.012472"), Decimal("1603.5")),  # 0.01251 * 0.997 = 0.01247247; 20 / ... = 1603.53...
        ("bid", Decimal("0.012434"), Decimal("1608.3")),  # 0.01251 * 0.994 = 0.01243494; 20 / ... = 1608.37...
        ("ask", Decimal("0.012585"), Decimal("1589.1")),  # 0.01251 * 1.006 = 0.01258506; 20 / ... = 1589.18...
        ("ask", Decimal("0.012547"), Decimal("1593.9")),  # 0.01251 * 1.003 = 0.01254753; 20 / ... = 1593.93...
    ]
    assert show.market.most_alive == 4


async def test_it_sends_a_cancel_first_but_does_not_wait_for_its_confirmation(play):
    """The difference from `spread`: while an exchange confirms nothing, each refresh adds a generation."""
    show = play("pmm_simple", **SETTINGS, executor_refresh_time=60)
    await show.until(3)
    show.market.answers.clear()
    await show.until(70)
    assert show.market.kinds() == ["place"] * 4 + ["cancel"] * 4 + ["place"] * 4
    assert show.market.most_alive == 8
    show.market.answers.set()
    await show.until(80)
    assert show.orders == QUOTES


async def test_a_filled_order_waits_for_its_take_profit(play):
    show = play("pmm_simple", **SETTINGS)
    await show.until(3)
    show.market.fill("0.012462")
    await show.until(6)
    assert ("ask", Decimal("0.012711"), Decimal("1604.8")) in show.orders  # 0.012462 * 1.02 = 0.01271124
    assert ("bid", Decimal("0.012462"), Decimal("1604.8")) not in show.orders  # the level is taken meanwhile
    show.market.fill("0.012711")
    await show.until(20)
    assert show.closings == ["TAKE_PROFIT"]
    assert show.orders == QUOTES


async def test_a_stop_loss_sells_at_market_and_the_level_cools_down(play):
    show = play("pmm_simple", **SETTINGS, cooldown_time=40)
    await show.until(3)
    show.market.fill("0.012462")
    show.market.move_book(0.01195, 0.01205)  # mid 0.012: 3.7 % below
    await show.until(20)
    assert show.market.market_orders == [("sell", Decimal("1604.8"))]
    assert len(show.orders) == 3
    await show.until(70)
    # 0.012 * 0.997 = 0.011964; 20 / 0.011964 = 1671.68...; a trace less in the price, as above
    assert ("bid", Decimal("0.011963"), Decimal("1671.6")) in show.orders


async def test_a_time_limit_sells_at_market(play):
    show = play("pmm_simple", **SETTINGS, time_limit=30)
    await show.until(3)
    show.market.fill("0.012462")
    await show.until(29)
    assert show.market.market_orders == []
    await show.until(45)
    assert show.market.market_orders == [("sell", Decimal("1604.8"))]


@pytest.mark.parametrize(
    ("usdt", "sharp", "sides"),
    [("1000", "0", ["bid", "bid"]), ("0", "100000", ["ask", "ask"]), ("19.9", "1592", ["ask"]), ("0", "0", [])],
)
async def test_it_places_only_what_the_balance_pays_for(play, usdt, sharp, sides):
    """Each order for itself: 19.9 USDT pay for no bid of 20, 1592 SHARP for one of 1590.4 and none of 1595.2."""
    show = play("pmm_simple", bitmart(usdt, sharp), **SETTINGS)
    await show.until(10)
    assert [side for side, _, _ in show.orders] == sides


async def test_by_default_it_buys_nothing_without_an_order(play):
    show = play("pmm_simple", **SETTINGS)
    await show.until(30)
    assert show.market.market_orders == []


async def test_with_rebalancing_it_first_buys_at_market_what_the_account_holds_already(play):
    """Why the panel turns it off: 100000 SHARP are there, and 40 USDT / 0.0125 = 3200 are bought anyway."""
    show = play("pmm_simple", **SETTINGS, skip_rebalance=False)
    await show.until(30)
    assert show.market.market_orders == [("buy", Decimal("3200.0"))]


async def test_a_stop_cancels_everything_and_places_nothing_more(play):
    show = play("pmm_simple", **SETTINGS)
    await show.until(3)
    await show.stop()
    placed = show.market.kinds().count("place")
    await show.until(show.now + 400)
    assert show.orders == []
    assert show.market.alive == set()
    assert show.market.kinds().count("place") == placed == 4


async def test_a_stop_closes_what_was_filled_at_market(play):
    show = play("pmm_simple", **SETTINGS)
    await show.until(3)
    show.market.fill("0.012462")
    await show.until(6)
    await show.stop()
    assert show.market.market_orders == [("sell", Decimal("1604.8"))]
    assert show.market.alive == set()
