"""What the server answers, as typed values. Times are aware datetimes in UTC; money is in the quote asset."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hummingbot_api.reading import figure

_OPTIONAL = re.compile(r"typing\.Optional\[(.*)\]$|(.*?)\s?\|\s?None$")
_LIST = re.compile(r"(typing\.)?(list|set|tuple|sequence)\b", re.IGNORECASE)
#: A dictionary, or the path of a nested model, or several of these.
_OBJECT = re.compile(r"(typing\.)?(dict|mapping|union)\b|\w+\.\w", re.IGNORECASE)


@dataclass(frozen=True)
class ConnectorField:
    """One value that a connector requires when a key is added.

    Attributes:
        name: as the server spells it, ``bitmart_memo``.
        type: the server's name for it: ``SecretStr``, ``str``, ``int``, ``bool``, ``Literal``, ``list[str]``,
            or the path of a nested model.
        required: whether a key without it is rejected.
        allowed_values: the choices of a ``Literal``; empty for any other type.
    """

    name: str
    type: str
    required: bool
    allowed_values: tuple[str, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether the value must be hidden from everybody once it has been entered."""
        return self.type == "SecretStr"

    @property
    def kind(self) -> str:
        """What its value is: ``text``, ``bool``, ``int``, ``choice``, ``list``, or ``object`` for a nested one."""
        if self.allowed_values:
            return "choice"
        optional = _OPTIONAL.match(self.type)
        bare = optional[1] or optional[2] if optional else self.type
        if bare in {"bool", "int"}:
            return bare
        if _LIST.match(bare):
            return "list"
        return "object" if _OBJECT.match(bare) else "text"


@dataclass(frozen=True)
class ControllerSetting:
    """One setting of a controller, as the template of its configuration describes it.

    Attributes:
        name: as the configuration spells it.
        type: the Python annotation as the server writes it: ``<class 'decimal.Decimal'>``, ``<enum 'TradeType'>``,
            ``typing.Optional[int]``, ``typing.List[float]``.
        default: JSON, where the server has it: a ``Decimal`` is text, and what is no JSON at all, such as a member of
            an enum, is the text that Python prints for it. ``None`` without a default, too.
        required: whether there is no default. The server's own “required” is never true.
    """

    name: str
    type: str
    default: Any
    required: bool


@dataclass(frozen=True)
class TradingRule:
    """An exchange's requirements for orders in a trading pair; ``None`` where it sets no bound.

    Attributes:
        min_order_size: in the base asset.
        min_notional_size: the minimum value of an order, in the quote asset.
        min_price_increment: the step of prices, in the quote asset.
    """

    min_order_size: float | None
    min_notional_size: float | None
    min_price_increment: float | None


@dataclass(frozen=True)
class LogEntry:
    """One line of a bot's log. ``message`` may be a whole traceback."""

    level: str
    logger: str
    message: str
    timestamp: datetime


@dataclass(frozen=True)
class BotStatus:
    """What a live bot reports about itself.

    Attributes:
        status: ``running`` only when a controller reports; a healthy script bot always reports ``stopped``.
        recently_active: the process was connected within 30 s. It stays up after a stop; only its strategy ends.
        performance: by controller id, as the server sends it; empty until the exchange is ready.
        error_logs: up to 100 entries.
        general_logs: up to 100 entries.
    """

    status: str
    recently_active: bool
    performance: Mapping[str, Any]
    error_logs: tuple[LogEntry, ...]
    general_logs: tuple[LogEntry, ...]


@dataclass(frozen=True)
class MqttStatus:
    """The server's connection to its bots. ``discovered_bots`` are those that were connected within 30 s."""

    connected: bool
    discovered_bots: frozenset[str]


@dataclass(frozen=True)
class ControllerPerformance:
    """A controller's latest snapshot; the server takes one every five minutes.

    ``performance`` is empty until the exchange is ready, and each figure is ``None`` then.
    """

    bot_name: str
    controller_id: str
    timestamp: datetime
    status: str
    performance: Mapping[str, Any]

    @property
    def realized_pnl_quote(self) -> float | None:
        """Profit of what was closed, in the quote asset."""
        return figure(self.performance, "realized_pnl_quote")

    @property
    def unrealized_pnl_quote(self) -> float | None:
        """Profit of what is open at the current price, in the quote asset."""
        return figure(self.performance, "unrealized_pnl_quote")

    @property
    def global_pnl_quote(self) -> float | None:
        """Realized and unrealized profit together, in the quote asset."""
        return figure(self.performance, "global_pnl_quote")

    @property
    def volume_traded(self) -> float | None:
        """Sum of all fills, in the quote asset."""
        return figure(self.performance, "volume_traded")


@dataclass(frozen=True)
class Holding:
    """What an account has of one token on one exchange. ``None`` is what the server did not report as a number.

    Attributes:
        available_units: those that no open order binds.
        price: in US dollars as the server reckons them: a token with “USD” in its name counts 1, another one what it
            costs in USDT (or in the exchange's own dollar), and one that it finds no price for counts 0.
        value: ``units`` at that price.
    """

    token: str
    units: float | None
    available_units: float | None
    price: float | None
    value: float | None


#: An account's balances, by connector.
Holdings = Mapping[str, tuple[Holding, ...]]


@dataclass(frozen=True)
class PortfolioSnapshot:
    """One account's balances at a moment, to the minute."""

    taken_at: datetime
    holdings: Holdings


@dataclass(frozen=True)
class BotRun:
    """One deployment in the server's history. ``deployment_status`` is ``DEPLOYED``, ``FAILED`` or ``ARCHIVED``."""

    bot_name: str
    deployment_status: str


@dataclass(frozen=True)
class ArchivedOrder:
    """An order in the database of an archived instance.

    Attributes:
        exchange_order_id: empty for one that the exchange never confirmed.
        price: in the quote asset.
        amount: in the base asset.
        last_status: the name of the order's last event, ``BuyOrderCreated`` for one that nothing happened to since.
    """

    client_order_id: str
    exchange_order_id: str
    connector: str
    trading_pair: str
    price: Decimal | None
    amount: Decimal | None
    created_at: datetime | None
    last_status: str


@dataclass(frozen=True)
class Fill:
    """One execution of an order, in a bot's own database: of a live bot, or of an archived one.

    Attributes:
        exchange_trade_id: the exchange's name for it. Exchanges give both sides of one trade the same name.
        side: ``BUY`` or ``SELL``.
        price: in the quote asset.
        amount: in the base asset.
        fees: by asset. Empty when only their value is known.
        fee_quote: their value in the quote asset, where the database has it.
        order_id, order_type: only an archive has them.
    """

    exchange_trade_id: str
    connector: str
    trading_pair: str
    side: str
    price: Decimal
    amount: Decimal
    filled_at: datetime
    fees: Mapping[str, Decimal]
    fee_quote: Decimal | None = None
    order_id: str = ""
    order_type: str = ""


@dataclass(frozen=True)
class OrderBook:
    """An order book as the server sees it: prices in the quote asset, amounts in the base asset, the best first."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True)
class Container:
    """A Docker container on the server's host. ``name`` is the instance's unique name."""

    name: str
    image: str
