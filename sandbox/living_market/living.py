"""A market that lives: one queue of events in the order of time, for every order and every bot of the sandbox.

The market is brought up to date when someone reads it, and before anything is changed. Prices are a function of the
second (``prices``), what bots do follows from what was done to them (``trader``), and events of one moment have an
order of their own. So the fills are the same however often anyone looks, and after a restart of the sandbox.
"""

import heapq
import math
import zlib
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from decimal import Decimal
from itertools import count
from operator import itemgetter
from typing import Any, TypeVar

from sandbox.clock import Clock
from sandbox.exchange import Side
from sandbox.instance import Instance
from sandbox.living_market.fills import FEE, Fill, LiveOrder
from sandbox.living_market.prices import CHUNK, walk_of
from sandbox.living_market.trader import Terms, Trader
from sandbox.living_market.wallets import Wallet

#: The order of events of one moment: the exchange first.
_SCAN, _FILL, _SWITCH, _STOP, _ACT = range(5)
#: The exchange's names for orders count from here.
_FIRST_ORDER = 1_795_900_000_000

_Kind = TypeVar("_Kind", LiveOrder, Fill)


class LivingMarket:
    """The books of all exchanges, with the strategies that trade on them.

    Attributes:
        orders, fills: all there ever were, in the order of their numbers.
        known_at: when a bot learned of a fill, by trade; a fill that it does not know of is missing.
    """

    def __init__(self, clock: Clock, lock: AbstractContextManager[object]) -> None:
        self._clock, self._lock = clock, lock
        self.orders: list[LiveOrder] = []
        self.fills: list[Fill] = []
        self.known_at: dict[int, float] = {}
        self._orders_of: defaultdict[str, list[LiveOrder]] = defaultdict(list)
        self._fills_of: defaultdict[str, list[Fill]] = defaultdict(list)
        self._on_book: defaultdict[str, dict[int, LiveOrder]] = defaultdict(dict)
        self._undelivered: defaultdict[str, list[Fill]] = defaultdict(list)
        self._wallets: dict[tuple[str, str], Wallet] = {}
        self._traders: dict[str, Trader] = {}
        self._acting: dict[str, Trader] = {}
        self._events: list[tuple[float, int, int, int, Callable[[], None]]] = []
        self._counter = count()
        self._until = clock.now()

    # --- what others read: each brings the market up to date first ---

    def catch_up(self) -> None:
        """Let everything happen that happens up to now."""
        with self._lock:
            now = self._clock.now()
            for trader in [*self._acting.values()]:
                trader.prepare(self._until, now)
                if trader.instance.removed_at is not None and trader.instance.removed_at <= self._until:
                    del self._acting[trader.instance.name]
            while self._events and self._events[0][0] <= now:
                heapq.heappop(self._events)[-1]()
            self._until = now

    def enlist(self, instance: Instance, terms: Terms) -> None:
        """Let an instance trade."""
        trader = Trader(len(self._traders), instance, self, terms)
        self._traders[instance.name] = self._acting[instance.name] = trader

    def trader(self, instance: Instance) -> Trader:
        self.catch_up()
        return self._traders[instance.name]

    def orders_of(self, instance: Instance) -> list[LiveOrder]:
        """Return every order that the instance has placed, in all lives of its container."""
        self.catch_up()
        return self._orders_of[instance.name]

    def fills_of(self, instance: Instance) -> list[Fill]:
        """Return the fills that the instance's own database has, in the order of trading."""
        self.catch_up()
        return [fill for fill in self._fills_of[instance.name] if fill.trade_id in self.known_at]

    def open_orders(self) -> list[LiveOrder]:
        self.catch_up()
        return sorted((o for orders in self._on_book.values() for o in orders.values()), key=lambda o: o.number)

    def all_orders(self) -> list[LiveOrder]:
        self.catch_up()
        return self.orders

    def all_fills(self) -> list[Fill]:
        self.catch_up()
        return self.fills

    def wallet(self, account: str, connector: str) -> Wallet:
        self.catch_up()
        return self._wallet(account, connector)

    def traded_assets(self, account: str, connector: str) -> list[str]:
        """Return the assets of the markets of the account's bots, base assets first."""
        pairs = {
            trader.pair
            for trader in self._traders.values()
            if trader.pair and (trader.instance.profile, trader.connector) == (account, connector)
        }
        bases, quotes = ({pair.split("-", 1)[place] for pair in pairs if "-" in pair} for place in (0, 1))
        return [*sorted(bases - quotes), *sorted(quotes)]

    # --- what traders do ---

    def pays(self, trader: Trader, side: Side, price: Decimal, size: Decimal) -> bool:
        """Return whether the account can pay for such an order, its fee included."""
        base, _, quote = trader.pair.partition("-")
        asset, needed = (quote, price * size * (1 + FEE)) if side == "BUY" else (base, size)
        return self._wallet(trader.instance.profile, trader.connector).balance(asset).available >= needed

    def wallet_of(self, trader: Trader) -> Wallet:
        return self._wallet(trader.instance.profile, trader.connector)

    def place(self, trader: Trader, side: Side, ticks: int, size: Decimal, moment: float) -> LiveOrder:
        base, _, quote = trader.pair.partition("-")
        number, limit = len(self.orders) + 1, trader.walk.price(ticks)
        seed = zlib.crc32(trader.instance.name.encode())
        order = LiveOrder(
            client_order_id=f"{side[0]}{base[:1]}{base[-1:]}{quote[:1]}{quote[-1:]}{seed:08x}{number:010x}",
            exchange_order_id=str(_FIRST_ORDER + number),
            connector=trader.connector,
            trading_pair=trader.pair,
            side=side,
            price=float(limit),
            amount=float(size),
            placed_at=moment,
            number=number,
            instance=trader.instance.name,
            account=trader.instance.profile,
            ticks=ticks,
            limit=limit,
            size=size,
        )
        self._keep_order(order)
        asset, bound = order.binds(order.left)
        self._wallet(order.account, order.connector).change(moment, asset, bound=bound)
        self._scan_from(order, math.floor(moment) + 1)
        return order

    def cancel(self, order: LiveOrder, moment: float) -> None:
        order.cancelled_at = moment
        del self._on_book[order.instance][order.number]
        asset, bound = order.binds(order.left)
        self._wallet(order.account, order.connector).change(moment, asset, bound=-bound)

    def standing(self, instance_name: str) -> list[LiveOrder]:
        """Return the instance's orders on the book, the oldest first."""
        return list(self._on_book[instance_name].values())

    def deliver(self, trader: Trader, moment: float) -> None:
        """Let a strategy learn of the fills that it has missed."""
        for fill in self._undelivered.pop(trader.instance.name, []):
            self._teach(trader, fill, moment)

    def schedule_act(self, moment: float, trader: Trader) -> None:
        self._schedule(moment, _ACT, trader.number, lambda: trader.act(moment))

    def schedule_switch(self, moment: float, trader: Trader, *, killed: bool) -> None:
        self._schedule(moment, _SWITCH, trader.number, lambda: trader.switch(moment, killed=killed))

    def schedule_stop(self, moment: float, trader: Trader) -> None:
        self._schedule(moment, _STOP, trader.number, lambda: trader.stop(moment))

    # --- the exchange ---

    def _schedule(self, moment: float, kind: int, number: int, deed: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, kind, number, next(self._counter), deed))

    def _scan_from(self, order: LiveOrder, second: int) -> None:
        self._schedule(second, _SCAN, order.number, lambda: self._scan(order, second))

    def _scan(self, order: LiveOrder, second: int) -> None:
        """Look for the order's next fill, a short while ahead: until then it may be canceled."""
        if not order.is_on_book:
            return
        until = (second // CHUNK + 1) * CHUNK
        found = walk_of(order.trading_pair).first_crossing(order.side, order.next_limit(), second, until)
        if found is None:
            self._scan_from(order, until)
        else:
            self._schedule(found, _FILL, order.number, lambda: self._fill(order, found))

    def _fill(self, order: LiveOrder, second: int) -> None:
        if not order.is_on_book:
            return
        walk = walk_of(order.trading_pair)
        part = order.part_to_fill(walk.ticks(second), Decimal(str(walk.market.min_order_size)))
        fill = Fill(
            trade_id=len(self.fills) + 1,
            order_number=order.number,
            instance=order.instance,
            account=order.account,
            connector=order.connector,
            trading_pair=order.trading_pair,
            client_order_id=order.client_order_id,
            exchange_order_id=order.exchange_order_id,
            side=order.side,
            price=order.limit,
            amount=part,
            moment=float(second),
        )
        self._keep_fill(fill)
        self._book(order, fill)
        trader = self._traders[order.instance]
        if trader.hears(second):
            self._teach(trader, fill, second)
        else:
            self._undelivered[order.instance].append(fill)
        if order.left:
            self._scan_from(order, second + 1)

    def _book(self, order: LiveOrder, fill: Fill) -> None:
        """Change the order and the account's balances as a fill does."""
        asset, released = order.binds(fill.amount)
        order.filled += fill.amount
        if not order.left:
            order.completed_at = fill.moment
            del self._on_book[order.instance][order.number]
        wallet = self._wallet(order.account, order.connector)
        wallet.change(fill.moment, order.base, fill.base_change, -released if asset == order.base else Decimal(0))
        wallet.change(fill.moment, order.quote, fill.quote_change, -released if asset == order.quote else Decimal(0))

    def _teach(self, trader: Trader, fill: Fill, moment: float) -> None:
        self.known_at[fill.trade_id] = moment
        order = self.orders[fill.order_number - 1]
        order.known_filled += fill.amount
        order.known_at = moment
        trader.learn(fill, order, moment)

    def _wallet(self, account: str, connector: str) -> Wallet:
        wallet = self._wallets.get((account, connector))
        if wallet is None:
            wallet = self._wallets[account, connector] = Wallet(account, connector)
        return wallet

    def _keep_order(self, order: LiveOrder) -> None:
        self.orders.append(order)
        self._orders_of[order.instance].append(order)
        if order.is_on_book:
            self._on_book[order.instance][order.number] = order

    def _keep_fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        self._fills_of[fill.instance].append(fill)

    # --- on disk ---

    def record(self) -> dict[str, Any]:
        """Return all that is needed to continue after a restart, as of the moment that it was last brought up to."""
        return {
            "until": self._until,
            "orders": [_row(order) for order in self.orders],
            "fills": [_row(fill) for fill in self.fills],
            "known_at": [*self.known_at.items()],
            "traders": [trader.record() for trader in self._traders.values()],
        }

    def restore(self, record: dict[str, Any]) -> None:
        """Continue where a recorded market was, once its instances are enlisted."""
        self._until = record["until"]
        self.known_at = dict(record["known_at"])
        for row in record["orders"]:
            self._keep_order(_from_row(LiveOrder, row))
        for row in record["fills"]:
            self._keep_fill(_from_row(Fill, row))
        self._replay_balances()
        for fill in self.fills:
            if fill.trade_id not in self.known_at:
                self._undelivered[fill.instance].append(fill)
        for order in self.orders:
            if order.is_on_book:
                self._scan_from(order, math.floor(self._until) + 1)
        for trader in record["traders"]:
            self._traders[trader["name"]].restore(trader)

    def _replay_balances(self) -> None:
        """Calculate the balances of all moments again, which are not recorded."""
        changes: list[tuple[float, str, str, str, Decimal, Decimal]] = []
        nothing = Decimal(0)
        for order in self.orders:
            asset, bound = order.binds(order.size)
            changes.append((order.placed_at, order.account, order.connector, asset, nothing, bound))
            if order.cancelled_at is not None:
                asset, bound = order.binds(order.left)
                changes.append((order.cancelled_at, order.account, order.connector, asset, nothing, -bound))
        for fill in self.fills:
            order = self.orders[fill.order_number - 1]
            bound_asset, bound = order.binds(fill.amount)
            for asset, total in ((order.base, fill.base_change), (order.quote, fill.quote_change)):
                released = -bound if asset == bound_asset else nothing
                changes.append((fill.moment, fill.account, fill.connector, asset, total, released))
        for moment, account, connector, asset, total, bound in sorted(changes, key=itemgetter(0)):
            self._wallet(account, connector).change(moment, asset, total, bound)


def _row(thing: LiveOrder | Fill) -> list[object]:
    values = (getattr(thing, f.name) for f in fields(thing))
    return [str(value) if isinstance(value, Decimal) else value for value in values]


def _from_row(kind: type[_Kind], row: list[Any]) -> _Kind:
    named = zip(fields(kind), row, strict=True)
    values: dict[str, Any] = {f.name: Decimal(value) if f.type is Decimal else value for f, value in named}
    return kind(**values)
