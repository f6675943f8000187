"""The report that a bot publishes, version 1: reads it as ``docs/reports.md`` defines it.

Every part but the version may be missing or unreadable: what is there is taken, what is not is named.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from hummingbot_api import reading
from hummingbot_api.errors import UnexpectedAnswer

VERSION = 1
#: Distances from the mid price within which depth is measured, in percent.
DISTANCES = ("0.5", "1", "2")
#: Orders and assets that are kept of one report: no bot of this product has as many.
MOST_ORDERS = MOST_ASSETS = 200
LONGEST_TEXT = 500

#: Masks the secrets in a text.
Mask = Callable[[str], str]


@dataclass(frozen=True)
class QuotedOrder:
    """An open order of a bot: price in the quote asset, amounts in the base asset, as text of plain digits."""

    client_order_id: str
    side: str
    price: str
    amount: str
    filled: str = "0"
    exchange_order_id: str = ""
    created_at: float | None = None

    @property
    def left(self) -> Decimal:
        """What has not been filled, in the base asset."""
        return Decimal(self.amount) - Decimal(self.filled)

    @property
    def value(self) -> Decimal:
        """What has not been filled, in the quote asset."""
        return self.left * Decimal(self.price)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Counters:
    """What has been counted since the run began. Seconds; percent times seconds; quote value times seconds."""

    running: float = 0.0
    connected: float = 0.0
    quoting: float = 0.0
    spread: float = 0.0
    bid_depth: Mapping[str, float] = field(default_factory=dict)
    ask_depth: Mapping[str, float] = field(default_factory=dict)
    fills: int | None = None
    rejections: int | None = None


@dataclass(frozen=True)
class BotReport:
    """What a bot published. ``missing`` names the parts of the format that it does not have."""

    reported_at: datetime | None
    run_started_at: datetime | None
    final: bool
    mid_price: Decimal | None
    best_bid: Decimal | None
    best_ask: Decimal | None
    balances: dict[str, dict[str, str]]
    orders: list[QuotedOrder] | None
    not_quoting: str
    last_rejection: str
    last_rejection_at: datetime | None
    counters: Counters | None
    performance: dict[str, float]
    missing: list[str]


def find_report(performance: Mapping[str, Any], mask: Mask) -> BotReport | None:
    """Return the report among what a bot's controllers or its script published; ``None`` when there is none of this
    version.

    Args:
        mask: for the texts that are kept. An exchange's refusal may quote a request.
    """
    for published in performance.values():
        info = published.get("custom_info") if isinstance(published, Mapping) else None
        if isinstance(info, Mapping) and info.get("report_version") == VERSION:
            figures = published.get("performance")
            return _read(dict(info), figures if isinstance(figures, Mapping) else {}, mask)
    return None


def value_within(orders: Iterable[QuotedOrder], side: str, mid_price: Decimal | None) -> dict[str, float]:
    """Return the value of one side's orders by distance from the mid price, in the quote asset."""
    if not mid_price:
        return {}
    mine = [order for order in orders if order.side == side]
    return {
        distance: float(sum(o.value for o in mine if abs(Decimal(o.price) / mid_price - 1) * 100 <= Decimal(distance)))
        for distance in DISTANCES
    }


def _read(info: dict[str, Any], performance: Mapping[str, Any], mask: Mask) -> BotReport:
    orders = info.get("orders")
    counters = info.get("counters")
    rejection = info.get("last_rejection")
    rejection = rejection if isinstance(rejection, Mapping) else {}
    expected = ("mid_price", "orders", "balances", "counters")
    missing = [name for name in expected if info.get(name) is None]
    return BotReport(
        reported_at=_moment(info, "reported_at"),
        run_started_at=_moment(info, "started_at"),
        final=info.get("final") is True,
        mid_price=_positive(info, "mid_price"),
        best_bid=_positive(info, "best_bid"),
        best_ask=_positive(info, "best_ask"),
        balances=_balances(info.get("balances"), mask),
        orders=_orders(orders[:MOST_ORDERS], mask) if isinstance(orders, list) else None,
        not_quoting=_text(info.get("not_quoting"), mask),
        last_rejection=_text(rejection.get("reason"), mask),
        last_rejection_at=_moment(dict(rejection), "at"),
        counters=_counters(counters) if isinstance(counters, Mapping) else None,
        performance={str(k): float(v) for k, v in performance.items() if reading.figure(performance, k) is not None},
        missing=missing,
    )


def _orders(entries: list[Any], mask: Mask) -> list[QuotedOrder]:
    return reading.readable(entries, lambda value: _order(value, mask))


def _order(value: object, mask: Mask) -> QuotedOrder:
    entry = reading.an_object(value, "an order")
    side = reading.text(entry, "side").lower()
    price, amount = _positive(entry, "price"), _positive(entry, "amount")
    if side not in {"buy", "sell"} or price is None or amount is None:
        raise UnexpectedAnswer(f"{UnexpectedAnswer.meaning} (an order has no side, price or amount)")
    created = _moment(entry, "created_at")
    return QuotedOrder(
        client_order_id=_text(entry.get("client_order_id"), mask),
        side=side,
        price=f"{price:f}",
        amount=f"{amount:f}",
        filled=f"{reading.decimal(entry, 'filled') or Decimal(0):f}",
        exchange_order_id=_text(entry.get("exchange_order_id"), mask),
        created_at=None if created is None else created.timestamp(),
    )


def _balances(value: object, mask: Mask) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for asset, held in islice(value.items(), MOST_ASSETS) if isinstance(value, Mapping) else ():
        if isinstance(held, Mapping) and (total := reading.decimal(held, "total")) is not None:
            available = reading.decimal(held, "available")
            found[_text(asset, mask)] = {
                "total": f"{total:f}",
                "available": "" if available is None else f"{available:f}",
            }
    return found


def _counters(entry: Mapping[str, Any]) -> Counters:
    buys, sells = reading.count(entry, "buys"), reading.count(entry, "sells")
    return Counters(
        running=_seconds(entry, "running_seconds"),
        connected=_seconds(entry, "connected_seconds"),
        quoting=_seconds(entry, "quoting_seconds"),
        spread=_seconds(entry, "spread_percent_seconds"),
        bid_depth=_by_distance(entry.get("bid_depth_seconds")),
        ask_depth=_by_distance(entry.get("ask_depth_seconds")),
        fills=None if buys is None or sells is None else buys + sells,
        rejections=reading.count(entry, "rejections"),
    )


def _by_distance(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {distance: _seconds(value, distance) for distance in DISTANCES if distance in value}


def _seconds(entry: Mapping[str, Any], key: str) -> float:
    number = reading.decimal(entry, key)
    return 0.0 if number is None else max(0.0, float(number))


def _positive(entry: Mapping[str, Any], key: str) -> Decimal | None:
    number = reading.decimal(entry, key)
    return number if number is not None and number > 0 else None


def _moment(entry: dict[str, Any], key: str) -> datetime | None:
    try:
        return reading.moment(entry, key)
    except UnexpectedAnswer:
        return None


def _text(value: object, mask: Mask) -> str:
    if not isinstance(value, str | int):
        return ""
    # A bot may publish megabytes: as much is masked as no secret that begins in what is kept ends behind.
    return mask(str(reading.storable(str(value)[: 10 * LONGEST_TEXT])))[:LONGEST_TEXT]
