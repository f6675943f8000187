"""Activity: one list of who did what, from what to what, when, to which client and from where."""

from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.decorators import display

from audit.models import ABOUT, AuditEvent, AuditEventQuerySet, Outcome
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.http import is_row_number
from operations.actions import ReadOnlyMixin
from spreadsheets.admin import ExportMixin

COLUMNS = ("time (UTC)", "who", "what", "to what", "client", "changes", "outcome", "through", "address", "request")
#: Where a row stands in the chain, for who keeps exports.
CHAIN = ("position", "hash")
ROWS = 50


class DayFilter(admin.SimpleListFilter):
    """Whole days in the panel's time zone."""

    title = "day"
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("today", "today"), ("yesterday", "yesterday"), ("week", "last 7 days"), ("month", "last 30 days")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        day = timedelta(days=1)
        match self.value():
            case "today":
                return queryset.filter(at__gte=midnight)
            case "yesterday":
                return queryset.filter(at__gte=midnight - day, at__lt=midnight)
            case "week":
                return queryset.filter(at__gte=midnight - 6 * day)
            case "month":
                return queryset.filter(at__gte=midnight - 29 * day)
        return queryset


class OutcomeFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Outcome.choices)

    def queryset(self, request: HttpRequest, queryset: Any) -> models.QuerySet[Any]:
        return queryset.with_outcome(self.value()) if self.value() else queryset


class AboutFilter(admin.SimpleListFilter):
    """One object, whose page leads here. It is a filter among the others only then."""

    title = "object"
    parameter_name = ABOUT

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(ABOUT, "")
        return [(chosen, _name_of(chosen, AuditEvent.objects.visible_to(request.user)))] if chosen else []

    def queryset(self, request: HttpRequest, queryset: Any) -> models.QuerySet[Any]:
        kind, _, number = (self.value() or "").partition(":")
        return queryset.about(kind, number) if is_row_number(number) else queryset


class PersonFilter(admin.SimpleListFilter):
    """The people whose acts the user may see."""

    title = "person"
    parameter_name = "person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # Found by an index for each user: the events of all are too many to look through.
        acts = AuditEvent.objects.visible_to(request.user).filter(user=models.OuterRef("pk"))
        people = User.objects.filter(models.Exists(acts)).order_by("username")
        return [(str(pk), name) for pk, name in people.values_list("pk", "username")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(user=chosen) if chosen and chosen.isdecimal() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ExportMixin, ReadOnlyMixin, ScopedMixin):
    list_title = "Activity"
    list_before_template = "audit/above_list.html"
    when_empty = "What people do in the panel, over the JSON API and in a terminal is listed here."
    list_display = ("at", "actor", "what", "to_what", "client_name", "changed", "outcome_label", "origin")
    list_filter = (AboutFilter, DayFilter, PersonFilter, ("client", VisibleFilter), OutcomeFilter, "door")
    list_select_related = ("client", "operation")
    list_per_page = ROWS
    search_fields = ("actor", "subject_label", "client_label", "verb", "detail", "request_id")
    search_help_text = "Search by person, object, client or action"
    fields = (
        "at",
        "actor",
        "what",
        "subject_link",
        "client_name",
        "changes_listed",
        "outcome_text",
        "origin",
        "request_id",
        "seal",
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[AuditEvent]:
        return super().get_queryset(request).for_reader(request.user)  # type: ignore[attr-defined]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditEvent | None:
        event: AuditEvent | None = super().get_object(request, object_id, from_field)
        if event is not None:
            event.subject_page = event.subject_url(request.user)
        return event

    @display(description="what", ordering="verb")
    def what(self, event: AuditEvent) -> str:
        if event.followed is None:
            return capfirst(event.verb)
        return format_html('<a href="{}">{}</a>', event.followed.get_absolute_url(), capfirst(event.verb))

    @display(description="to what", ordering="subject_label")
    def to_what(self, event: AuditEvent) -> str:
        return event.subject_label

    @display(description="to what")
    def subject_link(self, event: AuditEvent) -> str:
        if not event.subject_page:
            return event.subject_label
        return format_html('<a class="panel-link" href="{}">{}</a>', event.subject_page, event.subject_label or "Open")

    @display(description="in the chain")
    def seal(self, event: AuditEvent) -> str:
        if not event.position:
            return "not sealed yet"
        return format_html('<span class="panel-hash">position {}, hash {}</span>', event.position, event.hash)

    @display(description="client", ordering="client_label")
    def client_name(self, event: AuditEvent) -> str | None:
        if event.client is None or not event.reader_may_follow:
            return event.client_label or None
        return format_html('<a href="{}">{}</a>', event.client.get_absolute_url(), event.client)

    @display(description="from what to what")
    def changed(self, event: AuditEvent) -> str | None:
        requested = event.followed if event.outcome == Outcome.REQUESTED else None
        outcome = requested and (requested.error_message or requested.summary)
        text = event.text or outcome or ""
        return text if len(text) <= 160 else f"{text[:160]}…"

    @display(description="from what to what")
    def changes_listed(self, event: AuditEvent) -> str | None:
        return event.text or None

    @display(
        description="outcome", label={"done": "success", "failed": "danger", "active": "info", "requested": "info"}
    )
    def outcome_label(self, event: AuditEvent) -> tuple[str, str]:
        return event.result.value, event.result.label

    @display(description="outcome")
    def outcome_text(self, event: AuditEvent) -> str:
        return str(event.result.label)

    @display(description="from")
    def origin(self, event: AuditEvent) -> str:
        return f"{event.door}, {event.address}" if event.address else event.door

    def export(self, request: HttpRequest, queryset: Any) -> tuple[list[str], list[list[Any]]]:
        return [*COLUMNS, *CHAIN], _exported(queryset.select_related("operation").iterator(2000))


def _name_of(chosen: str, events: AuditEventQuerySet) -> str:
    """Return what the last event calls an object, if the user may see one of its events."""
    kind, _, number = chosen.partition(":")
    last = events.filter(subject_kind=kind, subject_id=number).first() if is_row_number(number) else None
    return last.subject_label if last else "one object"


def _exported(events: Iterable[AuditEvent]) -> list[list[Any]]:
    return [
        [
            f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            event.actor,
            event.verb,
            event.subject_label,
            event.client_label,
            event.text,
            event.result.label,
            event.door,
            event.address or "",
            event.request_id,
            event.position or "",
            event.hash,
        ]
        for event in events
    ]
