"""The exchange behind the sandbox's bots: what it rejects, and which of their orders are on its books.

An order lives at the exchange and not in the container that placed it: whatever ends without canceling leaves its
orders there. They are calculated from the moments of an instance's life, like all that the sandbox shows.
"""

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from sandbox.clock import Clock
from sandbox.markets import market_of

if TYPE_CHECKING:
    from sandbox.instance import Instance
    from sandbox.living_market.living import LivingMarket

#: How often a bot that has no orders tries to place some, in sandbox seconds.
RECOVERY_INTERVAL = 60.0
#: From a controller's first orders until it cancels them, when its kill switch was on before it started.
KILLED_AFTER = 1.0
#: The settings that hold a side's spread, of scripts and of controllers.
BID_SPREADS, ASK_SPREADS = ("bid_spread", "buy_spreads"), ("ask_spread", "sell_spreads")

Side = Literal["BUY", "SELL"]


@dataclass
class Order:
    """A limit order. Moments are epoch seconds of the sandbox's clock, and may be in the future.

    Attributes:
        price: in the quote asset.
        amount: in the base asset.
        cancelled_at: ``None`` for one that was not canceled.
    """

    client_order_id: str
    exchange_order_id: str
    connector: str
    trading_pair: str
    side: Side
    price: float
    amount: float
    placed_at: float
    cancelled_at: float | None = None

    def is_open(self, moment: float) -> bool:
        return self.placed_at <= moment and (self.cancelled_at is None or self.cancelled_at > moment)

    def last_status(self, moment: float) -> str:
        """Return the name of the order's last event, as Hummingbot's database has it."""
        return f"{self.side.title()}OrderCreated" if self.is_open(moment) else "OrderCancelled"

    def updated_at(self, moment: float) -> float:
        """Return when that event was."""
        return self.placed_at if self.is_open(moment) else self.cancelled_at or self.placed_at


@dataclass
class Exchange:
    """All exchanges of the sandbox in one.

    Attributes:
        refusals: from when until when it refuses every request that is signed with a key.
        unlisted: trading pairs that it does not list, though a server's rules may.
        empty_since: since when there is no balance to trade with.
        market: what makes prices walk and orders fill; ``None`` when everything stands still.
    """

    clock: Clock = field(repr=False)
    refusals: list[tuple[float, float | None]] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)
    empty_since: float | None = None
    market: "LivingMarket | None" = field(default=None, repr=False)

    def refuse_keys(self) -> None:
        """Refuse every key from now on, as after a revocation."""
        self.refusals.append((self.clock.now(), None))

    def accept_keys(self) -> None:
        """Accept the keys again from now on."""
        self.refusals = [(since, until or self.clock.now()) for since, until in self.refusals]

    def accepts(self, moment: float) -> bool:
        return not any(since <= moment and (until is None or moment < until) for since, until in self.refusals)

    def can_pay(self, moment: float) -> bool:
        return self.empty_since is None or moment < self.empty_since

    def record(self) -> dict[str, object]:
        """Return all that is needed to create it again, except the clock."""
        return {"refusals": self.refusals, "unlisted": sorted(self.unlisted), "empty_since": self.empty_since}

    @classmethod
    def from_record(cls, clock: Clock, record: dict) -> "Exchange":
        refusals = [(since, until) for since, until in record["refusals"]]
        return cls(clock, refusals, set(record["unlisted"]), record["empty_since"])


def orders_of(instance: "Instance") -> list[Order]:
    """Return every order that the instance has placed up to now, in this life of its container and in those before."""
    if instance.exchange.market is not None:
        return [*instance.exchange.market.orders_of(instance)]
    now = instance.clock.now()
    orders = [Order(**order) for order in instance.previous_orders]  # type: ignore[arg-type]
    for order in orders:
        if order.cancelled_at is None:
            order.cancelled_at = _cancels_previous_at(instance)
    return [order for order in [*orders, *_placed_in_this_life(instance)] if order.placed_at <= now]


def settled(instance: "Instance") -> list[dict[str, object]]:
    """Return the same at the end of a life, to be kept for the next one; a living market keeps them itself."""
    if instance.exchange.market is not None:
        return []
    return [asdict(order) for order in orders_of(instance)]


def quoting_spans(instance: "Instance") -> Iterator[tuple[float, float | None]]:
    """Yield the spans in which this life's strategy keeps orders on the book; ``None`` without an orderly end."""
    ready = instance.starts_at + instance.exchange_ready
    if not instance.quotes_from(ready):
        return
    begin: float | None = ready
    stop = instance.stopped_at
    for moment, _, killed in instance.kill_switch_obeyed():
        if killed and begin is not None:
            cancelled_at = max(moment, begin + KILLED_AFTER)
            yield begin, cancelled_at if stop is None else min(cancelled_at, stop)
            begin = None
        elif not killed and begin is None:
            begin = moment
    if begin is not None and (stop is None or begin < stop):
        yield begin, stop


def refused_rounds(instance: "Instance") -> Iterator[float]:
    """Return the moments at which this life tried to place orders and the exchange rejected its key."""
    for begin, end in quoting_spans(instance):
        until = min(instance.acts_until, instance.clock.now(), *(() if end is None else (end,)))
        moment = begin
        while moment <= until:
            if not instance.key_is_accepted(moment):
                yield moment
            moment += RECOVERY_INTERVAL


def _placed_in_this_life(instance: "Instance") -> Iterator[Order]:
    exchange = instance.exchange
    for number, (begin, end) in enumerate(quoting_spans(instance)):
        until = instance.acts_until if end is None else min(end, instance.acts_until)
        placed_at = begin
        while placed_at <= min(until, instance.clock.now()) and not (
            instance.key_is_accepted(placed_at) and exchange.can_pay(placed_at)
        ):
            placed_at += RECOVERY_INTERVAL
        if placed_at > until or (end is not None and placed_at >= end):
            continue
        cancels = end is not None and end <= instance.acts_until and instance.key_is_accepted(end)
        if end == instance.stopped_at and not instance.stop_cancels:
            cancels = False
        for order in _pair_of_orders(instance, number, placed_at):
            order.cancelled_at = end if cancels else None
            yield order


def _cancels_previous_at(instance: "Instance") -> float | None:
    """Return when this life cancels what an earlier one left open: ``spread`` first, any strategy at its stop."""
    moments = []
    ready = instance.starts_at + instance.exchange_ready
    if not instance.controllers and instance.quotes_from(ready):
        moments.append(ready)
    if instance.stopped_at is not None and instance.stop_cancels:
        moments.append(instance.stopped_at)
    return next((m for m in moments if m <= instance.acts_until and instance.key_is_accepted(m)), None)


def _pair_of_orders(instance: "Instance", number: int, placed_at: float) -> Iterator[Order]:
    config = instance.market_config
    connector, pair = str(config.get("connector_name", "")), str(config.get("trading_pair", ""))
    price = market_of(pair).price
    amount = float(str(config.get("order_amount") or 1))
    for side, sign, names in (("BUY", -1, BID_SPREADS), ("SELL", 1, ASK_SPREADS)):
        seed = f"{instance.name}/{instance.started_at}/{number}/{side}"
        yield Order(
            client_order_id=f"{side[0]}SBX{zlib.crc32(seed.encode()):08x}{number:04x}",
            exchange_order_id=str(1_795_900_000_000 + zlib.crc32(seed[::-1].encode())),
            connector=connector,
            trading_pair=pair,
            side=side,  # type: ignore[arg-type]
            price=round(price * (1 + sign * spread_of(config, names)), 10),
            amount=amount,
            placed_at=placed_at,
        )


def spread_of(config: dict[str, object], names: tuple[str, str]) -> float:
    """Return the first spread of one side, as a fraction of the price, under whichever name a configuration has it."""
    value = next((config[name] for name in names if config.get(name)), 0.003)
    first = value[0] if isinstance(value, list) else str(value).split(",")[0]
    return float(str(first))
