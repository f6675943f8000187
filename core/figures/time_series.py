"""Figures that are kept over time: all of them for two days, one an hour for a month, after that one a day."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models.functions import Cast, RowNumber, Substr

from core.visibility import OfClientsQuerySet

#: For how long every sample is kept, twice what a page shows of them; of what is older, the last one of each hour.
KEPT_IN_DETAIL = timedelta(days=2)
#: And of what is older than this, the last one of each day.
KEPT_HOURLY = timedelta(days=30)


def sum_of_known(figures: Iterable[float | None]) -> float | None:
    """Return the sum of those that are known; ``None`` when none is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


class SampleQuerySet(OfClientsQuerySet[Any]):
    """Rows with ``taken_at``. Those with equal ``series`` fields are the samples of one series over time.

    Attributes:
        kept_in_detail: for how long every sample is kept.
    """

    series: tuple[str, ...] = ()
    kept_in_detail = KEPT_IN_DETAIL

    def since(self, moment: datetime) -> Self:
        return self.filter(taken_at__gte=moment)

    def newest(self) -> Self:
        """Return the last sample of each series."""
        return self._last_of_each()

    def hourly(self) -> Self:
        """Return the last sample of each series in each hour, in UTC."""
        return self._last_of_each(_beginning("2026-01-31 23"))

    def daily(self) -> Self:
        """Return the last sample of each series in each day, in UTC."""
        return self._last_of_each(_beginning("2026-01-31"))

    def downsample(self, now: datetime) -> None:
        """Downsample what is no longer kept in detail, and further what is older than a month."""
        older = self.filter(taken_at__lt=now - self.kept_in_detail)
        older.exclude(pk__in=older.hourly().values("pk")).delete()
        oldest = self.filter(taken_at__lt=now - KEPT_HOURLY)
        oldest.exclude(pk__in=oldest.daily().values("pk")).delete()

    def _last_of_each(self, *slot: models.Expression) -> Self:
        place = models.Window(RowNumber(), partition_by=[*self.series, *slot], order_by="-taken_at")
        return self.model._default_manager.filter(
            pk__in=self.order_by().annotate(place=place).filter(place=1).values("pk")
        )


def _beginning(of: str) -> Substr:
    """Return the start of the time as text, as long as this example.

    The database keeps times in UTC. For SQLite this is four times as fast as to truncate them.
    """
    return Substr(Cast("taken_at", models.TextField()), 1, len(of))
