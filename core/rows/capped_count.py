"""Counts of rows that may be a million: exact up to 10,000, and “over 10,000” above, where nobody counts on."""

from typing import Any

from django.core.paginator import Paginator
from django.db import models
from django.utils.functional import cached_property

#: A database counts so many rows in a few milliseconds.
LIMIT = 10_000


class CappedCount(int):
    """A number of rows; ``LIMIT`` when there are more, which its text says."""

    is_capped = False

    def __str__(self) -> str:
        return f"over {LIMIT:,}" if self.is_capped else int.__repr__(self)


def capped_count(rows: models.QuerySet[Any]) -> CappedCount:
    """Count the rows, and read no more than a page of any list can show."""
    found = rows.order_by().values("pk")[: LIMIT + 1].count()
    count = CappedCount(min(found, LIMIT))
    count.is_capped = found > LIMIT
    return count


class CappedPaginator(Paginator):
    """The pages of the first 10,000 rows. Who looks for one further down filters or searches."""

    @cached_property
    def count(self) -> CappedCount:
        rows: Any = self.object_list
        return capped_count(rows)
