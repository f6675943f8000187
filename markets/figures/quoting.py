"""How bots quoted in a time, from their reports' counters: uptime, spread, depth. Nothing else is assumed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from markets.models import QuoteSample
from markets.report_format import DISTANCES

#: Reports further apart than this leave a gap only if the run changed in between: counters bridge any distance.
LOOKBACK = timedelta(days=2)


@dataclass
class Quoting:
    """What was counted in a time. All are sums: they can be added for several runs, never for several bots.

    Attributes:
        running, connected, quoting: seconds.
        spread: quoted spread in percent, times seconds of quoting.
        bid_depth, ask_depth: by distance, value in the quote asset, times seconds of being connected.
        measured: seconds that the reports cover.
    """

    running: float = 0.0
    connected: float = 0.0
    quoting: float = 0.0
    spread: float = 0.0
    bid_depth: dict[str, float] = field(default_factory=dict)
    ask_depth: dict[str, float] = field(default_factory=dict)
    measured: float = 0.0

    def add(self, before: QuoteSample | None, after: QuoteSample) -> None:
        """Add what happened from one sample to the next one of the same run; from its start without a sample before."""
        for name in ("running", "connected", "quoting", "spread"):
            self._grow(name, getattr(before, name, 0.0), getattr(after, name))
        for name in ("bid_depth", "ask_depth"):
            total, first = getattr(self, name), getattr(before, name, {})
            for distance, value in getattr(after, name).items():
                total[distance] = total.get(distance, 0.0) + max(0.0, value - first.get(distance, 0.0))
        begin = before.taken_at if before else after.began_at
        self.measured += max(0.0, (after.taken_at - begin).total_seconds())

    def __add__(self, other: "Quoting") -> "Quoting":
        """Return the sum of what two runs quoted, one after the other."""
        return Quoting(
            running=self.running + other.running,
            connected=self.connected + other.connected,
            quoting=self.quoting + other.quoting,
            spread=self.spread + other.spread,
            bid_depth={d: self.bid_depth.get(d, 0.0) + other.bid_depth.get(d, 0.0) for d in DISTANCES},
            ask_depth={d: self.ask_depth.get(d, 0.0) + other.ask_depth.get(d, 0.0) for d in DISTANCES},
            measured=self.measured + other.measured,
        )

    def _grow(self, name: str, first: float, last: float) -> None:
        setattr(self, name, getattr(self, name) + max(0.0, last - first))

    @property
    def average_spread(self) -> float | None:
        """Time-weighted quoted spread, in percent of the mid price."""
        return self.spread / self.quoting if self.quoting else None

    def average_depth(self, side: str, distance: str) -> float | None:
        """Average value of a side's orders within a distance of the mid price, in the quote asset.

        Args:
            side: ``bid`` or ``ask``.
            distance: in percent, one of ``DISTANCES``.
        """
        depth: Mapping[str, float] = self.bid_depth if side == "bid" else self.ask_depth
        return depth.get(distance, 0.0) / self.connected if self.connected else None

    @property
    def depths(self) -> list[tuple[str, float | None, float | None]]:
        """Distance, average bid depth, average ask depth."""
        return [(d, self.average_depth("bid", d), self.average_depth("ask", d)) for d in DISTANCES]

    def uptime(self, seconds: float) -> float | None:
        """Return the share of so many seconds in which both sides were quoted, a fraction."""
        return min(1.0, self.quoting / seconds) if seconds > 0 else None


def quoting_between(deployments: Iterable[int], begin: datetime, end: datetime) -> dict[int, Quoting]:
    """Return how each of these deployments quoted; those without a report are left out. One query.

    The part of a run before ``begin`` is known if a sample of up to two days before is there: its counters are
    subtracted. Without one, what the first sample in the time has counted belongs to it only if the run began in it.
    """
    found: dict[int, Quoting] = {}
    previous: dict[tuple[int, datetime], QuoteSample] = {}
    samples = QuoteSample.objects.filter(
        deployment__in=list(deployments), taken_at__gt=begin - LOOKBACK, taken_at__lte=end
    ).order_by("deployment", "taken_at")
    for sample in samples.iterator(2000):
        run = sample.deployment_id, sample.run_started_at
        before = previous.get(run)
        previous[run] = sample
        if sample.taken_at <= begin:
            continue
        if before is None and sample.began_at < begin:
            # It began before, and nothing says how much of this was in the time.
            found.setdefault(sample.deployment_id, Quoting())
            continue
        found.setdefault(sample.deployment_id, Quoting()).add(before, sample)
    return found
