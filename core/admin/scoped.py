"""Who sees what in the admin: account managers their own clients and what belongs to them, wherever it is listed."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from core.admin.base import PanelAdmin
from core.http import is_row_number

#: Choices of one filter.
MOST_CHOICES = 100


class VisibleFilter(admin.RelatedFieldListFilter):
    """A list's filter that names only what the user may see: the first of them, and the one that is chosen. Others are
    found by the list's search, or on their own pages, which link to these lists.
    """

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        visible = field.remote_field.model._default_manager.visible_to(request.user)
        ordering = self.field_admin_ordering(field, request, model_admin) or visible.model._meta.ordering
        rows = visible.only("name").order_by(*ordering)
        found = {row.pk: str(row) for row in rows[:MOST_CHOICES]}
        chosen = self.lookup_val[-1] if self.lookup_val else None
        if chosen is not None and is_row_number(str(chosen)) and int(chosen) not in found:
            found |= {row.pk: str(row) for row in rows.filter(pk=chosen)}
        return list(found.items())


class ScopedMixin(PanelAdmin):
    """Limits lists, pages, choices and actions to what the user may see: each model's manager knows which rows these
    are.
    """

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).visible_to(request.user)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        manager = db_field.remote_field.model._default_manager
        if "queryset" not in kwargs and hasattr(manager, "visible_to"):
            kwargs["queryset"] = manager.visible_to(request.user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
