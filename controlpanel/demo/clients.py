"""Who is in the demo: three clients of an agency, with keys and bots. Names and keys are invented.

In each market, one bot is up when the demo opens. So its price is known, and the profit of the others too.
"""

from dataclasses import dataclass, field
from typing import Any

FIRST_SERVER, SECOND_SERVER = "Frankfurt", "Tokyo"


@dataclass(frozen=True)
class DemoBot:
    """A bot with the script ``spread``.

    Attributes:
        late: whether it is deployed in the last hours only.
    """

    name: str
    connector: str
    trading_pair: str
    order_amount: float
    spread: float = 0.008
    late: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "bid_spread": self.spread,
            "ask_spread": self.spread,
            "order_amount": self.order_amount,
            "order_refresh_time": 240,
        }


@dataclass(frozen=True)
class DemoClient:
    name: str
    server: str
    manager: str
    connectors: tuple[str, ...]
    bots: tuple[DemoBot, ...] = field(default=())


#: The account managers, each with a first name, a last name and a role.
PEOPLE = {
    "maya": ("Maya", "Fischer"),
    "jonas": ("Jonas", "Weber"),
}

NORTHWIND = DemoClient(
    name="Northwind Labs",
    server=FIRST_SERVER,
    manager="maya",
    connectors=("binance", "bitmart"),
    bots=(
        DemoBot("Northwind BTC", "binance", "BTC-USDT", 0.004, spread=0.010),
        DemoBot("Northwind ETH", "binance", "ETH-USDT", 0.06),
        DemoBot("Northwind SOL", "bitmart", "SOL-USDT", 1),
    ),
)
SOUTHPAW = DemoClient(
    name="Southpaw Tokens",
    server=FIRST_SERVER,
    manager="jonas",
    connectors=("bitmart",),
    bots=(
        DemoBot("Southpaw SHARP", "bitmart", "SHARP-USDT", 12_000, spread=0.009),
        # Further from the mid price than the client's contract allows.
        DemoBot("Southpaw SHARP wide", "bitmart", "SHARP-USDT", 8_000, spread=0.012),
        # More than the account has of either asset: it never finds the money for an order.
        DemoBot("Southpaw SOL", "bitmart", "SOL-USDT", 400, late=True),
    ),
)
TOKYO_BAY = DemoClient(
    name="Tokyo Bay",
    server=SECOND_SERVER,
    manager="maya",
    connectors=("binance",),
    bots=(
        DemoBot("Tokyo BTC", "binance", "BTC-USDT", 0.002),
        DemoBot("Tokyo ETH", "binance", "ETH-USDT", 0.05),
    ),
)
CLIENTS = (NORTHWIND, SOUTHPAW, TOKYO_BAY)
