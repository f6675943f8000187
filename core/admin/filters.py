"""Filters of lists that read no more of a table than they show."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

#: How far back, by the value in the address.
_AGES = {
    "1d": ("last 24 hours", timedelta(days=1)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
}


class RecentFilter(admin.SimpleListFilter):
    """By a time, with three choices. Django's ``date_hierarchy`` reads all dates of the table to offer them.

    Attributes:
        field: the name of the model's field.
    """

    field = ""
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in _AGES.items()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() not in _AGES:
            return queryset
        _, age = _AGES[str(self.value())]
        return queryset.filter(**{f"{self.field}__gte": timezone.now() - age})


def recent(field: str, title: str) -> type[RecentFilter]:
    """Return the filter for one field."""
    return type("Recent", (RecentFilter,), {"field": field, "title": title})
