# ruff: noqa: S101
"""Cancel before replace, on the real BitMart connector."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from decimal import Decimal

from hummingbot.core.data_type.common import OrderType, TradeType
from hummingbot.core.data_type.in_flight_order import InFlightOrder, OrderState
from stage import PAIR, START, bitmart
from test_spread import (
    ASK,
    BID,
    script,
    stage,
)


async def test_new_orders_wait_for_the_confirmed_end_of_the_old_ones(stage):
    market = bitmart()
    play = stage(market)
    await play.first_quotes()
    assert play.orders == [BID, ASK]
    market.answers.clear()
    await play.until(62)
    assert market.kinds() == ["place", "place", "cancel", "cancel"]
    # The trap: as soon as a cancel is requested, the strategy's own list of active orders is empty.
    assert play.strategy.get_active_orders(market.name) == []
    await play.until(100)
    assert market.kinds() == [
        "place",
        "place",
        "cancel",
        "cancel",
    ]  # nothing new, and no second cancel request
    assert len(market.alive) == 2
    market.answers.set()
    await play.until(102)
    assert market.kinds() == ["place", "place", "cancel", "cancel", "place", "place"]
    assert play.orders == [BID, ASK]
    assert market.most_alive == 2


async def test_never_two_generations_however_the_exchange_dawdles(stage):
    market = bitmart()
    play = stage(market, order_refresh_time=1)
    for second in range(3, 400, 7):
        market.answers.clear()
        await play.until(second)
        market.answers.set()
        await play.until(second + 3)
    assert market.most_alive == 2
    assert market.kinds().count("place") > 50


async def test_a_refused_cancel_is_tried_again_and_nothing_is_placed_meanwhile(stage):
    market = bitmart()
    play = stage(market)
    await play.first_quotes()
    market.refuse_cancels = True
    await play.until(130)
    assert market.kinds() == [
        "place",
        "place",
        "cancel",
        "cancel",
        "cancel",
        "cancel",
    ]  # Hummingbot: every 60 s
    market.refuse_cancels = False
    await play.until(190)
    assert market.kinds()[6:] == ["cancel", "cancel", "place", "place"]
    assert market.most_alive == 2


async def test_orders_of_an_earlier_run_are_cancelled_first(stage):
    market = bitmart()
    left = InFlightOrder("HBOT-old", PAIR, OrderType.LIMIT, TradeType.BUY, Decimal(1600), START, Decimal("0.012"))
    left.exchange_order_id, left.current_state = "7", OrderState.OPEN
    market.restore_tracking_states({"HBOT-old": left.to_json()})
    market.alive.add("HBOT-old")
    play = stage(market)
    await play.first_quotes()
    assert market.sent == ["cancel HBOT-old"]
    await play.until(3)
    assert market.kinds() == ["cancel", "place", "place"]
    assert market.most_alive == 2
