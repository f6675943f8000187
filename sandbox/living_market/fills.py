"""Orders that can fill, and their fills."""

import zlib
from dataclasses import dataclass
from decimal import Decimal

from sandbox.exchange import Order, Side

#: The fee of a fill, as a fraction of its value, in the quote asset.
FEE = Decimal("0.0025")
#: One order in so many fills in two parts, when the market only touches its price.
PARTIAL_EVERY = 3
#: How far the market may go beyond an order's price to only touch it, as a fraction of the price.
TOUCH = 0.0002
_ZERO = Decimal(0)


@dataclass
class LiveOrder(Order):
    """An order on the books of a living market.

    Attributes:
        number: counts the orders of the whole sandbox, in the order of placing.
        instance: the unique name of the instance that placed it.
        account: the credentials profile whose money it binds.
        ticks: its price in the market's price increments.
        limit, size: price and amount, exact.
        filled: in the base asset.
        completed_at: when it was filled completely.
        known_filled, known_at: how much is filled as far as its bot knows, and when it last learned of a fill.
    """

    number: int = 0
    instance: str = ""
    account: str = ""
    ticks: int = 0
    limit: Decimal = _ZERO
    size: Decimal = _ZERO
    filled: Decimal = _ZERO
    completed_at: float | None = None
    known_filled: Decimal = _ZERO
    known_at: float | None = None

    @property
    def ended_at(self) -> float | None:
        return self.cancelled_at if self.completed_at is None else self.completed_at

    def last_status(self, moment: float) -> str:
        """Return the order's last event in the database of its bot: a fill that the bot does not know of is none."""
        side = self.side.title()
        if self.known_at is not None and self.known_filled == self.size:
            return f"{side}OrderCompleted"
        if self.cancelled_at is not None and self.cancelled_at <= moment:
            return "OrderCancelled"
        return f"{side}OrderCreated" if self.known_at is None else "OrderFilled"

    def updated_at(self, moment: float) -> float:
        if self.last_status(moment) == "OrderCancelled" and self.cancelled_at is not None:
            return self.cancelled_at
        return self.placed_at if self.known_at is None else self.known_at

    @property
    def left(self) -> Decimal:
        """What is still to be filled, in the base asset."""
        return self.size - self.filled

    @property
    def is_on_book(self) -> bool:
        return self.cancelled_at is None and self.completed_at is None

    def is_open(self, moment: float) -> bool:
        return self.placed_at <= moment and (self.ended_at is None or self.ended_at > moment)

    @property
    def base(self) -> str:
        return self.trading_pair.partition("-")[0]

    @property
    def quote(self) -> str:
        return self.trading_pair.partition("-")[2]

    def binds(self, amount: Decimal) -> tuple[str, Decimal]:
        """Return the asset that so much of the order binds, and how much of it; a purchase with its fee."""
        return (self.quote, amount * self.limit * (1 + FEE)) if self.side == "BUY" else (self.base, amount)

    def next_limit(self) -> int:
        """Return the price in ticks at which it fills next: its own, and for the rest of it one beyond."""
        if not self.filled:
            return self.ticks
        return self.ticks - 1 if self.side == "BUY" else self.ticks + 1

    def part_to_fill(self, market_ticks: int, step: Decimal) -> Decimal:
        """Return how much of it fills when the market trades there; ``step`` is the smallest amount."""
        touched = abs(self.ticks - market_ticks) <= int(self.ticks * TOUCH)
        seed = zlib.crc32(self.client_order_id.encode())
        if self.filled or not touched or seed % PARTIAL_EVERY:
            return self.left
        part = self.size * (30 + seed // PARTIAL_EVERY % 41) / 100 // step * step.normalize()
        return part if 0 < part < self.size else self.left


@dataclass(frozen=True)
class Fill:
    """A trade of an order, at the order's price.

    Attributes:
        trade_id: counts the trades of the whole sandbox; the exchange's name for it.
        order_number: of the order, see ``LiveOrder.number``.
        price, fee: in the quote asset.
        amount: in the base asset.
        moment: when the exchange traded, a whole second of the epoch.
    """

    trade_id: int
    order_number: int
    instance: str
    account: str
    connector: str
    trading_pair: str
    client_order_id: str
    exchange_order_id: str
    side: Side
    price: Decimal
    amount: Decimal
    moment: float

    @property
    def value(self) -> Decimal:
        return self.amount * self.price

    @property
    def fee(self) -> Decimal:
        return self.amount * self.price * FEE

    @property
    def base_change(self) -> Decimal:
        """What it adds to the account's base asset."""
        return self.amount if self.side == "BUY" else -self.amount

    @property
    def quote_change(self) -> Decimal:
        """What it adds to the account's quote asset, its fee included."""
        return (-self.value if self.side == "BUY" else self.value) - self.fee
