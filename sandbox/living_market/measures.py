"""What a strategy can say about one life of its container: counters, money, open orders. Folded from its journal."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.living_market.fills import Fill, LiveOrder
from sandbox.living_market.lives import (
    CANCELLED,
    FILLED,
    NOT_QUOTING,
    PAUSED,
    PLACED,
    REJECTED,
    RESTORED,
    RESUMED,
    Life,
)
from sandbox.living_market.prices import Walk

#: Distances from the price within which a report measures depth, in percent of it.
DEPTHS = ("0.5", "1", "2")
#: Ticks that a limit of floating point may be off.
_EXACT = 1e-6
_ZERO = Decimal(0)


@dataclass
class Position:
    """What was bought and sold, by average cost. Fees are apart. Amounts in the base asset, money in the quote asset.

    Attributes:
        inventory: bought less sold.
        average_cost: the average price of the inventory.
        realized: the profit of what was bought and sold again.
    """

    inventory: Decimal = _ZERO
    average_cost: Decimal = _ZERO
    realized: Decimal = _ZERO
    fees: Decimal = _ZERO
    bought: Decimal = _ZERO
    sold: Decimal = _ZERO
    buys: int = 0
    sells: int = 0

    @property
    def volume(self) -> Decimal:
        return self.bought + self.sold

    def take(self, fill: Fill) -> None:
        self.fees += fill.fee
        if fill.side == "BUY":
            self.buys, self.bought = self.buys + 1, self.bought + fill.value
        else:
            self.sells, self.sold = self.sells + 1, self.sold + fill.value
        change, held = fill.base_change, abs(self.inventory)
        if self.inventory * change >= 0:
            self.average_cost = (self.average_cost * held + fill.value) / (held + fill.amount)
        else:
            gain = (fill.price - self.average_cost) * (1 if self.inventory > 0 else -1)
            self.realized += gain * min(held, fill.amount)
            if fill.amount > held:
                self.average_cost = fill.price
        self.inventory += change
        if not self.inventory:
            self.average_cost = _ZERO

    def unrealized(self, mid: Decimal) -> Decimal:
        return (mid - self.average_cost) * self.inventory


@dataclass
class Measure:
    """Counters up to a moment, which only moves forward. Time is counted in whole seconds of the epoch: a second counts
    for the orders that are open, and for the price, when it begins.

    Attributes:
        open: the orders that the strategy knows to be open, by number, with what it knows to be filled of them.
        own_only: whether fills of orders of an earlier life are left out, as controllers do.
    """

    life: Life
    walk: Walk
    orders: Sequence[LiveOrder] = field(repr=False)
    fills: Sequence[Fill] = field(repr=False)
    own_only: bool = False
    position: Position = field(default_factory=Position)
    open: dict[int, Decimal] = field(default_factory=dict)
    running: int = 0
    connected: int = 0
    quoting: int = 0
    spread: float = 0.0
    bid_depth: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DEPTHS, 0.0))
    ask_depth: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DEPTHS, 0.0))
    rejections: int = 0
    last_rejection: dict[str, object] | None = None
    not_quoting: str = ""
    _read: int = 0
    _second: int = -1
    _is_paused: bool = False

    def advance(self, moment: float) -> None:
        """Count up to a moment, which itself is not counted."""
        journal = self.life.journal
        while self._read < len(journal) and journal[self._read][1] <= moment:
            what, when, reference = journal[self._read]
            self._read += 1
            self._count_until(when)
            self._apply(what, when, reference)
        self._count_until(moment)

    def counters(self) -> dict[str, object]:
        """Return the counters of a report, see ``docs/reports.md``."""
        position = self.position
        return {
            "running_seconds": plain(self.running),
            "connected_seconds": plain(self.connected),
            "quoting_seconds": plain(self.quoting),
            "spread_percent_seconds": plain(self.spread),
            "bid_depth_seconds": {depth: plain(value) for depth, value in self.bid_depth.items()},
            "ask_depth_seconds": {depth: plain(value) for depth, value in self.ask_depth.items()},
            "buys": position.buys,
            "sells": position.sells,
            "buy_volume_quote": plain(position.bought),
            "sell_volume_quote": plain(position.sold),
            "maker_volume_quote": plain(position.volume),  # every order has rested on the book
            "fees_quote": plain(position.fees),
            "fees_other": {},
            "rejections": self.rejections,
        }

    def _apply(self, what: str, when: float, reference: int | str) -> None:
        if what in {PLACED, RESTORED}:
            order = self.orders[int(reference) - 1]
            # Restored ones are read again from the exchange, so what had been filled by then is known.
            self.open[order.number] = _filled_before(order, self.fills, when) if what == RESTORED else _ZERO
        elif what == CANCELLED:
            self.open.pop(int(reference), None)
        elif what == FILLED:
            self._take(self.fills[int(reference) - 1])
        elif what == REJECTED:
            self.rejections += 1
            self.last_rejection = {"at": when, "reason": reference}
        elif what == NOT_QUOTING:
            self.not_quoting = str(reference)
        elif what in {PAUSED, RESUMED}:
            self._is_paused = what == PAUSED

    def _take(self, fill: Fill) -> None:
        order = self.orders[fill.order_number - 1]
        if fill.order_number in self.open:
            self.open[fill.order_number] += fill.amount
            if self.open[fill.order_number] == order.size:
                del self.open[fill.order_number]
        if not self.own_only or order.placed_at >= self.life.started_at:
            self.position.take(fill)

    def _count_until(self, moment: float) -> None:
        start = max(self._second, math.ceil(self.life.starts_at))
        end = math.ceil(moment)
        if end <= start:
            return
        self._second = end
        if self._is_paused:
            return
        self.running += end - start
        if self.life.ready_at is None or end <= (ready := max(start, math.ceil(self.life.ready_at))):
            return
        self.connected += end - ready
        if not self.open or self.own_only:
            return
        orders = [self.orders[number - 1] for number in self.open]
        prices = self.walk.during(ready, end)
        bids = [order.ticks for order in orders if order.side == "BUY"]
        asks = [order.ticks for order in orders if order.side == "SELL"]
        if bids and asks:
            self.quoting += end - ready
            self.spread += 100.0 * (min(asks) - max(bids)) * sum(1 / ticks for ticks in prices)
        ascending = sorted(prices)
        for order in orders:
            value = float(order.limit * (order.size - self.open[order.number]))
            sums = self.bid_depth if order.side == "BUY" else self.ask_depth
            for depth in DEPTHS:
                sums[depth] += value * _seconds_within(order.ticks, float(depth) / 100, ascending)


def _seconds_within(ticks: int, distance: float, ascending: list[int]) -> int:
    """Return how many of the prices are so near to an order's, as a fraction of the price itself."""
    nearest, furthest = ticks / (1 + distance), ticks / (1 - distance)
    return bisect_right(ascending, furthest + _EXACT) - bisect_left(ascending, nearest - _EXACT)


def _filled_before(order: LiveOrder, fills: Sequence[Fill], moment: float) -> Decimal:
    if not order.filled:
        return _ZERO
    return sum((f.amount for f in fills if f.order_number == order.number and f.moment <= moment), _ZERO)


def plain(number: Decimal | float) -> str:
    """Return the number as text without an exponent, to 12 places at most."""
    return f"{Decimal(number):.12f}".rstrip("0").rstrip(".")
