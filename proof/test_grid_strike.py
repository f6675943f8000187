# ruff: noqa: S101
"""Proof of the settings of `grid_strike` on the wheel's own grid executor, order tracking and BitMart connector.

The grid is all that executor's. The module, which is not in the wheel, hands its settings on to it while the mid
price is inside of the grid; without `PROOF_CONTROLLERS` these tests hand them on themselves.
"""

from decimal import Decimal

import pytest
from hummingbot.core.data_type.common import MarketDict, OrderType, PositionMode, TradeType
from hummingbot.strategy_v2.controllers import ControllerConfigBase
from hummingbot.strategy_v2.executors.grid_executor.data_types import GridExecutorConfig
from hummingbot.strategy_v2.models.executor_actions import CreateExecutorAction
from pydantic import ValidationError
from stage import PAIR, REAL_CONTROLLERS, START, bitmart, rendered

SETTINGS = {
    "start_price": 0.012,
    "end_price": 0.0135,
    "limit_price": 0.0115,
    "total_amount_quote": 100,
    "min_order_amount_quote": 20,
}
# What the controller's config has and the executor's has not.
NOT_THE_EXECUTOR_S = {"controller_name", "controller_type", "position_mode"}
needs_module = pytest.mark.skipif(
    not REAL_CONTROLLERS, reason="NOT PROVEN: grid_strike's own module is not in the wheel; set PROOF_CONTROLLERS"
)

# Mid 0.0126. The minimum value of a level is 20 * 1.05 = 21, so 100 make four: 0.012, 0.0125, 0.013, 0.0135; of
# 100 / 4 / 0.0126 = 1984.1 SHARP each. The nearest to the mid price first: 0.0125, then 0.013, then 0.012.
AMOUNT = Decimal("1984.1")
FIRST = ("bid", Decimal("0.0125"), AMOUNT)
# Above the best bid of 0.01255, where it would trade at once: 0.0001 of it below it, 0.01255 * 0.9999 = 0.012548745.
SECOND = ("bid", Decimal("0.012548"), AMOUNT)
THIRD = ("bid", Decimal("0.012"), AMOUNT)


def executor_config(**changes) -> GridExecutorConfig:
    settings = rendered("grid_strike", **SETTINGS | changes)
    kept = {name: value for name, value in settings.items() if name not in NOT_THE_EXECUTOR_S | {"id"}}
    return GridExecutorConfig(timestamp=START, **kept)


@pytest.fixture
def grid(play):
    def make(market=None, **changes):
        market = market or bitmart()
        market.move_book(0.01255, 0.01265)
        if REAL_CONTROLLERS:
            return play("grid_strike", market, **SETTINGS | changes)
        show = play(market=market)
        action = CreateExecutorAction(controller_id="sharp", executor_config=executor_config(**changes))
        show.strategy.executor_orchestrator.active_executors["sharp"] = []
        show.strategy.executor_orchestrator.positions_held["sharp"] = []
        show.strategy.executor_orchestrator.execute_action(action)
        return show

    return make


# --- the config ---


def test_the_executor_accepts_what_the_panel_renders():
    config = executor_config()
    assert (config.connector_name, config.trading_pair, config.side) == ("bitmart", PAIR, TradeType.BUY)
    assert (config.start_price, config.end_price) == (Decimal("0.012"), Decimal("0.0135"))
    assert (config.limit_price, config.total_amount_quote) == (Decimal("0.0115"), Decimal(100))
    assert (config.max_open_orders, config.max_orders_per_batch, config.order_frequency) == (2, 1, 3)
    assert (config.leverage, config.keep_position, config.activation_bounds) == (1, False, None)
    barriers = config.triple_barrier_config
    assert (barriers.take_profit, barriers.stop_loss) == (Decimal("0.001"), None)
    assert barriers.open_order_type is barriers.take_profit_order_type is OrderType.LIMIT_MAKER


def test_which_settings_are_not_the_executor_s():
    assert set(rendered("grid_strike", **SETTINGS)) - set(GridExecutorConfig.model_fields) == NOT_THE_EXECUTOR_S
    assert set(ControllerConfigBase.model_fields) >= NOT_THE_EXECUTOR_S - {"position_mode"}


@needs_module
def test_the_module_accepts_what_the_panel_renders(load):
    (config,) = load("grid_strike", **SETTINGS).load_controller_configs()
    assert (config.id, config.controller_type, config.controller_name) == ("sharp", "generic", "grid_strike")
    assert (config.side, config.position_mode, config.leverage) == (TradeType.BUY, PositionMode.HEDGE, 1)
    assert config.triple_barrier_config == executor_config().triple_barrier_config


@needs_module
@pytest.mark.parametrize(
    ("field", "value"),
    [("side", 4), ("start_price", "low"), ("max_open_orders", 1.5), ("position_mode", "BOTH"), ("order_amount", 1)],
)
def test_the_module_refuses_bad_settings(load, field, value):
    with pytest.raises(ValidationError) as refusal:
        load("grid_strike", **SETTINGS | {field: value}).load_controller_configs()
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


@needs_module
def test_update_markets_names_the_connector_and_the_pair(load):
    (config,) = load("grid_strike", **SETTINGS).load_controller_configs()
    assert dict(config.update_markets(MarketDict({}))) == {"bitmart": {PAIR}}


@pytest.mark.parametrize(
    "changes",
    [
        {"start_price": 0.0135, "end_price": 0.012},
        {"start_price": 0},
        {"limit_price": -1},
        {"limit_price": 0.0125},
        {"side": 2, "limit_price": 0.0115},
        {"side": 3},
        {"total_amount_quote": 0},
        {"min_spread_between_orders": 0},
        {"min_order_amount_quote": 0},
        {"max_open_orders": 0},
        {"max_orders_per_batch": 0},
        {"order_frequency": -1},
        {"activation_bounds": 0},
        {"leverage": 0},
        {"triple_barrier_config": {"take_profit": 0, "open_order_type": 3, "take_profit_order_type": 3}},
        {"triple_barrier_config": {"take_profit": 0.001, "open_order_type": 7, "take_profit_order_type": 3}},
    ],
)
def test_the_executor_refuses_bad_settings(changes):
    with pytest.raises(ValidationError):
        executor_config(**changes)


@needs_module
@pytest.mark.parametrize(
    "changes",
    [
        {"start_price": 0.0135, "end_price": 0.012},
        {"limit_price": 0.0125},
        {"side": 2, "limit_price": 0.0115},
    ],
)
async def test_what_only_the_panel_refuses(grid, changes):
    """The module takes these, so the server's check does too. Then the executor refuses, and the bot never trades."""
    show = grid(**changes)
    await show.until(30)
    assert show.market.sent == []


def test_a_limit_price_of_zero_is_none():
    assert executor_config(limit_price=0).limit_price == executor_config(side=2, limit_price=0).limit_price == 0


def test_a_grid_that_sells_is_stopped_out_above_its_end():
    assert executor_config(side=2, limit_price=0.014).side is TradeType.SELL


# --- trading ---


async def test_it_places_the_nearest_levels_first_up_to_the_limit(grid):
    show = grid()
    await show.until(2)
    assert show.orders == [FIRST]
    await show.until(6)  # order_frequency: three seconds between
    assert show.orders == [SECOND, FIRST]
    await show.until(60)
    assert show.orders == [SECOND, FIRST]  # max_open_orders
    (executor,) = show.executors
    assert [round(level.price, 6) for level in executor.grid_levels] == [
        Decimal("0.012"),
        Decimal("0.0125"),
        Decimal("0.013"),
        Decimal("0.0135"),
    ]


async def test_batches_and_open_orders_follow_the_settings(grid):
    show = grid(max_open_orders=4, max_orders_per_batch=4, order_frequency=0)
    await show.until(2)
    assert show.orders == [SECOND, SECOND, FIRST, THIRD]  # 0.013 and 0.0135 are both above the best bid


async def test_the_least_distance_limits_the_levels(grid):
    """The range is 0.0015 / 0.012 = 12.5 %: with 5 % between, two levels, at its ends."""
    show = grid(min_spread_between_orders=0.05)
    await show.until(2)
    (executor,) = show.executors
    assert [round(level.price, 6) for level in executor.grid_levels] == [Decimal("0.012"), Decimal("0.0135")]


async def test_activation_bounds_keep_far_levels_away(grid):
    show = grid(max_open_orders=4, max_orders_per_batch=4, order_frequency=0, activation_bounds=0.01)
    await show.until(10)
    assert show.orders == [SECOND, SECOND, FIRST]  # 0.012 is below 0.0126 * 0.99 = 0.012474


async def test_a_filled_level_is_closed_with_its_profit_and_opens_again(grid):
    show = grid(
        triple_barrier_config={"take_profit": 0.02, "open_order_type": 3, "take_profit_order_type": 3},
    )
    await show.until(6)
    show.market.fill("0.0125")
    await show.until(10)
    assert ("ask", Decimal("0.01275"), AMOUNT) in show.orders  # 0.0125 * 1.02
    assert THIRD in show.orders
    show.market.fill("0.01275")
    show.market.fill("0.012")
    await show.until(20)
    assert FIRST in show.orders


async def test_a_profit_below_the_market_is_taken_at_the_market(grid):
    """0.0125 * 1.001 is below the best ask, 0.01265, so that is used, plus 0.0001 of it: 0.012651265."""
    show = grid()
    await show.until(6)
    show.market.fill("0.0125")
    await show.until(8)
    assert ("ask", Decimal("0.012651"), AMOUNT) in show.orders


@pytest.mark.parametrize(("keep", "sold"), [(False, [("sell", AMOUNT)]), (True, [])])
async def test_at_the_limit_price_it_stops_out(grid, keep, sold):
    show = grid(keep_position=keep)
    await show.until(6)
    show.market.fill("0.0125")
    await show.until(10)
    show.market.move_book(0.01149, 0.01151)  # mid 0.0115
    await show.until(40)
    assert show.orders == []
    assert show.market.alive == set()
    assert show.market.market_orders == sold


async def test_above_its_end_it_is_done(grid):
    show = grid()
    await show.until(6)
    show.market.move_book(0.01355, 0.01365)
    await show.until(30)
    assert show.market.alive == set()
    assert show.closings == ["TAKE_PROFIT"]


@pytest.mark.parametrize(("usdt", "placed"), [("99", 0), ("101", 1)])
async def test_the_balance_must_pay_for_the_whole_grid(grid, usdt, placed):
    show = grid(bitmart(usdt=usdt))
    await show.until(2)
    assert len(show.orders) == placed


async def test_a_stop_cancels_everything_and_places_nothing_more(grid):
    show = grid()
    await show.until(6)
    await show.stop()
    await show.until(show.now + 100)
    assert show.market.alive == set()
    assert show.market.kinds() == ["place", "place", "cancel", "cancel"]


async def test_a_stop_closes_what_was_filled_at_market(grid):
    show = grid()
    await show.until(6)
    show.market.fill("0.0125")
    await show.until(8)
    await show.stop()
    assert show.market.alive == set()
    assert show.market.market_orders == [("sell", AMOUNT)]
