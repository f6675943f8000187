"""What bots earned and traded in a period, from their controllers' figures, which restart at zero with each run.

Quote assets are never added to each other, and neither is simulated money to real money.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import NamedTuple

from django.db.models import Q

from bots.models import BotState, DeploymentQuerySet, PerformanceQuerySet
from core.figures.charts import chart_data
from core.figures.time_ranges import Span
from hummingbot_api.connectors import AccountType, market_of

#: How long before the time in question a run's last figures count as those that it began the time with.
LOOKBACK = timedelta(days=1)


class Owner(NamedTuple):
    """A client or a bot."""

    pk: int
    name: str


class Figures(NamedTuple):
    """A sample, with the deployment that it belongs to."""

    deployment: int
    controller: str
    taken_at: datetime
    pnl: float
    volume: float | None
    sent_at: datetime
    connector: str
    trading_pair: str
    client: int
    client_name: str
    bot: int
    bot_name: str


_COLUMNS = (
    *("deployment", "controller_id", "taken_at", "global_pnl_quote", "volume_quote"),
    *("deployment__sent_at", "deployment__connector", "deployment__trading_pair"),
    *("deployment__bot__client", "deployment__bot__client__name", "deployment__bot", "deployment__bot__name"),
)


class PnlRecord(NamedTuple):
    """What a controller earned and traded since the figures before."""

    figures: Figures
    pnl: float
    volume: float


@dataclass
class Contribution:
    """What one client or bot has to do with it.

    Attributes:
        bots: those that reported.
        traded: those that had an instance in the time, as far as that was counted.
    """

    pnl: float = 0
    volume: float = 0
    bots: set[int] = field(default_factory=set)
    traded: set[int] = field(default_factory=set)

    @property
    def coverage(self) -> str:
        """Whose figures are in it, unless they are those of all."""
        return coverage(self.bots, self.traded)


def coverage(reporting: set[int], traded: set[int]) -> str:
    """Return how many of the bots that traded have reported; empty when all have."""
    if not (unresponsive := traded - reporting):
        return ""
    return f"{len(reporting)} of {len(reporting) + len(unresponsive)} bots report"


@dataclass
class PerformanceReport:
    """In one quote asset and one kind of money: ``steps`` has what was earned and traded until each of ``moments``.

    Attributes:
        reported_at: when the newest of the figures was reported.
        traded: the bots that had an instance in the time, reporting or not, as far as that was counted.
    """

    account_type: AccountType
    quote: str
    moments: list[datetime]
    steps: list[Contribution]
    shares: dict[Owner, Contribution] = field(default_factory=dict)
    reported_at: datetime | None = None
    traded: set[int] = field(default_factory=set)

    def add(self, record: PnlRecord, owner: Owner) -> None:
        # A server's clock may be fast.
        number = min(bisect_left(self.moments, record.figures.taken_at), len(self.moments) - 1)
        for share in (self.steps[number], self.shares.setdefault(owner, Contribution())):
            share.pnl += record.pnl
            share.volume += record.volume
            share.bots.add(record.figures.bot)
        self.reported_at = max(self.reported_at or record.figures.taken_at, record.figures.taken_at)

    @property
    def pnl_over_time(self) -> list[float]:
        """Profit and loss from the begin until each moment."""
        return list(accumulate(step.pnl for step in self.steps))

    @property
    def pnl(self) -> float:
        return self.pnl_over_time[-1]

    @property
    def volume(self) -> float:
        return sum(step.volume for step in self.steps)

    @property
    def coverage(self) -> str:
        """How many bots report, until all do that traded in the time: a total leaves out those that don't."""
        return coverage(set().union(*(share.bots for share in self.shares.values())), self.traded)

    @property
    def lowest(self) -> float:
        return min(self.pnl_over_time)

    @property
    def highest(self) -> float:
        return max(self.pnl_over_time)

    @property
    def rows(self) -> list[tuple[datetime, float, float]]:
        """For each moment, the newest first: profit and loss so far, and the volume since the moment before."""
        volumes = (step.volume for step in self.steps)
        return list(zip(self.moments, self.pnl_over_time, volumes, strict=True))[:0:-1]

    @property
    def ranked(self) -> list[tuple[Owner, Contribution]]:
        """The shares, the greatest profit first."""
        return sorted(self.shares.items(), key=lambda item: (-item[1].pnl, item[0].name))

    @property
    def pnl_chart(self) -> str:
        return chart_data(self.moments, {"PnL": self.pnl_over_time}, self.quote)

    @property
    def volume_chart(self) -> str:
        return chart_data(self.moments[1:], {"Volume": [step.volume for step in self.steps[1:]]}, self.quote)


def performance_report(
    samples: PerformanceQuerySet, span: Span, now: datetime, *, by_bot: bool
) -> list[PerformanceReport]:
    """Report the span until now, live accounts first; shares are clients', or bots'. One query."""
    moments = span.moments(now)
    found: dict[tuple[AccountType, str], PerformanceReport] = {}
    for record in _pnl_records(_read(samples, moments[0], span), moments[0]):
        figures = record.figures
        market = market_of(figures.connector).account_type, figures.trading_pair.partition("-")[2]
        if market not in found:
            found[market] = PerformanceReport(*market, moments, [Contribution() for _ in moments])
        owner = Owner(figures.bot, figures.bot_name) if by_bot else Owner(figures.client, figures.client_name)
        found[market].add(record, owner)
    order = list(AccountType)
    return [found[market] for market in sorted(found, key=lambda market: (order.index(market[0]), market[1]))]


def count_bots(
    found: Iterable[PerformanceReport], deployments: DeploymentQuerySet, span: Span, now: datetime, *, by_bot: bool
) -> None:
    """Note on each of the totals, and on clients' shares, which bots had an instance in the time. One query.

    Some scripts report nothing, and neither does a bot whose exchange is not ready.
    """
    by_market = {(earned.account_type, earned.quote): earned for earned in found}
    begin = span.moments(now)[0]
    on_a_server = deployments.filter(sent_at__isnull=False).filter(Q(ended_at=None) | Q(ended_at__gt=begin))
    rows = on_a_server.exclude(observed_state=BotState.NOT_CREATED).order_by()
    for bot, client, connector, pair in rows.values_list("bot", "bot__client", "connector", "trading_pair"):
        if earned := by_market.get((market_of(connector).account_type, pair.partition("-")[2])):
            earned.traded.add(bot)
            shares = () if by_bot else earned.shares.items()
            for share in (share for owner, share in shares if owner.pk == client):
                share.traded.add(bot)


def _read(samples: PerformanceQuerySet, begin: datetime, span: Span) -> list[Figures]:
    """Return the samples by deployment, controller and time."""
    recent = samples.since(begin - LOOKBACK)
    downsampled = getattr(recent, span.downsampled)().exclude(global_pnl_quote=None)
    # Sorted here: with an ORDER BY, SQLite scans through every sample that there is.
    return sorted(map(Figures._make, downsampled.order_by().values_list(*_COLUMNS)))


def _pnl_records(figures: Iterable[Figures], begin: datetime) -> Iterator[PnlRecord]:
    """Yield the differences between consecutive figures."""
    for _, run in groupby(figures, key=lambda now: (now.deployment, now.controller)):
        before: tuple[float, float] | None = None
        for now in run:
            if before is None and now.taken_at > begin and now.sent_at >= begin - LOOKBACK:
                before = 0, 0  # it began in the meantime
            if before is not None and now.volume is not None and now.volume < before[1]:
                before = 0, 0  # it was started again, and counts from zero
            pnl_before, volume_before = before or (now.pnl, now.volume or 0)
            volume = volume_before if now.volume is None else now.volume
            if now.taken_at > begin:
                yield PnlRecord(now, now.pnl - pnl_before, volume - volume_before)
            before = now.pnl, volume
