"""Clients' balances at their exchanges: read from the servers in the background, kept over time."""

import logging
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.db.models import Max, OuterRef, QuerySet, Subquery
from django.utils import timezone

from accounts.models import Balance, CredentialsProfile, Server
from core.figures.charts import chart_data
from core.figures.time_ranges import Span
from core.figures.time_series import KEPT_HOURLY, sum_of_known
from core.problems.server import FAILURES
from hummingbot_api import HummingbotAPI
from hummingbot_api.results import Holdings

logger = logging.getLogger(__name__)

#: A balance is stored every five minutes; after a longer gap, the server's own history fills it.
GAP = timedelta(minutes=20)
#: How long a balance counts as the profile's value: a server may be out of reach for hours.
VALUATION_MAX_AGE = timedelta(days=1)


@dataclass(frozen=True)
class Valuation:
    """A profile's value now and before: ``None`` when there is no balance for that time."""

    now: Balance
    before: float | None

    @property
    def change(self) -> float | None:
        return None if self.before is None else self.now.value - self.before


def valuations(profiles: QuerySet[CredentialsProfile], since: datetime) -> list[Valuation]:
    """Return each profile's newest balance and the one of that time, the greatest first. One query."""
    of_profile = Balance.objects.filter(profile=OuterRef("pk")).order_by("-taken_at")
    newest = profiles.annotate(newest=Subquery(of_profile.values("pk")[:1]))
    earlier = Balance.objects.filter(profile=OuterRef("profile"), taken_at__lte=since).order_by("-taken_at")
    balances = (
        Balance.objects.filter(pk__in=newest.values("newest"))
        .annotate(before=Subquery(earlier.values("value")[:1]))
        .select_related("profile__client", "profile__server")
        .defer("profile__server__password", "profile__server__connectors", "profile__server__account_names")
        .order_by("-value", "profile")
    )
    return [Valuation(balance, balance.before) for balance in balances]


@dataclass(frozen=True)
class ValuationHistory:
    """The profiles' total value at each of the moments, in US dollars; ``None`` where none is known."""

    moments: list[datetime]
    values: list[float | None]

    @property
    def rows(self) -> list[tuple[datetime, float]]:
        """What is known, the newest first."""
        known = zip(self.moments, self.values, strict=True)
        return [(moment, value) for moment, value in known if value is not None][::-1]

    @property
    def lowest(self) -> float:
        return min(value for _, value in self.rows)

    @property
    def highest(self) -> float:
        return max(value for _, value in self.rows)

    @property
    def chart(self) -> str:
        return chart_data(self.moments, {"Value": self.values}, "USD")


def valuation_history(profiles: QuerySet[CredentialsProfile], span: Span, now: datetime) -> ValuationHistory | None:
    """Count each profile's last balance for a day at most. ``None`` with too little for a line. One query."""
    moments = span.moments(now)
    balances = Balance.objects.filter(profile__in=profiles.values("pk")).since(moments[0] - VALUATION_MAX_AGE)
    seen = sorted(getattr(balances, span.downsampled)().order_by().values_list("profile", "taken_at", "value"))
    of_profiles = [list(_at_each(moments, list(of_profile))) for _, of_profile in groupby(seen, lambda row: row[0])]
    values = [sum_of_known(at_moment) for at_moment in zip(*of_profiles, strict=True)]
    over_time = ValuationHistory(moments, values)
    return over_time if values and len(over_time.rows) > 1 else None


def _at_each(moments: list[datetime], seen: list[tuple[int, datetime, float]]) -> Iterator[float | None]:
    times = [taken_at for _, taken_at, _ in seen]
    for moment in moments:
        place = bisect_right(times, moment) - 1
        yield seen[place][2] if place >= 0 and moment - times[place] <= VALUATION_MAX_AGE else None


def read_balances(server: Server, *, within: float | None = None) -> None:
    """Store the current balances of the clients' accounts on a server, and those since the last read.

    Accounts without a client are skipped. A server that can't be read is left for the next time: the fleet's poll
    reports whether it is out of reach.

    Args:
        within: seconds that its requests may take together.
    """
    profiles = {profile.account_name: profile for profile in server.profiles.annotate(seen=Max("balances__taken_at"))}
    try:
        with server.api(read_timeout=10, read_retries=0, total_timeout=within) as api:
            state = api.portfolio.state([*profiles])
            now = timezone.now().replace(second=0, microsecond=0)
            for name, holdings in state.items():
                seen = profiles[name].seen or now - KEPT_HOURLY
                if now - seen > GAP:
                    _keep_history(api, profiles[name], seen, now)
                _keep(profiles[name], now, holdings)
    except FAILURES as problem:
        logger.warning("The balances on %s were not read: %s", server, problem.code)


def read_balance(*, api: HummingbotAPI, profile: CredentialsProfile) -> Balance | None:
    """Store one profile's balance as its server reports it now; ``None`` when it reports nothing of it yet."""
    holdings = api.portfolio.state([profile.account_name]).get(profile.account_name, {})
    now = timezone.now().replace(second=0, microsecond=0)
    _keep(profile, now, holdings)
    return profile.balances.filter(taken_at=now).first() if is_known(holdings) else None


def _keep_history(api: HummingbotAPI, profile: CredentialsProfile, since: datetime, until: datetime) -> None:
    """Fill a gap. A server that keeps no history leaves it open."""
    try:
        snapshots = api.portfolio.history(profile.account_name, since)
    except FAILURES as problem:
        logger.warning("The history of %s was not read: %s", profile, problem.code)
        return
    Balance.objects.bulk_create(
        [
            Balance(profile=profile, taken_at=snapshot.taken_at, value=value_of(snapshot.holdings))
            for snapshot in snapshots
            # A server's clock may be fast: its current balance stays the newest.
            if is_known(snapshot.holdings) and since < snapshot.taken_at < until
        ],
        ignore_conflicts=True,
    )


def _keep(profile: CredentialsProfile, taken_at: datetime, holdings: Holdings) -> None:
    """Keep a balance; what it consists of is kept of the newest one only."""
    if not is_known(holdings):
        return
    tokens = {connector: [asdict(holding) for holding in tokens] for connector, tokens in holdings.items() if tokens}
    facts = {"value": value_of(holdings), "holdings": tokens}
    Balance.objects.update_or_create(profile=profile, taken_at=taken_at, defaults=facts)
    profile.balances.filter(holdings__isnull=False).exclude(taken_at=taken_at).update(holdings=None)


def is_known(holdings: Holdings) -> bool:
    """Return whether the server has read anything: after its restart, or without its exchange, it reports no token at
    all, or none with a value.
    """
    return any(holding.value is not None for tokens in holdings.values() for holding in tokens)


def value_of(holdings: Holdings) -> float:
    """Return the value in US dollars as the server calculates it; what it does not report is left out."""
    return sum(holding.value or 0.0 for tokens in holdings.values() for holding in tokens)
