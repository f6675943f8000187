"""The figures of one client's report for a period, from stored data: nothing is estimated, gaps are named.

Days are in UTC, both included. Amounts are exact decimals in the quote asset of their market.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import reduce
from operator import add

from django.db.models import Q

from accounts.models import Balance, Client
from bots.models import Deployment
from core.exchanges import title_of
from hummingbot_api.connectors import AccountType, market_of
from markets.figures.daily import DayFigures, days_of, midnights, quoting_by_day
from markets.figures.prices import Market
from markets.figures.profit import BookProfit, Money, Total, profits, totals
from markets.figures.quoting import Quoting
from markets.in_market import InMarket, quote_of
from markets.ledger import ZERO
from markets.models import Obligation, QuoteSample, Trade, TradeQuerySet, TradeReading
from markets.obligations.standing import Kept, kept_between
from notifications.models import Incident


@dataclass(frozen=True)
class Balances:
    """What the client's account held of a market's assets, by the reports of the bots there."""

    taken_at: datetime
    base: Decimal | None
    quote: Decimal | None


@dataclass
class MarketReport(InMarket):
    """One market of the report.

    Attributes:
        quoting: what the client's bots quoted there, one after the other; ``None`` without any report.
        deployed_seconds: how much of the period a bot was deployed there.
        total: money; its ``inventory`` is that at the end.
    """

    connector: str
    trading_pair: str
    total: Total
    rows: list[BookProfit] = field(default_factory=list)
    days: list[DayFigures] = field(default_factory=list)
    quoting: Quoting | None = None
    quoting_days: dict[date, Quoting] = field(default_factory=dict)
    deployed_seconds: float = 0.0
    begin: Balances | None = None
    end: Balances | None = None

    @property
    def title(self) -> str:
        return f"{self.trading_pair} on {title_of(self.connector)}"

    @property
    def uptime(self) -> float | None:
        """Share of the time that a bot was deployed in which both sides were quoted, a fraction."""
        return None if self.quoting is None else self.quoting.uptime(self.deployed_seconds)

    @property
    def inventory_begin(self) -> Decimal:
        return sum((row.profit.begin.inventory for row in self.rows), ZERO)

    @property
    def inventory_end(self) -> Decimal:
        return sum((row.profit.end.inventory for row in self.rows), ZERO)

    @property
    def bought(self) -> Decimal:
        return sum((row.profit.bought for row in self.rows), ZERO)

    @property
    def sold(self) -> Decimal:
        return sum((row.profit.sold for row in self.rows), ZERO)

    @property
    def average_buy(self) -> Decimal | None:
        volume = sum((row.profit.buy_volume for row in self.rows), ZERO)
        return volume / self.bought if self.bought else None

    @property
    def average_sell(self) -> Decimal | None:
        volume = sum((row.profit.sell_volume for row in self.rows), ZERO)
        return volume / self.sold if self.sold else None


@dataclass(frozen=True)
class ObligationReport:
    """How one obligation was kept in the period."""

    obligation: Obligation
    kept: Kept

    @property
    def is_kept(self) -> bool | None:
        """Whether the promised uptime was reached; ``None`` when nothing was measured or no uptime was promised."""
        least, uptime = self.obligation.min_uptime_percent, self.kept.uptime
        return None if least is None or uptime is None else uptime * 100 >= float(least)


@dataclass
class ClientReport:
    """All of one client's report. ``now`` is when it was made."""

    client: Client
    first: date
    last: date
    now: datetime
    obligations: list[ObligationReport] = field(default_factory=list)
    markets: list[MarketReport] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    value_begin: Balance | None = None
    value_end: Balance | None = None
    incidents: list[Incident] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    @property
    def begin(self) -> datetime:
        return midnights(self.first, self.last)[0]

    @property
    def end(self) -> datetime:
        """The end of the last day, or now in a period that has not ended."""
        return min(midnights(self.first, self.last)[-1], self.now)

    @property
    def title(self) -> str:
        whole_month = self.first.day == 1 and midnights(self.first, self.last)[-1].day == 1
        if whole_month and (self.first.year, self.first.month) == (self.last.year, self.last.month):
            return f"{self.first:%B %Y}"
        return f"{self.first:%-d %B %Y} to {self.last:%-d %B %Y}"


def build_report(client: Client, first: date, last: date, now: datetime) -> ClientReport:
    """Return the report of a client from one day to another, both included. A fixed number of queries.

    Raises:
        ValueError: the period begins in the future, or ends before it begins.
    """
    if first > last or first > now.astimezone(UTC).date():
        raise ValueError("The period ends before it begins, or has not begun yet.")
    report = ClientReport(client, first, last, now)
    trades = Trade.objects.filter(client=client)
    rows = profits(trades, report.begin, report.end, now)
    deployments = list(
        Deployment.objects.filter(bot__client=client, sent_at__lt=report.end)
        .filter(Q(ended_at=None) | Q(ended_at__gt=report.begin))
        .select_related("bot", "trade_reading")
        .defer("script_source", "config")
    )
    report.markets = _markets(rows, deployments)
    report.totals = totals(rows)
    _add_days(report, trades)
    _add_quoting(report, deployments)
    _add_balances(report, deployments)
    obligations = list(client.obligations.order_by("connector", "trading_pair"))
    kept = kept_between(obligations, first, last)
    report.obligations = [
        ObligationReport(obligation, kept[obligation.pk])
        for obligation in obligations
        if obligation.active or kept[obligation.pk].seconds
    ]
    report.incidents = list(
        Incident.objects.opened()
        .filter(client=client, opened_at__lt=report.end)
        .filter(Q(resolved_at=None) | Q(resolved_at__gt=report.begin))
        .order_by("opened_at")
    )
    report.gaps = _gaps(report, deployments)
    return report


def _markets(rows: Sequence[BookProfit], deployments: Iterable[Deployment]) -> list[MarketReport]:
    """Return the markets that were traded or quoted: live accounts first."""
    of_market: dict[Market, list[BookProfit]] = {
        (deployment.connector, deployment.trading_pair): [] for deployment in deployments
    }
    for row in rows:
        of_market.setdefault(row.market, []).append(row)
    order = list(AccountType)
    found = []
    for connector, pair in sorted(of_market, key=lambda m: (order.index(market_of(m[0]).account_type), m)):
        in_market = of_market[connector, pair]
        total = Total(Money(market_of(connector).account_type, quote_of(pair)))
        for row in in_market:
            total.add(row)
        found.append(MarketReport(connector, pair, total, in_market))
    return found


def _add_days(report: ClientReport, trades: TradeQuerySet) -> None:
    days = days_of(trades, report.first, report.last, report.now)
    for market in report.markets:
        market.days = days.get((market.connector, market.trading_pair), [])


def _add_quoting(report: ClientReport, deployments: Sequence[Deployment]) -> None:
    found = quoting_by_day([deployment.pk for deployment in deployments], report.first, report.last)
    for market in report.markets:
        there = [d for d in deployments if (d.connector, d.trading_pair) == (market.connector, market.trading_pair)]
        pks = {deployment.pk for deployment in there}
        parts = [(day, quoting) for (pk, day), quoting in sorted(found.items()) if pk in pks]
        for day, quoting in parts:
            market.quoting_days[day] = market.quoting_days[day] + quoting if day in market.quoting_days else quoting
        market.quoting = reduce(add, [quoting for _, quoting in parts]) if parts else None
        market.deployed_seconds = sum(
            (min(d.ended_at or report.end, report.end) - max(d.sent_at or report.end, report.begin)).total_seconds()
            for d in there
        )


def _add_balances(report: ClientReport, deployments: Sequence[Deployment]) -> None:
    """Add what the account held at the start and at the end: the first and the last report of the period."""
    samples = QuoteSample.objects.filter(
        deployment__in=[d.pk for d in deployments], taken_at__gte=report.begin, taken_at__lt=report.end
    ).edges()
    for sample in samples.select_related("deployment"):
        for market in report.markets:
            if (market.connector, market.trading_pair) == (sample.deployment.connector, sample.deployment.trading_pair):
                held = Balances(sample.taken_at, sample.base_total, sample.quote_total)
                market.begin = market.begin if market.begin and market.begin.taken_at <= held.taken_at else held
                market.end = market.end if market.end and market.end.taken_at >= held.taken_at else held
    of_client = Balance.objects.filter(profile__client=report.client)
    report.value_begin = of_client.filter(taken_at__lte=report.begin).order_by("-taken_at").first()
    report.value_end = of_client.filter(taken_at__lte=report.end).order_by("-taken_at").first()


def _gaps(report: ClientReport, deployments: Sequence[Deployment]) -> list[str]:
    """Return what is missing from the figures, each in a sentence."""
    gaps = []
    unread = TradeReading.objects.filter(deployment__in=[d.pk for d in deployments]).exclude(problem="")
    for reading in unread.select_related("deployment"):
        gaps.append(f"Trades of {reading.deployment} may be incomplete: {reading.problem}")
    for market in report.markets:
        if market.total.unpriced:
            gaps.append(f"{market.title}: no price to value the inventory, so that there is no net profit.")
        if market.quoting is None:
            gaps.append(f"{market.title}: uptime, spread and depth were not measured. The bots published no report.")
        elif market.deployed_seconds and market.quoting.measured < 0.99 * market.deployed_seconds:
            share = market.quoting.measured / market.deployed_seconds
            gaps.append(f"{market.title}: reports cover {share:.1%} of the time in which bots were deployed.")
        for asset in sorted(market.total.other_fees):
            gaps.append(f"{market.title}: fees in {asset} are not in the profit. They could not be converted.")
    for row in report.obligations:
        if row.kept.not_measured:
            pair, unmeasured = row.obligation.trading_pair, row.kept.not_measured / row.kept.seconds
            gaps.append(f"The obligation for {pair} was not measured in {unmeasured:.1%} of its time.")
    return gaps
