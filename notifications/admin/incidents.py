"""Incidents in the admin: what is wrong, since when, what to do, who was notified."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.views.decorators.http import require_POST
from unfold.decorators import display

from bots.models import Bot, UnmanagedInstance
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.http import is_row_number
from core.templatetags.times import when
from notifications.impact import impact_of, impacts
from notifications.models import Channel, Incident
from notifications.sending.messages import describe
from notifications.timeline import timeline
from notifications.watching.incidents import acknowledge
from operations.actions import ReadOnlyMixin
from operations.models import WorkerHeartbeat


def count_of_open_incidents(request: HttpRequest) -> str:
    """Return the number of open incidents for the sidebar, on every page."""
    return str(Incident.objects.visible_to(request.user).open().count())


class OpenFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "open"), ("over", "resolved")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(resolved_at__isnull=self.value() == "open") if self.value() else queryset


@admin.register(Incident)
class IncidentAdmin(ReadOnlyMixin, ScopedMixin):
    when_empty = "Problems are listed here automatically."
    list_display = ("what", "subject_label", "impact", "state_label", "since", "lasted")
    list_filter = (OpenFilter, "kind", ("client", VisibleFilter), ("server", VisibleFilter))
    list_select_related = ("client", "server", "operation")
    list_before_template = "notifications/incidents_before.html"
    search_fields = ("subject_label", "sentence", "code")
    search_help_text = "Search by object, message or error code"
    actions = ("acknowledge_selected",)

    @display(description="incident", ordering="kind")
    def what(self, incident: Incident) -> str:
        return capfirst(incident.title)

    @display(description="affected")
    def impact(self, incident: Incident) -> str:
        return incident.affected.text  # type: ignore[attr-defined]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list with what each of its rows affects: looked up for the page, not row by row."""
        changelist = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        found = impacts(rows, Bot.objects.visible_to(request.user))
        for incident in rows:
            incident.affected = found[incident.pk]
        changelist.result_list = rows
        return changelist

    @display(description="state", label={"open": "danger", "seen": "warning", "over": "success"})
    def state_label(self, incident: Incident) -> tuple[str, str]:
        if not incident.is_open:
            return "over", "resolved"
        return ("seen", "open, acknowledged") if incident.acknowledged_at else ("open", "open")

    @display(description="since", ordering="seen_at")
    def since(self, incident: Incident) -> str:
        return when(incident.seen_at)

    @display(description="duration")
    def lasted(self, incident: Incident) -> str:
        return describe(incident.duration)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Incidents are deleted together with their client or server, and pruned in the end."""
        match = request.resolver_match
        return match is not None and not str(match.url_name).startswith("notifications_incident")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Incident]:
        return super().get_queryset(request).opened()  # type: ignore[attr-defined]

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return [F("resolved_at").desc(nulls_first=True), "-opened_at", "-pk"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.acknowledge_view))
        own = [path("<int:pk>/acknowledge/", view, name="notifications_incident_acknowledge")]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        nothing_open = not Incident.objects.visible_to(request.user).open().exists()
        more = {"nothing_open": nothing_open, "no_worker": not WorkerHeartbeat.is_alive()}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    # --- the page -------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not is_row_number(object_id):
            raise Http404
        incident = self._incident(request, int(object_id))
        channels = Channel.objects.visible_to(request.user)
        subject = incident.subject
        shown = subject and type(subject)._default_manager.visible_to(request.user).filter(pk=subject.pk).exists()
        sent = incident.deliveries.filter(channel__in=channels).select_related("channel__user")
        deliveries = list(sent.order_by("pk"))
        unmanaged = isinstance(subject, UnmanagedInstance) and subject.known_at is None
        return TemplateResponse(
            request,
            "notifications/incident.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": str(incident),
                "incident": incident,
                "original": incident,
                "subject": subject if shown else None,
                "impact": impact_of(incident, Bot.objects.visible_to(request.user)),
                "lasted": describe(incident.duration),
                "others_notified": _others_notified(incident, request),
                "deliveries": deliveries,
                "timeline": timeline(incident, subject if shown else None, deliveries),
                "may_acknowledge_instance": unmanaged and request.user.has_perm("bots.acknowledge_instance"),
                "may_acknowledge": self.has_acknowledge_permission(request) and _can_be_acknowledged(incident),
            },
        )

    def _incident(self, request: HttpRequest, pk: int) -> Incident:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request).select_related("client", "server", "operation", "acknowledged_by")
        incident: Incident | None = rows.filter(pk=pk).first()
        if incident is None:
            raise Http404
        return incident

    # --- having seen it -------------------------------------------------------------------------------------------

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.acknowledge_incident")

    def acknowledge_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        incident = self._incident(request, pk)
        if not self.has_acknowledge_permission(request):
            raise PermissionDenied
        self._acknowledge(request, incident)
        return HttpResponseRedirect(incident.get_absolute_url())

    @admin.action(description="Acknowledge", permissions=["acknowledge"])
    def acknowledge_selected(self, request: HttpRequest, queryset: models.QuerySet[Incident]) -> None:
        for incident in queryset:
            self._acknowledge(request, incident)

    @staticmethod
    def _acknowledge(request: HttpRequest, incident: Incident) -> None:
        if not _can_be_acknowledged(incident):
            messages.warning(request, f"“{incident}” is resolved, or was already acknowledged.")
            return
        acknowledge(incident, request.user)
        stays = "" if incident.resolved_by_acknowledgement else " It stays open until it is resolved."
        messages.info(request, f"You acknowledged “{incident}”.{stays}")


def _can_be_acknowledged(incident: Incident) -> bool:
    return incident.is_open and incident.acknowledged_at is None


def _others_notified(incident: Incident, request: HttpRequest) -> int:
    """Return how many other users were notified by ways of their own."""
    own = Channel.objects.filter(user__isnull=False, deliveries__incident=incident).exclude(user=request.user.pk)
    return own.values("user").distinct().count()
