"""Which orders a bot has at its exchange, as far as its log and its archive show.

Nobody can ask the exchange: the server cancels or lists no orders that a bot placed. An order counts as ended when the
bot's log, or its archived database, says so, and never because somebody asked for it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
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
    r"Failed to cancel order (\S+)\s*(?:\n|$)|Stopping, but these cancels are not confirmed: (.+)$"
)
_STOPPING, _STARTING = "stop command initiated.", "start command initiated."
_EVENT_SIDE = re.compile(r"(Buy|Sell)Order")


@dataclass(frozen=True)
class OpenOrder:
    """An order that is open as far as anybody knows. What is not known of it is empty.

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


def orders_after(
    known: Iterable[OpenOrder],
    read_to: datetime | None,
    general: Sequence[LogEntry],
    errors: Sequence[LogEntry] = (),
) -> list[OpenOrder]:
    """The orders that are open after what a log shows, given those that were known before.

    When entries were lost in between, nobody knows what became of the orders that were known: they are left out here,
    for what was seen to be created and not to end is all that a log can prove. The archive names the others.

    Args:
        known: those that were open when the log was read before.
        read_to: the newest general entry that was read then; ``None`` when it is read for the first time.
        general, errors: the two logs as the server has them now, in whatever order.
    """
    oldest = min((entry.timestamp for entry in general), default=None)
    lost = read_to is not None and len(general) >= LOG_LENGTH and oldest is not None and oldest > read_to
    orders = {} if lost else {order.client_order_id: order for order in known}
    stopping = False
    for entry in sorted((*general, *errors), key=lambda entry: entry.timestamp):
        message = entry.message.strip()
        if message in {_STOPPING, _STARTING}:
            stopping = message == _STOPPING
        elif match := _CREATED.match(message):
            side, name, amount, pair, price = match.groups()
            orders[name] = OpenOrder(name, side, price, amount, pair)
        elif match := _ENDED.match(message):
            orders.pop(next(filter(None, match.groups())), None)
        elif stopping and (match := _NOT_CANCELLED.match(message)):
            for name in re.split(r",\s*", next(filter(None, match.groups())).strip()):
                orders.setdefault(name, OpenOrder(name))
    return list(orders.values())


def in_words(orders: Sequence[OpenOrder], most: int = 20) -> str:
    """The orders in a list for a sentence."""
    words = "; ".join(map(str, orders[:most]))
    return f"{words}; and {len(orders) - most} more" if len(orders) > most else words


def _side_of(order: ArchivedOrder) -> str:
    """From its last event, or else from its id: Hummingbot puts B or S and the ends of both assets there."""
    if match := _EVENT_SIDE.match(order.last_status):
        return match[1].upper()
    base, _, quote = order.trading_pair.upper().partition("-")
    if not base or not quote:
        return ""
    match = re.search(f"([BS]){re.escape(base[0] + base[-1] + quote[0] + quote[-1])}", order.client_order_id)
    return {"B": "BUY", "S": "SELL"}[match[1]] if match else ""


def _digits(number: Decimal | None) -> str:
    """Without an exponent, which nobody could look up at an exchange, and without zeros at the end."""
    if number is None:
        return ""
    digits = f"{number:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
