"""Orders are replaced, and fill where the walk of the price crosses theirs."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

import pytest

from sandbox import Sandbox
from tests.sandbox.living.conftest import prepare
from tests.sandbox.living.steps import (
    HOUR,
    PAIR,
    QUOTING,
    START,
    bound,
    crosses,
    deploy_spread,
    first_crossing,
    messages,
    move_to,
    status,
    stop,
    totals,
    until,
)

TICK = Decimal("0.00001")


def sides(world):
    return sorted(order.side for order in world.open_orders())


def test_the_first_orders_are_around_the_price_and_rounded_away_from_it(world, bot):
    world.clock.advance(QUOTING)
    mid = world.mid(PAIR)
    bid, ask = sorted(world.open_orders(), key=lambda order: order.price)
    assert (bid.side, ask.side, bid.size, ask.size) == ("BUY", "SELL", 1600, 1600)
    assert bid.limit == (mid * Decimal("0.997")).quantize(TICK, ROUND_FLOOR)
    assert ask.limit == (mid * Decimal("1.003")).quantize(TICK, ROUND_CEILING)


def test_a_new_market_has_its_first_fill_within_a_few_minutes(world, bot):
    world.clock.advance(QUOTING + 180)
    assert world.fills()


@pytest.mark.parametrize("kind", ["bot", "controller"])
def test_orders_are_canceled_after_the_refresh_time_and_placed_a_second_later(kind, world, request):
    request.getfixturevalue(kind)
    world.clock.advance(HOUR)
    orders = [order for order in world.orders() if order.side == "BUY"]
    for before, after in pairwise(orders):
        pause = after.placed_at - before.placed_at
        twin = world.orders()[before.number]
        both_filled = None not in (before.completed_at, twin.completed_at)
        assert pause == pytest.approx(60 if both_filled else 61)
        if before.completed_at is None:
            assert before.cancelled_at == pytest.approx(before.placed_at + 60)


def test_orders_fill_exactly_where_the_price_crosses_theirs(world, bot):
    world.clock.advance(HOUR)
    now, filled = world.clock.now(), 0
    for order in world.orders():
        end = now if order.cancelled_at is None else order.cancelled_at
        expected = first_crossing(world, order, end)
        fills = [fill for fill in world.fills() if fill.order_number == order.number]
        assert [fill.moment for fill in fills[:1]] == ([] if expected is None else [expected])
        filled += len(fills)
    assert filled == len(world.fills()) > 30


def test_some_orders_fill_in_two_parts_when_the_price_is_only_touched(world, bot):
    world.clock.advance(6 * HOUR)
    parts = [fill for fill in world.fills() if fill.amount < 1600]
    first = [fill for fill in parts if not _earlier(parts, fill)]
    assert len(first) > 5
    for fill in first:
        order = world.orders()[fill.order_number - 1]
        assert world.mid(PAIR, fill.moment) == order.limit
        rest = [later for later in parts if later.order_number == order.number and later is not fill]
        if order.completed_at is None:
            assert not rest
            assert order.filled == fill.amount
        else:
            (second,) = rest
            beyond = order.limit + (-TICK if order.side == "BUY" else TICK)
            between = range(int(fill.moment) + 1, int(second.moment))
            assert crosses(world, order, second.moment, beyond)
            assert not any(crosses(world, order, moment, beyond) for moment in between)
            assert fill.amount + second.amount == order.size


def _earlier(fills, fill):
    return [other for other in fills if other.order_number == fill.order_number and other.trade_id < fill.trade_id]


def test_a_fill_names_its_order_and_its_fee(world, bot):
    world.clock.advance(HOUR)
    fills = world.fills(bot)
    assert fills == world.fills()
    assert len({fill.trade_id for fill in fills}) == len(fills)
    for fill in fills:
        order = world.orders()[fill.order_number - 1]
        assert (fill.client_order_id, fill.exchange_order_id) == (order.client_order_id, order.exchange_order_id)
        assert (fill.side, fill.price, fill.account) == (order.side, order.limit, "client_sharp")
        assert fill.fee == fill.price * fill.amount * Decimal("0.0025")
        assert order.placed_at < fill.moment == int(fill.moment)


def test_a_sandbox_can_start_again_with_a_living_market():
    sandbox = Sandbox()
    sandbox.reset(market="living")
    assert sandbox.world.market is not None
    sandbox.reset()
    assert sandbox.world.market is None


def test_fills_do_not_depend_on_how_often_anyone_looks(world, api):
    deploy_spread(api)
    other = Sandbox(market="living")
    prepare(other.world)
    record = next(iter(world.instances.values())).record()
    _deploy_like(other.world, record)
    world.clock.advance(HOUR)
    for _ in range(HOUR // 7):
        other.world.clock.advance(7)
        other.world.open_orders()
    move_to(other.world, START + HOUR)
    assert _facts(other.world) == _facts(world)


def _deploy_like(world, record):
    names = ("name", "base_name", "profile", "image", "headless", "strategy_type", "script", "script_config")
    world.deploy(**{name: record[name] for name in names}, deployment={})


def _facts(world):
    return [(f.trade_id, f.client_order_id, f.side, f.price, f.amount, f.moment) for f in world.fills()]


def test_settings_that_a_configuration_leaves_out_have_the_defaults_of_their_strategy(world, api):
    world.scripts["spread"] += (
        "    bid_spread: Decimal = Field(default=Decimal('0.01'))\n    order_amount: int = 2000\n"
    )
    for name in ("bid_spread", "order_amount"):
        del world.script_configs["sharp"][name]
    deploy_spread(api)
    world.clock.advance(QUOTING)
    bid, _ = world.open_orders()
    assert bid.size == 2000
    assert bid.limit == (world.mid(PAIR) * Decimal("0.99")).quantize(TICK, ROUND_FLOOR)


# --- balances ---


def test_balances_change_by_the_fills_and_their_fees(world, api, bot):
    deploy_spread(api, "hummingbot-other", "client_other")
    world.clock.advance(2 * HOUR)
    for account in ("client_sharp", "client_other"):
        held = world.balances(account, "bitmart")
        assert set(held) == {"SHARP", "USDT"}
        needed = bound(world, account)
        for asset, total in totals(world, account).items():
            assert held[asset].total == total
            assert held[asset].available == total - needed[asset]


def test_a_balance_of_an_earlier_moment_is_still_known(world, bot):
    world.clock.advance(HOUR)
    then, before = world.clock.now(), world.balances("client_sharp", "bitmart")
    world.clock.advance(HOUR)
    assert world.balances("client_sharp", "bitmart", then) == before != world.balances("client_sharp", "bitmart")


def test_a_doubled_bot_trades_the_same_account(world, api, bot):
    deploy_spread(api, "hummingbot-double")
    world.clock.advance(QUOTING + 5)
    assert sides(world) == ["BUY", "BUY", "SELL", "SELL"]
    world.clock.advance(HOUR)
    assert {fill.instance for fill in world.fills()} == set(world.instances)
    assert {a: b.total for a, b in world.balances("client_sharp", "bitmart").items()} == totals(world, "client_sharp")


def test_the_portfolio_is_what_the_books_say(world, api, bot):
    world.clock.advance(HOUR)
    moment = world.clock.now() // 300 * 300
    held = api.ok("POST", "/portfolio/state", json={"account_names": ["client_sharp"]})["client_sharp"]["bitmart"]
    expected = world.balances("client_sharp", "bitmart", moment)
    assert {token["token"]: token["units"] for token in held} == {a: float(b.total) for a, b in expected.items()}
    assert {t["token"]: t["available_units"] for t in held} == {a: float(b.available) for a, b in expected.items()}
    assert {t["token"]: t["price"] for t in held} == {"SHARP": float(world.mid(PAIR, moment)), "USDT": 1.0}
    page = api.ok("POST", "/portfolio/history", json={"account_names": ["client_sharp"], "limit": 1000})["data"]
    assert page[0]["state"] == {"client_sharp": {"bitmart": held}}
    assert page[-1]["state"]["client_sharp"]["bitmart"][0]["units"] != held[0]["units"]


# --- what is not placed ---


def test_spread_warns_once_of_orders_that_the_balance_does_not_pay_for(world, api):
    world.script_configs["sharp"]["order_amount"] = 1_000_000_000
    name = deploy_spread(api)
    world.clock.advance(HOUR)
    assert world.open_orders() == world.fills() == []
    lines = [line for line in messages(api, name) if "does not pay" in line]
    assert len(lines) == 2
    assert lines[0].startswith("No bid of 1000000000 SHARP-USDT at 0.012")
    assert lines[1].endswith(": the available balance does not pay for it.")


def test_a_controller_logs_an_error_for_orders_that_the_balance_does_not_pay_for(world, api, controller):
    world.exchange.empty_since = world.clock.now()
    world.clock.advance(QUOTING + 100)
    assert world.open_orders() == []
    errors = [entry["msg"] for entry in status(api, controller)["error_logs"]]
    assert errors == ["Not enough budget to open position."] * 4


def test_orders_that_are_too_small_are_not_placed(world, api):
    world.script_configs["sharp"]["order_amount"] = 100
    name = deploy_spread(api)
    world.clock.advance(QUOTING)
    assert world.open_orders() == []
    assert any(line.endswith(": too small for bitmart.") for line in messages(api, name))


# --- its log ---


def test_the_log_names_what_happened_to_every_order(world, api, bot):
    world.clock.advance(QUOTING)
    bid, ask = world.open_orders()
    until(world, lambda: len(world.fills()) and sides(world) != ["BUY", "SELL"])
    world.clock.advance(61)
    lines = messages(api, bot)
    assert f"Created LIMIT BUY order {bid.client_order_id} for 1600 SHARP-USDT at {bid.limit}." in lines
    for order in (bid, ask):
        if order.completed_at is None:
            assert f"Successfully canceled order {order.client_order_id}." in lines
        else:
            words = f"The {order.side} order {order.client_order_id} amounting to 1600/1600 SHARP has been filled at "
            assert f"{words}{order.limit} USDT." in lines
            assert f"{order.side} order {order.client_order_id} completely filled." in lines


def test_a_stop_cancels_the_orders_for_good(world, api, bot):
    world.clock.advance(HOUR)
    stop(api, bot)
    world.clock.advance(1)
    assert world.open_orders() == []
    fills = len(world.fills())
    assert messages(api, bot)[-1] == "Hummingbot stopped."
    world.clock.advance(HOUR)
    assert len(world.fills()) == fills
