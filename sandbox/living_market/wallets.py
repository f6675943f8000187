"""What an account has on one exchange: totals, what open orders bind, and both at any moment before."""

import zlib
from bisect import bisect_right
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from sandbox.markets import MARKETS

#: What every asset of a new wallet is worth at least, in the quote asset of its market; at most half as much again.
WORTH = 20_000
_ZERO = Decimal(0)


class Balance(NamedTuple):
    """An amount of one asset; ``available`` is what no open order binds."""

    total: Decimal
    available: Decimal


@dataclass
class Wallet:
    """The assets of one account on one exchange. An asset is there from the start, once somebody looks at it."""

    account: str
    connector: str
    _moments: dict[str, list[float]] = field(default_factory=dict, repr=False)
    _balances: dict[str, list[Balance]] = field(default_factory=dict, repr=False)

    @property
    def assets(self) -> list[str]:
        """The assets that an order has ever bound or moved."""
        return list(self._balances)

    def initial(self, asset: str) -> Decimal:
        """Return what the wallet held before its first order, which follows from its names alone."""
        seed = zlib.crc32(f"{self.account}/{self.connector}/{asset}".encode())
        value = Decimal(WORTH + seed % (WORTH // 2))
        market = next((market for pair, market in MARKETS.items() if pair.partition("-")[0] == asset), None)
        if market is None:
            return value.quantize(Decimal("0.01"))
        return (value / Decimal(str(market.price))).quantize(Decimal(str(market.min_order_size)).normalize())

    def balance(self, asset: str, moment: float | None = None) -> Balance:
        """Return an asset's balance at a moment; without one the newest."""
        moments = self._moments.get(asset, [])
        place = len(moments) if moment is None else bisect_right(moments, moment)
        if place == 0:
            return Balance(self.initial(asset), self.initial(asset))
        return self._balances[asset][place - 1]

    def change(self, moment: float, asset: str, total: Decimal = _ZERO, bound: Decimal = _ZERO) -> None:
        """Add to an asset's total, and to what orders bind of it. Moments never go back."""
        before = self.balance(asset)
        after = Balance(before.total + total, before.available + total - bound)
        self._moments.setdefault(asset, []).append(moment)
        self._balances.setdefault(asset, []).append(after)
