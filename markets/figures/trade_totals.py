"""Sums of a list of trades, however it is filtered: volume, average prices, fees. No profit, which needs all trades."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from hummingbot_api.connectors import market_of
from markets.figures.profit import Money
from markets.ledger import ZERO, Ledger
from markets.models import TradeQuerySet


@dataclass(frozen=True)
class TradeTotal:
    """The sum of some trades in one market's assets and one kind of money."""

    money: Money
    base_asset: str
    booked: Ledger

    @property
    def average_buy(self) -> Decimal | None:
        return self.booked.buy_volume / self.booked.bought if self.booked.bought else None

    @property
    def average_sell(self) -> Decimal | None:
        return self.booked.sell_volume / self.booked.sold if self.booked.sold else None

    @property
    def change(self) -> Decimal:
        """Bought less sold, in the base asset."""
        return self.booked.bought - self.booked.sold


def totals_of(trades: TradeQuerySet) -> list[TradeTotal]:
    """Return the sums by kind of money and pair. One query."""
    found: dict[tuple[Money, str], Ledger] = {}
    rows: Iterable[tuple[str, str, str, Decimal, Decimal, Decimal | None, dict[str, str], str]] = trades.values_list(
        "connector", "trading_pair", "side", "price", "amount", "fee_quote", "fees", "liquidity"
    ).iterator(2000)
    for connector, pair, side, price, amount, fee, fees, liquidity in rows:
        base, _, quote = pair.partition("-")
        key = Money(market_of(connector).account_type, quote), base
        paid = {asset: Decimal(text) for asset, text in fees.items()}
        found.setdefault(key, Ledger()).add(side, price, amount, fee=fee, fees=paid, liquidity=liquidity)
    return [TradeTotal(money, base, booked) for (money, base), booked in found.items() if booked.volume > ZERO]
