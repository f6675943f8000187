"""Who quotes right now, and how tight: of many bots at once, from their last reports."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Max, Q

from bots.models import BotState, Deployment, DeploymentQuerySet, shown_state
from hummingbot_api.connectors import AccountType, market_of
from markets.figures.books import STALE
from markets.models import QuoteState, ReportSource

#: In these states a bot is not meant to quote.
_AT_REST = frozenset({BotState.PAUSED, BotState.STOPPED, BotState.PLANNED, BotState.ARCHIVED, BotState.NOT_CREATED})


@dataclass(frozen=True)
class QuotesNow:
    """What one bot quotes.

    Attributes:
        bid, ask: its best prices, in the quote asset; ``None`` where a side has no order.
        orders: how many are open.
        spread: between bid and ask, in percent of the mid price; ``None`` while a side or the mid price is missing.
        is_known: whether its report is recent enough to say anything.
    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    orders: int = 0
    spread: Decimal | None = None
    is_known: bool = False

    @property
    def both_sides(self) -> bool:
        return self.bid is not None and self.ask is not None

    @property
    def text(self) -> str:
        """What it quotes, in two or three words."""
        if not self.is_known:
            return "not reported"
        if self.both_sides:
            return "quoting"
        return "bids only" if self.bid is not None else "asks only" if self.ask is not None else "not quoting"


@dataclass
class QuotingCount:
    """How many bots quote both sides, of those with one kind of account that should.

    Attributes:
        unknown: of these, how many do not report what they quote.
        widest: the widest spread among them, in percent of the mid price.
    """

    account_type: AccountType
    expected: int = 0
    quoting: int = 0
    unknown: int = 0
    widest: Decimal | None = None

    @property
    def not_quoting(self) -> int:
        """How many are known not to quote both sides."""
        return self.expected - self.quoting - self.unknown


def quotes_of(deployment: Deployment, state: QuoteState | None, now: datetime) -> QuotesNow:
    """Return what a deployment quotes, given its last report. It quotes nothing once its container is down."""
    if state is None or state.source != ReportSource.REPORT or not deployment.is_open or now - state.read_at > STALE:
        return QuotesNow()
    if deployment.state != BotState.RUNNING:
        return QuotesNow(is_known=deployment.state in _AT_REST)
    bid, ask = state.best_prices
    return QuotesNow(bid, ask, len(state.orders), state.exact_spread, is_known=True)


def quotes_by_bot(deployments: Iterable[Deployment], now: datetime) -> dict[int, QuotesNow]:
    """Return what each of these deployments quotes, by its bot. One query."""
    return {deployment.bot_id: quotes for deployment, quotes in _with_quotes(deployments, now)}


@dataclass(frozen=True)
class OpenBots:
    """The open deployments with one connector in one state.

    Attributes:
        known: of how many it is known what they quote.
        quoting: how many of these quote both sides.
        widest: the widest spread of these, in percent of the mid price.
    """

    connector: str
    shown: str
    count: int
    known: int
    quoting: int
    widest: float | None


def open_bots(deployments: DeploymentQuerySet, now: datetime) -> list[OpenBots]:
    """Count the open ones of these deployments. One query, which returns a row for each connector and state."""
    known = Q(quote_state__source=ReportSource.REPORT, quote_state__read_at__gte=now - STALE)
    both = known & Q(quote_state__both_sides=True)
    rows = deployments.open().order_by().annotate(shown=shown_state(now)).values("connector", "shown").annotate(
        count=Count("pk"),
        known=Count("pk", filter=known),
        quoting=Count("pk", filter=both),
        widest=Max("quote_state__spread", filter=both),
    )  # fmt: skip
    return [OpenBots(**row) for row in rows]


def count_quoting(found: Iterable[OpenBots]) -> list[QuotingCount]:
    """Return how many quote, by account type: live accounts first. One that does not run quotes nothing."""
    counts: dict[AccountType, QuotingCount] = {}
    for row in found:
        if row.shown in _AT_REST:
            continue
        account_type = market_of(row.connector).account_type
        count = counts.setdefault(account_type, QuotingCount(account_type))
        count.expected += row.count
        if row.shown != BotState.RUNNING:
            count.unknown += row.count
            continue
        count.quoting += row.quoting
        count.unknown += row.count - row.known
        if row.widest is not None:
            widest = Decimal(str(row.widest))
            count.widest = widest if count.widest is None else max(count.widest, widest)
    return [counts[account_type] for account_type in AccountType if account_type in counts]


def _with_quotes(deployments: Iterable[Deployment], now: datetime) -> list[tuple[Deployment, QuotesNow]]:
    there = list(deployments)
    states = {state.deployment_id: state for state in QuoteState.objects.filter(deployment__in=there)}
    return [(deployment, quotes_of(deployment, states.get(deployment.pk), now)) for deployment in there]
