"""What all lists and forms of the admin have in common."""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import NotRelationField, get_fields_from_path
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import BadRequest, FieldDoesNotExist
from django.db import DatabaseError, models
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.views import ChangeList

from core.http import is_row_number, own_page
from core.rows.capped_count import CappedPaginator, capped_count
from core.templatetags.times import when

#: Where Django says that a page was not found.
logger = logging.getLogger("django.request")
#: Characters of a text that rows are searched for. SQLite refuses to look for one of more than 50,000 bytes.
MAX_TERM = 1000
#: How the address of a list may compare a column. Others, such as “range”, fail over values that are not made for them.
LOOKUPS = frozenset(
    {"contains", "exact", "gt", "gte", "icontains", "in", "isnull", "istartswith", "lt", "lte", "startswith"}
)


class OwnPageList(ChangeList):
    """A row leads to the page that the object calls its own, which need not be its form."""

    def url_for_result(self, result: Any) -> str:
        return own_page(result) or super().url_for_result(result)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # Django counts all rows of the table for this.
        narrowed = self.has_active_filters or bool(self.query) or bool(self.get_filters_params())
        self.full_result_count = capped_count(self.root_queryset) if narrowed else self.result_count
        self.show_admin_actions = bool(self.full_result_count)


class PanelAdmin(ModelAdmin):
    #: In a list without rows: what they would be, and how the first one comes to be.
    when_empty = ""
    #: The list's title; the model's plural name when it is empty.
    list_title = ""
    paginator: Any = CappedPaginator
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """A list's address may filter by the model's own fields, and by its filters. Another filter over rows that lead
        here, such as ``?bots=7``, would reveal whose the other row is, and what its key is: that of a session lets in.
        """
        name = lookup.partition("__")[0]
        # Hidden ones, too, which the database's layer finds by names such as “+”.
        elsewhere = {*self.opts.fields_map, *(relation.name for relation in self.opts.many_to_many)}
        if not self._is_known(lookup):
            return False
        return (name not in elsewhere or name in self.list_filter) and super().lookup_allowed(lookup, value, request)

    def _is_known(self, lookup: str) -> bool:
        """Return whether it is the parameter of a filter, or a field, also of a related row, and one of ``LOOKUPS``."""
        name, *rest = lookup.split(LOOKUP_SEP)
        if rest and rest[-1] in LOOKUPS:
            rest.pop()
        try:
            return not rest or bool(get_fields_from_path(self.model, LOOKUP_SEP.join((name, *rest))))
        except (FieldDoesNotExist, NotRelationField):
            return False

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Lists, fields that complete a name, and the search of every page ask this."""
        if len(search_term) > MAX_TERM:
            raise BadRequest(f"The text to search for is too long: it can have {MAX_TERM} characters at most.")
        return super().get_search_results(request, queryset, search_term)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            changelist = super().get_changelist_instance(request)
        except (ValueError, OverflowError, DatabaseError) as error:
            if set(request.GET) <= {ERROR_FLAG}:
                raise
            # The address filters by a value that no column can hold, such as a number of thirty digits: only the
            # database detects it.
            raise IncorrectLookupParameters(error) from error
        plural = str(self.opts.verbose_name_plural)
        changelist.title = self.list_title or plural[:1].upper() + plural[1:]
        return changelist

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "_saveasnew" in request.POST and not self.save_as:
            # Django asks for “save_as” only where it shows the button.
            raise BadRequest("This form saves no copies.")
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OwnPageList

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        return self._to_own_page(request, obj) or super().response_post_save_add(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        return self._to_own_page(request, obj) or super().response_post_save_change(request, obj)

    def _to_own_page(self, request: HttpRequest, obj: models.Model) -> HttpResponseRedirect | None:
        """Redirect to an object's page besides its form, if it has one: saving sends nothing, and it says what is left
        to do.
        """
        own = own_page(obj)
        if not own or own == reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk]):
            return None
        kept = {"opts": self.opts, "preserved_filters": self.get_preserved_filters(request)}
        return HttpResponseRedirect(add_preserved_filters(kept, own))

    def response_action(
        self, request: HttpRequest, queryset: models.QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        if not all(map(is_row_number, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("This list has no such row.")
        return super().response_action(request, queryset, *args, **kwargs)

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        # Django's history starts with the oldest entry, and has no other hook for the order.
        if getattr(queryset, "model", None) is LogEntry:
            queryset = queryset.order_by("-action_time", "-pk")
        return super().get_paginator(request, queryset, *args, **kwargs)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponseRedirect:
        """Redirect as Django does, with a whole sentence. The row may be of another manager's client."""
        logger.warning("Not Found: %s", request.path, extra={"status_code": 404, "request": request})
        messages.warning(request, f"The {opts.verbose_name} {object_id} does not exist. It may have been deleted.")
        return HttpResponseRedirect(reverse("admin:index"))

    def get_list_display(self, request: HttpRequest) -> Any:
        return [self._column(name) for name in super().get_list_display(request)]

    def _column(self, name: Any) -> Any:
        field = {field.name: field for field in self.opts.concrete_fields}.get(name)
        return moment_column(field) if isinstance(field, models.DateTimeField) else name

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        zone = timezone.get_current_timezone_name()
        if isinstance(db_field, models.DateTimeField) and field is not None:
            field.help_text = f"{field.help_text} In {zone}.".strip()
        if isinstance(field and field.widget, RelatedFieldWidgetWrapper):
            # A bot's form must not offer to delete its client.
            field.widget.can_delete_related = False
            if db_field.many_to_many:  # a box for each row is enough
                field.widget = field.widget.widget
        return field


@cache  # a sortable list resolves its columns through itself
def moment_column(field: "models.DateTimeField[Any, Any]") -> Callable[[models.Model], SafeString | None]:
    @display(description=field.verbose_name, ordering=field.name)
    def column(row: models.Model) -> SafeString | None:
        moment = getattr(row, field.name)
        return when(moment) if moment else None

    column.__name__ = field.name
    return column
