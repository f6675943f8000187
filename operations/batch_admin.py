"""The pages of batches: how far each is, how fast it goes, what failed and why, and what can be done about it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import display

from core.admin.live_pages import LiveListMixin, redirect_to_login
from core.http import is_row_number
from core.problems import Problem
from operations.actions import ReadOnlyMixin
from operations.batches import batch_cancel, batch_retry, to_retry
from operations.models import ACTIVE_STATES, Batch, State, WorkerHeartbeat

#: How many of the operations that run now its page names.
SHOWN = 10


class BatchAdmin(LiveListMixin, ReadOnlyMixin):
    when_empty = "Select several bots in the list of bots and choose an action to start a batch."
    list_display = ("what", "state_label", "numbers", "requested_by", "requested_at")
    list_select_related = ("requested_by",)
    search_fields = ("kind", "reason")
    search_help_text = "Search by operation or reason"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Batch]:
        return super().get_queryset(request).visible_to(request.user).with_counts(request.user)  # type: ignore[attr-defined]

    @display(description="batch")
    def what(self, batch: Batch) -> str:
        return f"{batch} ({batch.reason})" if batch.reason else str(batch)

    @display(description="state", label={"active": "info", "failed": "danger", "done": "success", "none": "warning"})
    def state_label(self, batch: Batch) -> tuple[str, str]:
        if any(batch.counts[state] for state in ACTIVE_STATES):
            return "active", "in progress"
        if batch.counts[State.FAILED]:
            return "failed", "ended, some failed"
        return ("done", "ended") if batch.counts[State.SUCCEEDED] else ("none", "nothing started")

    @display(description="operations")
    def numbers(self, batch: Batch) -> str:
        labels = ((batch.counts[state], state.label) for state in State)
        return ", ".join(f"{count} {label}" for count, label in labels if count)

    def hurries(self, rows: Sequence[Batch]) -> bool:
        return any(batch.counts[state] for batch in rows for state in ACTIVE_STATES)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        live = redirect_to_login(wrap(require_GET(self.live_view)))
        own = [
            path("<int:pk>/live/", live, name="operations_batch_live"),
            path("<int:pk>/retry/", wrap(require_POST(self.retry_view)), name="operations_batch_retry"),
            path("<int:pk>/cancel/", wrap(require_POST(self.cancel_view)), name="operations_batch_cancel"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not is_row_number(object_id):
            raise Http404
        batch = self._batch(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            **self.live_context(request, batch),
            "opts": self.opts,
            "title": str(batch),
            "original": batch,
        }
        return TemplateResponse(request, "operations/batch.html", context)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Render the part of the page that changes, which the page fetches while something of the batch is active."""
        return render(request, "operations/batch_live.html", self.live_context(request, self._batch(request, pk)))

    def _batch(self, request: HttpRequest, pk: int) -> Batch:
        if not self.has_view_permission(request):
            raise PermissionDenied
        batch = self.get_queryset(request).select_related("requested_by", "retry_of").filter(pk=pk).first()
        if batch is None:
            raise Http404
        return batch

    def live_context(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        """Return the page's data, in the same number of queries however large the batch is."""
        user, progress = request.user, batch.progress(request.user)
        _, obstacles = to_retry(batch, user)
        retriable_obstacles = obstacles.count()
        retriable = progress.counts[State.FAILED] + retriable_obstacles
        running = batch.operations_for(user).filter(state=State.RUNNING).order_by("pk")[:SHOWN]
        listed = reverse("admin:operations_operation_changelist")
        waits = progress.counts[State.QUEUED] and not progress.counts[State.RUNNING]
        return {
            "batch": batch,
            "progress": progress,
            "states": [
                (name, label, count, f"{listed}?{urlencode({'batch': batch.pk, 'state__exact': name})}")
                for name, label, count in progress.by_label
            ],
            "live_url": reverse("admin:operations_batch_live", args=[batch.pk]),
            "failures": batch.failures(user),
            "obstacles": batch.obstacles(user),
            "running": list(running),
            "retries": list(batch.retries.visible_to(user)),
            "retriable_obstacles": retriable_obstacles,
            "may_retry": retriable and batch.definition.permitted_to(user, batch.options),
            "may_cancel": progress.active and user.has_perm(batch.definition.permission),
            "no_worker": bool(waits) and not WorkerHeartbeat.is_alive(),
        }

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        batch = self._batch(request, pk)
        if not batch.definition.permitted_to(request.user, batch.options):
            raise PermissionDenied
        try:
            return HttpResponseRedirect(batch_retry(batch, request.user).get_absolute_url())
        except Problem as problem:
            messages.warning(request, problem.message)
        return HttpResponseRedirect(batch.get_absolute_url())

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        batch = self._batch(request, pk)
        if not request.user.has_perm(batch.definition.permission):
            raise PermissionDenied
        canceled = batch_cancel(batch, request.user)
        if canceled:
            messages.info(request, "What has not started is cancelled. What runs stops after its current step.")
        else:
            messages.warning(request, f"Nothing of “{batch}” is left to cancel.")
        return HttpResponseRedirect(batch.get_absolute_url())
