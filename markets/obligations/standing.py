"""How obligations stand: today, this month, and whether they can still be kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from markets.models import Obligation, ObligationDay, Period

#: Days of the trend that a page shows.
TREND = 30


@dataclass
class Kept:
    """How an obligation was kept in a time, in seconds of the contract's hours."""

    met: float = 0.0
    broken: float = 0.0
    not_measured: float = 0.0

    def add(self, day: ObligationDay) -> None:
        self.met += day.met
        self.broken += day.broken
        self.not_measured += day.not_measured

    @property
    def uptime(self) -> float | None:
        """Share of the measured time in which every limit was met, a fraction; ``None`` when nothing was measured."""
        measured = self.met + self.broken
        return self.met / measured if measured else None

    @property
    def unmeasured_share(self) -> float | None:
        """Share of the time that could not be measured, a fraction."""
        return self.not_measured / self.seconds if self.seconds else None

    @property
    def seconds(self) -> float:
        return self.met + self.broken + self.not_measured


State = Literal["met", "broken", "lost", "not_measured", "ended"]


@dataclass
class Standing:
    """How one obligation stands.

    Attributes:
        best: the uptime that can still be reached in its period, a fraction: all that is left of it is met, and so was
            what could not be measured.
        trend: the last days, the oldest first.
    """

    obligation: Obligation
    today: Kept = field(default_factory=Kept)
    month: Kept = field(default_factory=Kept)
    trend: list[tuple[date, Kept]] = field(default_factory=list)
    best: float = 1.0

    @property
    def period(self) -> Kept:
        return self.today if self.obligation.uptime_period == Period.DAY else self.month

    @property
    def is_lost(self) -> bool:
        """Whether the uptime can't be reached any more in this period."""
        least = self.obligation.min_uptime_percent
        return least is not None and self.best < float(least) / 100

    @property
    def is_behind(self) -> bool:
        """Whether the uptime so far is below the least one."""
        least, uptime = self.obligation.min_uptime_percent, self.period.uptime
        return least is not None and uptime is not None and uptime < float(least) / 100

    @property
    def state(self) -> State:
        if not self.obligation.active:
            return "ended"
        if self.is_lost:
            return "lost"
        if self.obligation.broken_since is not None:
            return "broken"
        return "not_measured" if self.obligation.reason or self.period.uptime is None else "met"

    @property
    def state_text(self) -> str:
        period = "today" if self.obligation.uptime_period == Period.DAY else "this month"
        return {
            "met": "met",
            "broken": "broken",
            "lost": f"can't be met any more {period}",
            "not_measured": "not measured",
            "ended": "ended",
        }[self.state]


def standings(obligations: Iterable[Obligation], now: datetime) -> list[Standing]:
    """Return how these obligations stand, what is wrong first. One query for all of them."""
    found = {obligation.pk: Standing(obligation) for obligation in obligations}
    today = now.astimezone(UTC).date()
    month = today.replace(day=1)
    first = min(month, today - timedelta(days=TREND - 1))
    for day in ObligationDay.objects.filter(obligation__in=found, day__gte=first).order_by("day"):
        standing, kept = found[day.obligation_id], Kept()
        kept.add(day)
        standing.trend.append((day.day, kept))
        if day.day == today:
            standing.today.add(day)
        if day.day >= month:
            standing.month.add(day)
    for standing in found.values():
        standing.best = _best(standing, now, today)
    worst = ("lost", "broken", "not_measured", "met", "ended")
    return sorted(found.values(), key=lambda standing: (worst.index(standing.state), standing.obligation.pk))


def kept_between(obligations: Iterable[Obligation], first: date, last: date) -> dict[int, Kept]:
    """Return how each was kept from one day to another, both included. One query."""
    found = {obligation.pk: Kept() for obligation in obligations}
    for day in ObligationDay.objects.filter(obligation__in=found, day__gte=first, day__lte=last):
        found[day.obligation_id].add(day)
    return found


def _best(standing: Standing, now: datetime, today: date) -> float:
    daily = standing.obligation.uptime_period == Period.DAY
    end = today + timedelta(days=1) if daily else _next_month(today)
    left = standing.obligation.seconds_left(now, end)
    whole = standing.period.seconds + left
    return (whole - standing.period.broken) / whole if whole else 1.0


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
