"""Order books: made-up makers around the price, with the open orders of bots among them."""

import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from sandbox.exchange import Order
from sandbox.living_market.fills import LiveOrder
from sandbox.markets import market_of

#: From one level of the makers to the next, as a fraction of the price; at least one price increment.
LEVEL = 0.0005
#: What a maker's order is worth at the price, in the quote asset: the first level's, and by how much each next grows.
VALUE, GROWTH = 300, 150
#: How many seconds the makers leave their amounts as they are.
STILL_FOR = 5


class OrderBook(NamedTuple):
    """Amounts in the base asset by price in the quote asset, the best price first."""

    bids: Mapping[Decimal, Decimal]
    asks: Mapping[Decimal, Decimal]

    @property
    def best(self) -> tuple[Decimal, Decimal]:
        return next(iter(self.bids)), next(iter(self.asks))


def order_book(trading_pair: str, mid: Decimal, moment: float, orders: Iterable[Order], depth: int) -> OrderBook:
    """Return so many levels of each side. Makers leave the prices that a bot's order would trade with."""
    bids, asks = dict(_makers(trading_pair, mid, moment, depth, -1)), dict(_makers(trading_pair, mid, moment, depth, 1))
    orders = [*orders]
    best_bid = max((_price(order) for order in orders if order.side == "BUY"), default=Decimal(0))
    best_ask = min((_price(order) for order in orders if order.side == "SELL"), default=Decimal("Infinity"))
    bids = {price: amount for price, amount in bids.items() if price < best_ask}
    asks = {price: amount for price, amount in asks.items() if price > best_bid}
    for order in orders:
        side, price = (bids if order.side == "BUY" else asks), _price(order)
        left = order.left if isinstance(order, LiveOrder) else Decimal(str(order.amount))
        side[price] = side.get(price, Decimal(0)) + left
    return OrderBook(
        dict(sorted(bids.items(), reverse=True)[:depth]),
        dict(sorted(asks.items())[:depth]),
    )


def _makers(trading_pair: str, mid: Decimal, moment: float, depth: int, sign: int) -> Iterable[tuple[Decimal, Decimal]]:
    market = market_of(trading_pair)
    tick, step = Decimal(str(market.min_price_increment)), Decimal(str(market.min_order_size))
    apart = max(1, round(float(mid / tick) * LEVEL))
    for level in range(depth):
        price = mid + sign * tick * (1 + level * apart)
        if price <= 0:
            return
        seed = zlib.crc32(f"{trading_pair}/{int(moment // STILL_FOR)}/{sign * (level + 1)}".encode())
        value = (VALUE + GROWTH * level) * (50 + seed % 101) / Decimal(100)
        yield price, max(step, value / mid // step * step)


def _price(order: Order) -> Decimal:
    return order.limit if isinstance(order, LiveOrder) else Decimal(str(order.price))
