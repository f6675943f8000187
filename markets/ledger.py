"""A ledger of fills by average cost: what was earned, what it cost, and what is held.

Average cost, as accountants define it: buying more changes the average price of what is held, selling does not. What is
sold earns the difference to that average. A ledger can be short: then it earns when it buys lower. Fees are kept apart
from the profit, in the quote asset where they can be converted.

Everything is in the market's quote asset, amounts are in its base asset, and all is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import Any, Self

ZERO = Decimal(0)
#: Digits that are kept in a division. Products and sums of what exchanges report are exact with as many.
PRECISION = 50


@dataclass
class Ledger:
    """One bot's fills in one market, from its first one on.

    Attributes:
        inventory: bought less sold; negative when more was sold.
        average_cost: average price of the inventory.
        realized: profit of what was closed, without fees.
        fees: in the quote asset.
        other_fees: by asset, those that were not converted.
        maker_volume, taker_volume: value of the fills of which it is known.
    """

    inventory: Decimal = ZERO
    average_cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = field(default_factory=dict)
    buys: int = 0
    sells: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    buy_volume: Decimal = ZERO
    sell_volume: Decimal = ZERO
    maker_volume: Decimal = ZERO
    taker_volume: Decimal = ZERO

    def add(
        self,
        side: str,
        price: Decimal,
        amount: Decimal,
        *,
        fee: Decimal | None = None,
        fees: Mapping[str, Decimal] | None = None,
        liquidity: str = "",
    ) -> None:
        """Book one fill.

        Args:
            side: ``BUY`` or ``SELL``.
            fee: in the quote asset; ``None`` when it can't be converted, then ``fees`` are kept by asset.
        """
        with localcontext(Context(prec=PRECISION)):
            value = price * amount
            if side == "BUY":
                self.buys, self.bought, self.buy_volume = self.buys + 1, self.bought + amount, self.buy_volume + value
            else:
                self.sells, self.sold, self.sell_volume = self.sells + 1, self.sold + amount, self.sell_volume + value
            if liquidity == "maker":
                self.maker_volume += value
            elif liquidity == "taker":
                self.taker_volume += value
            if fee is not None:
                self.fees += fee
            else:
                for asset, paid in (fees or {}).items():
                    self.other_fees[asset] = self.other_fees.get(asset, ZERO) + paid
            self._move(amount if side == "BUY" else -amount, price)

    def _move(self, change: Decimal, price: Decimal) -> None:
        held, amount = abs(self.inventory), abs(change)
        if self.inventory * change >= 0:
            self.average_cost = (held * self.average_cost + amount * price) / (held + amount)
        else:
            closed = min(held, amount)
            self.realized += closed * (price - self.average_cost) * (1 if self.inventory > 0 else -1)
            if amount > held:  # the rest opens the other side
                self.average_cost = price
        self.inventory += change
        if not self.inventory:
            self.average_cost = ZERO

    @property
    def volume(self) -> Decimal:
        return self.buy_volume + self.sell_volume

    @property
    def trades(self) -> int:
        return self.buys + self.sells

    def unrealized(self, mid_price: Decimal | None) -> Decimal | None:
        """Return the profit of the inventory at this price; zero without an inventory, at whatever price."""
        if not self.inventory:
            return ZERO
        return None if mid_price is None else self.inventory * (mid_price - self.average_cost)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, amounts as text."""
        fees = {asset: str(paid) for asset, paid in self.other_fees.items()}
        amounts = {name: str(value) for name, value in vars(self).items() if isinstance(value, Decimal)}
        return amounts | {"buys": self.buys, "sells": self.sells, "other_fees": fees}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        ledger = cls(buys=stored["buys"], sells=stored["sells"])
        ledger.other_fees = {asset: Decimal(paid) for asset, paid in stored["other_fees"].items()}
        for name, value in stored.items():
            if isinstance(value, str):
                setattr(ledger, name, Decimal(value))
        return ledger


@dataclass(frozen=True)
class Profit:
    """What happened between two states of a ledger, with the mid prices of both moments.

    Attributes:
        unrealized: the change of the inventory's unrealized profit; ``None`` when a price is not known.
    """

    begin: Ledger
    end: Ledger
    unrealized: Decimal | None

    @property
    def realized(self) -> Decimal:
        return self.end.realized - self.begin.realized

    @property
    def fees(self) -> Decimal:
        return self.end.fees - self.begin.fees

    @property
    def other_fees(self) -> dict[str, Decimal]:
        paid = {a: fee - self.begin.other_fees.get(a, ZERO) for a, fee in self.end.other_fees.items()}
        return {asset: fee for asset, fee in paid.items() if fee}

    @property
    def net(self) -> Decimal | None:
        """Realized and unrealized profit less fees; ``None`` when the unrealized one is not known."""
        return None if self.unrealized is None else self.realized + self.unrealized - self.fees

    @property
    def volume(self) -> Decimal:
        return self.end.volume - self.begin.volume

    @property
    def buys(self) -> int:
        return self.end.buys - self.begin.buys

    @property
    def sells(self) -> int:
        return self.end.sells - self.begin.sells

    @property
    def trades(self) -> int:
        return self.buys + self.sells

    @property
    def bought(self) -> Decimal:
        return self.end.bought - self.begin.bought

    @property
    def sold(self) -> Decimal:
        return self.end.sold - self.begin.sold

    @property
    def buy_volume(self) -> Decimal:
        return self.end.buy_volume - self.begin.buy_volume

    @property
    def sell_volume(self) -> Decimal:
        return self.end.sell_volume - self.begin.sell_volume

    @property
    def average_buy(self) -> Decimal | None:
        """Average price of the buys."""
        return self.buy_volume / self.bought if self.bought else None

    @property
    def average_sell(self) -> Decimal | None:
        """Average price of the sells."""
        return self.sell_volume / self.sold if self.sold else None

    @property
    def inventory_change(self) -> Decimal:
        return self.end.inventory - self.begin.inventory

    @property
    def maker_share(self) -> Decimal | None:
        """Share of the volume that was traded as a maker, of the volume of which it is known; a fraction."""
        maker = self.end.maker_volume - self.begin.maker_volume
        taker = self.end.taker_volume - self.begin.taker_volume
        return maker / (maker + taker) if maker + taker else None


def profit_between(begin: Ledger, end: Ledger, begin_price: Decimal | None, end_price: Decimal | None) -> Profit:
    """Return what happened between two states of a ledger.

    Args:
        begin_price, end_price: the mid prices then; only needed where there was an inventory.
    """
    before, after = begin.unrealized(begin_price), end.unrealized(end_price)
    return Profit(begin, end, None if before is None or after is None else after - before)
