"""Profit and loss, fees, inventory and volume from trades: of a bot, a client, a market, for any period.

Live, testnet and paper are never added up, and neither are quote assets.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from hummingbot_api.connectors import AccountType, market_of
from markets.figures.ledgers import ALL, Book, ledgers_at
from markets.figures.prices import Market, mid_prices_at
from markets.in_market import base_of, quote_of
from markets.ledger import ZERO, Ledger, Profit, profit_between
from markets.models import TradeQuerySet


class Money(NamedTuple):
    """What may be added up: amounts of one quote asset in one kind of account."""

    account_type: AccountType
    quote_asset: str


@dataclass(frozen=True)
class BookProfit:
    """What one bot earned in one market. ``end_price`` is the mid price at the end, if it is known."""

    book: Book
    profit: Profit
    end_price: Decimal | None

    @property
    def market(self) -> Market:
        return self.book.connector, self.book.trading_pair

    @property
    def money(self) -> Money:
        return Money(market_of(self.book.connector).account_type, quote_of(self.book.trading_pair))

    @property
    def inventory(self) -> Decimal:
        """At the end, in the base asset."""
        return self.profit.end.inventory


@dataclass
class Total:
    """The sum of several books' profits in one kind of money.

    Attributes:
        unpriced: markets with an inventory but without a price: without them there is no unrealized profit.
        inventory: by base asset, at the end.
    """

    money: Money
    realized: Decimal = ZERO
    known_unrealized: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = field(default_factory=dict)
    volume: Decimal = ZERO
    buys: int = 0
    sells: int = 0
    maker_volume: Decimal = ZERO
    taker_volume: Decimal = ZERO
    inventory: dict[str, Decimal] = field(default_factory=dict)
    unpriced: set[Market] = field(default_factory=set)

    def add(self, row: BookProfit) -> None:
        profit, base = row.profit, base_of(row.book.trading_pair)
        self.realized += profit.realized
        self.fees += profit.fees
        self.volume += profit.volume
        self.buys += profit.buys
        self.sells += profit.sells
        self.maker_volume += profit.end.maker_volume - profit.begin.maker_volume
        self.taker_volume += profit.end.taker_volume - profit.begin.taker_volume
        self.inventory[base] = self.inventory.get(base, ZERO) + row.inventory
        for asset, fee in profit.other_fees.items():
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + fee
        if profit.unrealized is None:
            self.unpriced.add(row.market)
        else:
            self.known_unrealized += profit.unrealized

    @property
    def trades(self) -> int:
        return self.buys + self.sells

    @property
    def unrealized(self) -> Decimal | None:
        return None if self.unpriced else self.known_unrealized

    @property
    def net(self) -> Decimal | None:
        """Realized and unrealized profit less fees; ``None`` while a price is missing."""
        return None if self.unrealized is None else self.realized + self.unrealized - self.fees

    @property
    def maker_share(self) -> Decimal | None:
        """A fraction of the volume of which it is known."""
        known = self.maker_volume + self.taker_volume
        return self.maker_volume / known if known else None


def profits(trades: TradeQuerySet, begin: datetime, end: datetime, now: datetime) -> list[BookProfit]:
    """Return what every bot earned in every market from ``begin`` until just before ``end``. A fixed number of queries.

    Args:
        trades: filtered by client, bot or market, and never by time.
        now: prices are known as exactly as they are still stored then.
    """
    # What has happened until now has happened, whatever a bot's clock says.
    books = ledgers_at(trades, begin, end if end < now else ALL)
    markets = {(book.connector, book.trading_pair) for book in books}
    before, after = mid_prices_at(markets, begin, now), mid_prices_at(markets, end, now)
    rows = []
    for book, (first, last) in sorted(books.items()):
        market = book.connector, book.trading_pair
        profit = profit_between(first, last, before.get(market), after.get(market))
        if profit.trades or last.inventory or first.inventory:
            rows.append(BookProfit(book, profit, after.get(market)))
    return rows


def profit_of_all(trades: TradeQuerySet, end: datetime, now: datetime) -> list[BookProfit]:
    """Return what every bot earned in every market since its first trade."""
    books = ledgers_at(trades, end if end < now else ALL)
    prices = mid_prices_at({(book.connector, book.trading_pair) for book in books}, end, now)
    return [
        BookProfit(book, profit_between(Ledger(), ledger, None, price), price)
        for book, [ledger] in sorted(books.items())
        for price in [prices.get((book.connector, book.trading_pair))]
    ]


def totals(rows: Iterable[BookProfit]) -> list[Total]:
    """Return the sums by kind of money: live accounts first, then testnet and paper."""
    found: dict[Money, Total] = {}
    for row in rows:
        found.setdefault(row.money, Total(row.money)).add(row)
    order = list(AccountType)
    return [found[money] for money in sorted(found, key=lambda m: (order.index(m.account_type), m.quote_asset))]
