"""The ranges of charts: the lookback, and the distance between points."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Span:
    """A lookback, the distance between a chart's points, and how samples are downsampled for that."""

    label: str
    length: timedelta
    step: timedelta
    downsampled: str

    def moments(self, now: datetime) -> list[datetime]:
        """Return the span's start, its full steps in UTC, at which downsampled samples are, and now."""
        step = self.step.total_seconds()
        last = int(now.timestamp() // step)
        full = [
            datetime.fromtimestamp(number * step, UTC) for number in range(last - self.length // self.step, last + 1)
        ]
        return [*full, now] if full[-1] < now else full


SPANS = {
    "day": Span("24 hours", timedelta(days=1), timedelta(hours=1), "hourly"),
    "week": Span("7 days", timedelta(days=7), timedelta(hours=6), "hourly"),
    "month": Span("30 days", timedelta(days=30), timedelta(days=1), "daily"),
}
