# ruff: noqa: S101
"""Proof of the settings of `pmm_v1`.

Its prices, amounts and times are worked out in its own module, which is not in the wheel: those tests run with
`PROOF_CONTROLLERS` and are skipped aloud without. What is proven either way is the wheel's part: the base config,
and the order executor, which places one limit order for each level.
"""

from decimal import Decimal

import pytest
from hummingbot.core.data_type.common import MarketDict, TradeType
from hummingbot.strategy_v2.controllers import ControllerConfigBase
from hummingbot.strategy_v2.executors.order_executor.data_types import ExecutionStrategy, OrderExecutorConfig
from hummingbot.strategy_v2.models.executor_actions import CreateExecutorAction, StopExecutorAction
from pydantic import ValidationError
from stage import PAIR, REAL_CONTROLLERS, START, bitmart, rendered

SETTINGS = {"order_amount": 1600, "buy_spreads": [0.003, 0.006], "sell_spreads": [0.003, 0.006]}
QUOTES = [
    ("bid", Decimal("0.012462"), Decimal(1600)),  # 0.0125 * 0.997 = 0.0124625, rounded down as all prices are
    ("bid", Decimal("0.012425"), Decimal(1600)),  # 0.0125 * 0.994
    ("ask", Decimal("0.012575"), Decimal(1600)),  # 0.0125 * 1.006
    ("ask", Decimal("0.012537"), Decimal(1600)),  # 0.0125 * 1.003 = 0.0125375
]
IDENTITY = {"id", "controller_name", "controller_type"}
needs_module = pytest.mark.skipif(
    not REAL_CONTROLLERS, reason="NOT PROVEN: pmm_v1's own module is not in the wheel; set PROOF_CONTROLLERS"
)


# --- what the wheel has ---


def test_the_base_config_accepts_the_identity_and_none_of_the_settings():
    settings = rendered("pmm_v1", **SETTINGS)
    config = ControllerConfigBase(**{name: settings[name] for name in IDENTITY})
    assert (config.id, config.controller_type, config.controller_name) == ("sharp", "generic", "pmm_v1")
    with pytest.raises(ValidationError) as refusal:
        ControllerConfigBase(**settings)
    assert {error["loc"][0] for error in refusal.value.errors()} == set(settings) - IDENTITY


def level(side: TradeType, price: str, amount: str = "1600") -> OrderExecutorConfig:
    return OrderExecutorConfig(
        timestamp=START,
        connector_name="bitmart",
        trading_pair=PAIR,
        side=side,
        price=Decimal(price),
        amount=Decimal(amount),
        execution_strategy=ExecutionStrategy.LIMIT,
    )


@pytest.fixture
def executors(play):
    """A play with an executor for each of these levels, as the controller would create them."""

    def make(*levels: OrderExecutorConfig, market=None):
        show = play(market=market)
        orchestrator = show.strategy.executor_orchestrator
        orchestrator.active_executors["sharp"] = []
        orchestrator.positions_held["sharp"] = []
        for config in levels:
            orchestrator.execute_action(CreateExecutorAction(controller_id="sharp", executor_config=config))
        return show

    return make


async def test_an_executor_places_its_level_once_and_leaves_it_alone(executors):
    show = executors(level(TradeType.BUY, "0.012462"), level(TradeType.SELL, "0.012537"))
    await show.until(100)
    assert show.orders == [QUOTES[0], QUOTES[3]]
    assert show.market.kinds() == ["place", "place"]


async def test_an_executor_that_is_stopped_cancels_and_keeps_what_was_filled(executors):
    bid, ask = level(TradeType.BUY, "0.012462"), level(TradeType.SELL, "0.012537")
    show = executors(bid, ask)
    await show.until(3)
    show.market.fill("0.012462")
    await show.until(10)
    show.strategy.executor_orchestrator.execute_action(
        StopExecutorAction(controller_id="sharp", executor_id=ask.id, keep_position=True)
    )
    await show.until(20)
    assert show.orders == []
    assert show.closings == ["POSITION_HOLD", "EARLY_STOP"]
    assert show.market.market_orders == []


async def test_an_executor_that_is_stopped_is_no_longer_active_though_its_cancel_is_not_confirmed(executors):
    """Why `pmm_v1` does not wait for that: a level without an active executor gets a new one."""
    bid = level(TradeType.BUY, "0.012462")
    show = executors(bid)
    await show.until(3)
    show.market.answers.clear()
    show.strategy.executor_orchestrator.execute_action(
        StopExecutorAction(controller_id="sharp", executor_id=bid.id, keep_position=True)
    )
    await show.until(20)
    assert show.market.kinds() == ["place", "cancel"]
    assert len(show.market.alive) == 1
    assert not show.executors[0].is_active


@pytest.mark.parametrize(("usdt", "placed"), [("19.94", 0), ("20", 1)])
async def test_an_executor_places_only_what_the_balance_pays_for(executors, usdt, placed):
    """1600 * 0.012462 = 19.9392, and BitMart's fee of 0.25 %: 19.989048."""
    show = executors(level(TradeType.BUY, "0.012462"), market=bitmart(usdt=usdt))
    await show.until(10)
    assert len(show.orders) == placed


@pytest.mark.parametrize(("price", "amount"), [("0", "1600"), ("-1", "1600"), ("0.0125", "0"), ("0.0125", "-1600")])
def test_an_executor_refuses_what_is_no_order(price, amount):
    with pytest.raises(ValidationError):
        level(TradeType.BUY, price, amount)


async def test_a_stop_cancels_every_executor_s_order(executors):
    show = executors(level(TradeType.BUY, "0.012462"), level(TradeType.SELL, "0.012537"))
    await show.until(3)
    await show.stop()
    assert show.market.alive == set()
    assert show.market.kinds() == ["place", "place", "cancel", "cancel"]


# --- what its own module has ---


@needs_module
def test_it_accepts_what_the_panel_renders(load):
    (config,) = load("pmm_v1", **SETTINGS).load_controller_configs()
    assert (config.order_amount, config.order_refresh_time) == (Decimal(1600), 60)
    assert config.buy_spreads == config.sell_spreads == [0.003, 0.006]
    assert (config.order_refresh_tolerance_pct, config.filled_order_delay) == (Decimal(-1), 60)
    assert (config.inventory_skew_enabled, config.target_base_pct) == (False, Decimal("0.5"))
    assert (config.inventory_range_multiplier, config.price_ceiling, config.price_floor) == (1, -1, -1)


@needs_module
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_amount", "much"),
        ("order_refresh_time", 1.5),
        ("filled_order_delay", None),
        ("inventory_skew_enabled", "perhaps"),
        ("price_ceiling", None),
        ("order_levels", 2),
    ],
)
def test_it_refuses_bad_settings(load, field, value):
    with pytest.raises(ValidationError) as refusal:
        load("pmm_v1", **SETTINGS | {field: value}).load_controller_configs()
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


@needs_module
def test_update_markets_names_the_connector_and_the_pair(load):
    (config,) = load("pmm_v1", **SETTINGS).load_controller_configs()
    assert dict(config.update_markets(MarketDict({}))) == {"bitmart": {PAIR}}


@needs_module
async def test_it_places_each_level_at_its_price_and_amount(play):
    show = play("pmm_v1", **SETTINGS)
    await show.until(3)
    assert show.orders == QUOTES


@needs_module
async def test_it_refreshes_on_time_at_the_new_price_and_cancels_before_it_replaces(play):
    show = play("pmm_v1", **SETTINGS)
    await show.until(3)
    first = show.ids
    show.market.move_book(0.01246, 0.01256)  # mid 0.01251
    await show.until(60)
    assert show.ids == first
    await show.until(75)
    assert show.orders == [
        ("bid", Decimal("0.012472"), Decimal(1600)),  # 0.01251 * 0.997 = 0.01247247
        ("bid", Decimal("0.012434"), Decimal(1600)),  # 0.01251 * 0.994 = 0.01243494
        ("ask", Decimal("0.012585"), Decimal(1600)),  # 0.01251 * 1.006 = 0.01258506
        ("ask", Decimal("0.012547"), Decimal(1600)),  # 0.01251 * 1.003 = 0.01254753
    ]
    assert show.market.most_alive == 4


@needs_module
async def test_it_sends_a_cancel_first_but_does_not_wait_for_its_confirmation(play):
    """As `pmm_simple`, and not as `spread`: while an exchange confirms nothing, each refresh adds a generation."""
    show = play("pmm_v1", **SETTINGS)
    await show.until(3)
    show.market.answers.clear()
    await show.until(70)
    assert show.market.kinds() == ["place"] * 4 + ["cancel"] * 4 + ["place"] * 4
    assert show.market.most_alive == 8
    show.market.answers.set()
    await show.until(80)
    assert show.orders == QUOTES


@needs_module
@pytest.mark.parametrize(("tolerance", "stays"), [(0.001, True), (0.0005, False)])
async def test_orders_within_the_tolerance_stay(play, tolerance, stays):
    """From 0.012425 to 0.01243494 are 0.0008, the most of the four."""
    show = play("pmm_v1", **SETTINGS, order_refresh_tolerance_pct=tolerance)
    await show.until(3)
    first = show.ids
    show.market.move_book(0.01246, 0.01256)
    await show.until(150)
    assert (show.ids == first) is stays


@needs_module
async def test_a_filled_level_stays_empty_for_its_delay(play):
    show = play("pmm_v1", **SETTINGS, filled_order_delay=20, order_refresh_time=3600)
    await show.until(3)
    show.market.fill("0.012462")
    await show.until(20)
    assert show.orders == QUOTES[1:]
    await show.until(30)
    assert show.orders == QUOTES
    assert show.market.market_orders == []


@needs_module
async def test_inventory_skew_leans_the_amounts(play):
    """3600 SHARP have a value of 45 of 100 USDT, 5 below the half. The range is all four orders: 6400 SHARP, a value of
    80, limited to half of everything, 50. So a tenth of the way: bids 1.1 times, asks 0.9 times, less a trace.
    """
    show = play("pmm_v1", bitmart(usdt="55", sharp="3600"), **SETTINGS, inventory_skew_enabled=True)
    await show.until(3)
    assert sorted({(side, amount) for side, _, amount in show.orders}) == [
        ("ask", Decimal("1439.9")),
        ("bid", Decimal(1760)),
    ]


@needs_module
@pytest.mark.parametrize(("band", "quotes"), [("price_ceiling", QUOTES[2:]), ("price_floor", QUOTES[:2])])
async def test_at_the_price_band_one_side_rests(play, band, quotes):
    show = play("pmm_v1", **SETTINGS, **{band: 0.0125})
    await show.until(10)
    assert show.orders == quotes


@needs_module
async def test_what_only_the_panel_refuses(play):
    """A floor above the ceiling is taken: between the two neither side is quoted."""
    show = play("pmm_v1", **SETTINGS, price_floor=0.013, price_ceiling=0.012)
    await show.until(30)
    assert show.market.sent == []


@needs_module
@pytest.mark.parametrize(("usdt", "sharp", "sides"), [("1000", "0", ["bid"] * 2), ("0", "100000", ["ask"] * 2)])
async def test_it_places_only_what_the_balance_pays_for(play, usdt, sharp, sides):
    show = play("pmm_v1", bitmart(usdt, sharp), **SETTINGS)
    await show.until(10)
    assert [side for side, _, _ in show.orders] == sides


@needs_module
async def test_a_stop_cancels_everything_and_places_nothing_more(play):
    show = play("pmm_v1", **SETTINGS)
    await show.until(3)
    await show.stop()
    await show.until(show.now + 200)
    assert show.market.alive == set()
    assert show.market.kinds() == ["place"] * 4 + ["cancel"] * 4
