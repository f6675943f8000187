"""The walk of a market's price: a function of the trading pair and the second, and of nothing else.

Within a block of seconds the price is calculated by midpoint displacement: the two ends of the block are drawn, then
the middle between them, then the middles of the halves, each with a draw of its own. So every second's price is the
same in every process and after every restart, whatever was asked before.
"""

from array import array
from decimal import Decimal
from functools import cache
from random import Random

from sandbox.markets import Market, market_of

#: Seconds whose prices are calculated at once; a power of two.
BLOCK = 4096
#: Seconds of which the lowest and the highest price are kept, so that a search can skip them.
CHUNK = 64
#: How far a block's ends may be from the market's price, and then each middle from the mean of its neighbors, as
#: fractions of the price: for spans of 4096, 2048, ..., 2 seconds. Their sum is the furthest that the price can be.
_END = 0.0005
_STEPS = (0.0025, 0.0025, 0.0025, 0.0025, 0.0035, 0.0047, 0.0047, 0.0028, 0.0015, 0.0010, 0.0008, 0.0005)
#: The same as a bound: the price never leaves it.
WIDEST = _END + sum(_STEPS)


class Walk:
    """The price of one trading pair in whole ticks, a tick being the market's price increment. Seconds are of the
    epoch, and the price of a second holds until the next one.
    """

    def __init__(self, trading_pair: str) -> None:
        self.trading_pair = trading_pair
        self.market: Market = market_of(trading_pair)
        self.tick = Decimal(str(self.market.min_price_increment))
        self._blocks: dict[int, array[int]] = {}
        self._ranges: dict[int, tuple[array[int], array[int]]] = {}

    def ticks(self, second: int) -> int:
        """Return the price in that second."""
        number, place = divmod(second, BLOCK)
        return self._block(number)[place]

    def price(self, ticks: int) -> Decimal:
        """Return so many ticks in the quote asset."""
        return self.tick * ticks

    def during(self, start: int, end: int) -> "array[int]":
        """Return the prices of the seconds from ``start`` up to and without ``end``."""
        found = array("q")
        while start < end:
            number, place = divmod(start, BLOCK)
            until = min(BLOCK, place + end - start)
            found += self._block(number)[place:until]
            start += until - place
        return found

    def first_crossing(self, side: str, limit: int, start: int, end: int) -> int | None:
        """Return the first second from ``start`` and before ``end`` in which an order with that limit would fill: a BUY
        where the market trades at or below it, a SELL at or above. ``None`` when there is none.
        """
        buys = side == "BUY"
        for chunk in range(start // CHUNK, (end - 1) // CHUNK + 1):
            lows, highs = self._range(chunk // (BLOCK // CHUNK))
            place = chunk % (BLOCK // CHUNK)
            if (lows[place] > limit) if buys else (highs[place] < limit):
                continue
            first = max(start, chunk * CHUNK)
            prices = self.during(first, min(end, (chunk + 1) * CHUNK))
            for second, ticks in enumerate(prices, first):
                if ticks <= limit if buys else ticks >= limit:
                    return second
        return None

    def _range(self, number: int) -> "tuple[array[int], array[int]]":
        self._block(number)
        return self._ranges[number]

    def _block(self, number: int) -> "array[int]":
        if number not in self._blocks:
            scale = self.market.price / self.market.min_price_increment
            prices = array("q", [max(1, round(scale * (1 + part))) for part in self._parts(number)])
            starts = range(0, BLOCK, CHUNK)
            self._ranges[number] = (
                array("q", (min(prices[start : start + CHUNK]) for start in starts)),
                array("q", (max(prices[start : start + CHUNK]) for start in starts)),
            )
            self._blocks[number] = prices
        return self._blocks[number]

    def _parts(self, number: int) -> list[float]:
        """Return by which fraction the price differs from the market's, for each second of a block."""
        draw = Random(f"{self.trading_pair} block {number}").random
        parts = [0.0] * (BLOCK + 1)
        parts[0], parts[BLOCK] = self._end(number), self._end(number + 1)
        span = BLOCK
        for step in _STEPS:
            half = span // 2
            for place in range(half, BLOCK, span):
                parts[place] = (parts[place - half] + parts[place + half]) / 2 + step * (2 * draw() - 1)
            span = half
        return parts[:BLOCK]

    def _end(self, number: int) -> float:
        return Random(f"{self.trading_pair} end {number}").uniform(-_END, _END)


@cache
def walk_of(trading_pair: str) -> Walk:
    """Return the walk of a trading pair, shared by all sandboxes of the process."""
    return Walk(trading_pair)
