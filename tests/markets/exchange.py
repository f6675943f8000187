"""One bot on the sandbox's living exchange, read by the panel's polls, and the books of both to compare."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from django.utils import timezone

from bots.models import Bot, Deployment, OrphanedOrders
from bots.monitoring.poll import poll_server
from markets.figures.bot_market import BotMarket, bot_market
from markets.models import QuoteState, Trade
from markets.reading.poll import read_markets
from operations.models import Operation, State
from sandbox import Sandbox
from sandbox.instance import EXCHANGE_READY
from sandbox.living_market.fills import Fill
from tests.sandbox.living.steps import move_to

PAIR = "SHARP-USDT"
#: Of the sandbox's exchange, so that prices are the same each time; far from a midnight.
START = 1_800_000_000.0
MINUTE, HOUR = 60, 3600
#: A bot publishes its report this often, in sandbox seconds.
PUBLISHED_EVERY = 10
#: Seconds from a deploy, or from another start of its container, until a bot quotes.
QUOTING = 31


class PanelClock:
    """The panel's time. It passes as always, and is set to the exchange's time, or beside it, by ``follow``."""

    def __init__(self, real: Callable[[], datetime]) -> None:
        self._real, self._offset = real, timedelta(0)

    def now(self) -> datetime:
        return self._real() + self._offset

    def follow(self, moment: float, skew: timedelta) -> None:
        self._offset = datetime.fromtimestamp(moment, UTC) + skew - self._real()


@dataclass
class Trial:
    """A bot, its exchange, and what the panel did with it.

    Attributes:
        skew: how far the panel's clock is ahead of the exchange's and the bot's.
        frozen: from when until when its container was paused: then it counts nothing.
        reported: what the panel last read of each run of the bot: when it began, and when it reported.
    """

    bot: Bot
    sandbox: Sandbox
    clock: PanelClock
    submit: Callable[..., Operation]
    skew: timedelta = timedelta(0)
    reported: dict[tuple[str, float], float] = field(default_factory=dict)
    frozen: range = range(0)

    def __post_init__(self) -> None:
        self.sandbox.reset(market="living")
        move_to(self.world, START)
        self.clock.follow(START, self.skew)

    @property
    def world(self) -> Any:
        return self.sandbox.world

    @property
    def name(self) -> str:
        """Of its latest instance."""
        return self.bot.deployment.instance_name

    @property
    def account(self) -> str:
        return self.bot.client.account_name

    # --- what happens ---

    def perform(self, kind: str, **options: Any) -> None:
        """Run an operation, while the exchange's time passes quickly.

        An order that was filled without the bot may be open for all that the bot knows. Then a person looks at the
        exchange, finds that it is not, confirms that, and retries what has not been done.
        """
        operation = self._run(kind, **options)
        if operation.state != State.SUCCEEDED and (left := OrphanedOrders.objects.unresolved().first()):
            on_book = {order.client_order_id for order in self.world.open_orders()}
            assert not on_book & {order.client_order_id for order in left.open_orders}
            assert left.resolve(None)
            if kind in {"start", "redeploy"}:
                again = self._run("deploy" if kind == "redeploy" else kind, **options)
                assert again.state == State.SUCCEEDED, f"{kind}: {again.error_message}"
        else:
            assert operation.state == State.SUCCEEDED, f"{kind}: {operation.state} {operation.error_message}"

    def _run(self, kind: str, **options: Any) -> Operation:
        self.world.clock.resume()
        try:
            return self.submit(kind, self.bot, **options)
        finally:
            self.world.clock.stop()
            self.clock.follow(self.world.clock.now(), self.skew)

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.clock.follow(self.world.clock.now(), self.skew)

    def wait_for_report(self) -> None:
        """Wait until the bot has just published."""
        begin = self.world.instances[self.name].starts_at
        self.wait(
            begin
            + ceil((self.world.clock.now() - begin) / PUBLISHED_EVERY) * PUBLISHED_EVERY
            + 0.001
            - self.world.clock.now()
        )

    def poll(self) -> None:
        """Do what the panel's worker does each minute."""
        poll_server(self.bot.server)
        self.read()

    def read(self) -> None:
        read_markets(self.bot.server)
        self.bot.refresh_from_db()
        state = QuoteState.objects.filter(deployment=self.bot.deployment).first()
        if state and state.run_started_at and state.reported_at:
            self.reported[self.name, state.run_started_at.timestamp()] = state.reported_at.timestamp()

    def trade(self, minutes: int, every: int = 5) -> None:
        """Let minutes pass, with a poll every few of them."""
        for _ in range(0, minutes, every):
            self.wait(every * MINUTE)
            self.poll()

    # --- the panel's books ---

    def page(self) -> BotMarket:
        market = bot_market(Bot.objects.get(pk=self.bot.pk), timezone.now())
        assert market is not None
        return market

    def trades(self, deployment: Deployment | None = None) -> list[tuple[Any, ...]]:
        found = Trade.objects.filter(client=self.bot.client).in_order()
        return [row_of_trade(t) for t in (found if deployment is None else found.filter(deployment=deployment))]

    # --- the exchange's books ---

    def fills(self, until: float | None = None, *, known: bool | None = None) -> list[Fill]:
        """Return the client's fills.

        Args:
            known: only those that their bots have learned of, or only the others.
        """
        fills = [fill for fill in self.world.fills() if fill.account == self.account]
        learned = self.world.market.known_at
        return [
            fill
            for fill in fills
            if (until is None or fill.moment <= until) and known in (None, fill.trade_id in learned)
        ]

    def quoting_seconds(self) -> int:
        """Return in how many seconds both sides were on the book, as far as the panel has read reports."""
        return sum(
            len(both_sides(self.world.orders(name), begin + EXCHANGE_READY, until) - set(self.frozen))
            for (name, begin), until in self.reported.items()
        )


def row_of_trade(trade: Trade) -> tuple[Any, ...]:
    return (
        trade.exchange_trade_id,
        trade.side,
        trade.price,
        trade.amount,
        trade.fee_quote,
        trade.traded_at.timestamp(),
        (trade.connector, trade.trading_pair),
    )


def row_of_fill(fill: Fill) -> tuple[Any, ...]:
    market = fill.connector, fill.trading_pair
    return str(fill.trade_id), fill.side, fill.price, fill.amount, fill.fee, fill.moment, market


def both_sides(orders: Iterable[Any], begin: float, until: float) -> set[int]:
    """Return the whole seconds in which there was an open order on each side."""
    sides: dict[str, set[int]] = {"BUY": set(), "SELL": set()}
    for order in orders:
        end = until if order.ended_at is None else min(order.ended_at, until)
        sides[order.side].update(range(ceil(max(order.placed_at, begin)), ceil(end)))
    return sides["BUY"] & sides["SELL"]


@dataclass
class Books:
    """What fills come to, by average cost, in fractions: calculated apart from the product's own ledger."""

    held: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    realized: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    volume: Fraction = Fraction(0)

    @classmethod
    def of(cls, fills: Iterable[Fill]) -> "Books":
        books = cls()
        for fill in fills:
            amount = Fraction(fill.amount) * (1 if fill.side == "BUY" else -1)
            price = Fraction(fill.price)
            if books.held * amount < 0:  # something is closed, at the share of its cost
                closed = min(abs(amount), abs(books.held)) * (1 if amount > 0 else -1)
                share = books.cost * closed / -books.held
                books.realized += -closed * price - share
                books.held, books.cost, amount = books.held + closed, books.cost - share, amount - closed
            books.held, books.cost = books.held + amount, books.cost + amount * price
            books.fees += Fraction(fill.fee)
            books.volume += Fraction(fill.amount) * price
        return books

    def unrealized(self, price: Decimal) -> Fraction:
        return self.held * Fraction(price) - self.cost


def close(figure: Decimal | None, exact: Fraction) -> bool:
    """Return whether a figure is exact but for the last of its digits."""
    return figure is not None and abs(Fraction(figure) - exact) < Fraction(1, 10**20)
