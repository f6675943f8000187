"""Which orders a bot has at its exchange, as far as its log and its archive show.

The exchange can't be queried: the server cancels or lists no orders that a bot placed. An order counts as ended when
the bot's log, or its archived database, shows it, and never because its end was requested.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from hummingbot_api.results import ArchivedOrder, LogEntry

#: Entries of a log that a server keeps: with fewer, nothing has fallen out of it since the bot connected.
LOG_LENGTH = 100

# What Hummingbot 20260922 logs of an order: ``InFlightOrder.build_order_created_message``, ``ClientOrderTracker``,
# ``ExchangePyBase._execute_order_cancel``; and ``spread`` of cancels that it has waited for in vain.
_CREATED = re.compile(
    r"Created \w+ (BUY|SELL) order (\S+) for ([\d.eE+-]+) (?:to \w+ a )?(\S+?)(?: position)? at ([\d.eE+-]+)\.\s*$"
)
_ENDED = re.compile(
    r"Successfully cancell?ed order (\S+?)\.\s*$|(?:BUY|SELL) order (\S+) completely filled\.|Order (\S+) has failed\. "
)
_NOT_CANCELLED = re.compile(
    r"Failed to cancel order (\S+)\s*(?:\n|$)|Failed to cancel the order (\S+) because"
    r"|Stopping, but these cancels are not confirmed: (.+)$"
)
_LOST = re.compile(r"The order (\S+?)\(.*\) will be considered lost\.")
#: What a bot logs first in each run of its container, once commands reach it, and when a stop begins.
CONNECTED_LINE = "MQTT Bridge connected with success."
STOPPING_LINE = "stop command initiated."
#: A new run's log reports the connection within this many entries at its start.
FIRST_LINES = 5
_EVENT_SIDE = re.compile(r"(Buy|Sell)Order")


@dataclass(frozen=True)
class OpenOrder:
    """An order that is open as far as is known. Unknown values are empty.

    Attributes:
        side: ``BUY`` or ``SELL``.
        price: in the quote asset, as the exchange's or the bot's own digits.
        amount: in the base asset, likewise.
        exchange_order_id: the exchange's name for it; only an archive has it.
    """

    client_order_id: str
    side: str = ""
    price: str = ""
    amount: str = ""
    trading_pair: str = ""
    exchange_order_id: str = ""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**stored)

    @classmethod
    def from_archive(cls, order: ArchivedOrder) -> Self:
        return cls(
            client_order_id=order.client_order_id,
            side=_side_of(order),
            price=_digits(order.price),
            amount=_digits(order.amount),
            trading_pair=order.trading_pair,
            exchange_order_id=order.exchange_order_id,
        )

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.side.lower() or "order", self.amount, self.trading_pair)))
        price = f" at {self.price}" if self.price else ""
        name = f"exchange order {self.exchange_order_id}" if self.exchange_order_id else f"order {self.client_order_id}"
        return f"{what}{price} ({name})"


@dataclass(frozen=True)
class Orders:
    """A bot's orders according to a log.

    Attributes:
        open: those that it shows to be created, and not to end.
        complete: whether no entry was lost, so that there are no others.
    """

    open: list[OpenOrder]
    complete: bool


def orders_after(
    known: Orders, read_to: datetime | None, general: Sequence[LogEntry], errors: Sequence[LogEntry] = ()
) -> Orders:
    """Return the orders that are open after what a log shows, given those that were known before.

    When entries were lost in between, the state of the orders that were known is unknown: they are left out here,
    because a log proves only what it shows to be created and not to end. The archive names the others.

    Args:
        known: as of the time when the log was read before.
        read_to: the newest general entry that was read then; ``None`` when it is read for the first time.
        general, errors: the two logs as the server has them now, in any order.
    """
    entries = sorted((*general, *errors), key=lambda entry: entry.timestamp)
    lost = _has_gap(read_to, sorted(general, key=lambda entry: entry.timestamp))
    orders = {} if lost else {order.client_order_id: order for order in known.open}
    ended: set[str] = set()
    given_up: set[str] = set()
    stopping = False
    for entry in entries:
        message = entry.message.strip()
        if message in {STOPPING_LINE, CONNECTED_LINE}:
            stopping = message == STOPPING_LINE
        elif match := _CREATED.match(message):
            side, name, amount, pair, price = match.groups()
            orders[name] = OpenOrder(name, side, price, amount, pair)
        elif match := _LOST.match(message):
            given_up.add(match[1])
        elif name := ended_order(message):
            if name not in given_up:
                orders.pop(name, None)
                ended.add(name)
        elif stopping and (match := _NOT_CANCELLED.match(message)):
            for name in re.split(r",\s*", next(filter(None, match.groups())).strip()):
                if name not in ended:
                    orders.setdefault(name, OpenOrder(name))
    return Orders(list(orders.values()), known.complete and not lost)


def is_created(message: str) -> bool:
    """Return whether this log line reports that the exchange has accepted an order."""
    return bool(_CREATED.match(message))


def ended_order(message: str) -> str:
    """Return the order that ends by this line of a log; empty for any other line."""
    match = _ENDED.match(message)
    return next(filter(None, match.groups())) if match else ""


def _has_gap(read_to: datetime | None, general: Sequence[LogEntry]) -> bool:
    """Return whether entries have fallen out of the log since it was read. A log that begins with a new run of the
    container has lost none: while that was down, nothing was logged.
    """
    if len(general) < LOG_LENGTH or any(entry.message.strip() == CONNECTED_LINE for entry in general[:FIRST_LINES]):
        return False
    return read_to is None or general[0].timestamp > read_to


def describe(orders: Sequence[OpenOrder], most: int = 20) -> str:
    """Return the orders as a list for a sentence."""
    words = "; ".join(map(str, orders[:most]))
    return f"{words}; {len(orders) - most} more" if len(orders) > most else words


def _side_of(order: ArchivedOrder) -> str:
    """Read it from the last event, or else from the id: Hummingbot puts B or S and the ends of both assets there."""
    if match := _EVENT_SIDE.match(order.last_status):
        return match[1].upper()
    base, _, quote = order.trading_pair.upper().partition("-")
    if not base or not quote:
        return ""
    match = re.search(f"([BS]){re.escape(base[0] + base[-1] + quote[0] + quote[-1])}", order.client_order_id)
    return {"B": "BUY", "S": "SELL"}[match[1]] if match else ""


def _digits(number: Decimal | None) -> str:
    """Format a number without an exponent, which no one could search for at an exchange, and without trailing zeros."""
    if number is None:
        return ""
    digits = f"{number:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
