"""Emergency stops in the admin: the confirmation, the page that reports what has stopped, and the lift."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import Client, Server
from bots.models import EmergencyStop, StopScope, may_stop
from bots.models.emergency_stop import MAX_REASON
from bots.operations.emergency import emergency_stop, preview, report
from core.admin.live_pages import LiveListMixin, lead_to, redirect_to_login, wants_fragment
from core.http import is_row_number, signed_in_user
from operations.actions import ReadOnlyMixin
from operations.models import WorkerHeartbeat


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False,
        max_length=MAX_REASON,
        label="Reason (optional)",
        help_text="Shown to everyone whose clients it concerns.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )


@admin.register(EmergencyStop)
class EmergencyStopAdmin(LiveListMixin, ReadOnlyMixin):
    when_empty = "No emergency stop was ever started."
    list_display = ("__str__", "state_label", "reason", "requested_by", "requested_at", "lifted_by", "lifted_at")
    list_select_related = ("client", "server", "requested_by", "lifted_by")
    list_filter = ("scope",)
    search_fields = ("client__name", "server__name", "reason")
    search_help_text = "Search by client, server or reason"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[EmergencyStop]:
        return super().get_queryset(request).visible_to(request.user)  # type: ignore[attr-defined]

    @display(description="state", label={"active": "danger", "lifted": "success"}, ordering="lifted_at")
    def state_label(self, stop: EmergencyStop) -> tuple[str, str]:
        return ("active", "in force") if stop.is_active else ("lifted", "lifted")

    def hurries(self, rows: Sequence[EmergencyStop]) -> bool:
        return any(stop.is_active for stop in rows)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        start = redirect_to_login(wrap(require_http_methods(["GET", "POST"])(self.start_view)))
        live = redirect_to_login(wrap(require_GET(self.live_view)))
        own = [
            path("start/", start, name="bots_emergencystop_start"),
            path("<int:pk>/live/", live, name="bots_emergencystop_live"),
            path("<int:pk>/lift/", wrap(require_POST(self.lift_view)), name="bots_emergencystop_lift"),
        ]
        return own + super().get_urls()

    # --- start ------------------------------------------------------------------------------------------------------

    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Say what an emergency stop will do on GET, and start it on POST."""
        client, server = self._asked(request)
        if not may_stop(request.user, client, server):
            raise PermissionDenied
        scope = StopScope.CLIENT if client else StopScope.SERVER if server else StopScope.EVERYTHING
        planned = EmergencyStop(scope=scope, client=client, server=server)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            what = {"client": client} if client else {"server": server} if server else {}
            stop = emergency_stop(
                scope=scope, requested_by=signed_in_user(request), reason=form.cleaned_data["reason"], **what
            )
            return lead_to(request, stop.get_absolute_url())
        back = client or server
        in_dialog = wants_fragment(request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{planned}?",
            "planned": planned,
            "preview": preview(planned),
            "form": form,
            "back": back.get_absolute_url() if back else reverse("admin:index"),
            "in_dialog": in_dialog,
        }
        template = "bots/emergency_stop_form.html" if in_dialog else "bots/emergency_stop_start.html"
        return TemplateResponse(request, template, context)

    def _asked(self, request: HttpRequest) -> tuple[Client | None, Server | None]:
        """Return the client or the server that the address names; neither for everything."""
        named = request.GET.get("client"), request.GET.get("server")
        if any(value is not None and not is_row_number(value) for value in named) or all(named):
            raise Http404
        client = Client.objects.visible_to(request.user).filter(pk=named[0]).first() if named[0] else None
        server = Server.objects.visible_to(request.user).filter(pk=named[1]).first() if named[1] else None
        if any(named) and not (client or server):
            raise Http404
        return client, server

    # --- its page ---------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not is_row_number(object_id):
            raise Http404
        stop = self._stop(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            **self.live_context(request, stop),
            "opts": self.opts,
            "title": str(stop),
            "original": stop,
        }
        return TemplateResponse(request, "bots/emergency_stop.html", context)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Render the part of the page that changes, which the page fetches while the emergency stop is in force."""
        return render(request, "bots/emergency_stop_live.html", self.live_context(request, self._stop(request, pk)))

    def _stop(self, request: HttpRequest, pk: int) -> EmergencyStop:
        if not self.has_view_permission(request):
            raise PermissionDenied
        related = ("client", "server", "requested_by", "lifted_by")
        stop = self.get_queryset(request).select_related(*related).filter(pk=pk).first()
        if stop is None:
            raise Http404
        return stop

    def live_context(self, request: HttpRequest, stop: EmergencyStop) -> dict[str, Any]:
        now = report(stop, request.user)
        return {
            "stop": stop,
            "report": now,
            "live_url": reverse("admin:bots_emergencystop_live", args=[stop.pk]),
            "may_lift": stop.is_active and stop.may_be_lifted_by(request.user),
            "no_worker": stop.is_active and now.stopping and not WorkerHeartbeat.is_alive(),
        }

    def lift_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        stop = self._stop(request, pk)
        if not stop.may_be_lifted_by(request.user):
            raise PermissionDenied
        if stop.lift(signed_in_user(request), report(stop, request.user).summary):
            messages.success(request, f"The emergency stop of {stop.what} is lifted. The bots stay as they are.")
        else:
            messages.warning(request, f"The emergency stop of {stop.what} was lifted before.")
        return HttpResponseRedirect(stop.get_absolute_url())
