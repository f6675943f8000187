"""The operations' pages: what was requested, how far it is, why it failed, what to do next."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import display

from core.admin.filters import recent
from core.admin.live_pages import LiveListMixin, redirect_to_login
from core.http import is_row_number
from core.problems import Problem
from core.templatetags.connectors import account_type_badge
from operations import kinds
from operations.actions import ReadOnlyMixin, link_to_active
from operations.batch_admin import BatchAdmin
from operations.models import Batch, Operation, State, WorkerHeartbeat
from operations.problems import OperationActive
from operations.services import operation_cancel, operation_retry

STATE_COLORS = {
    State.QUEUED: "info",
    State.RUNNING: "info",
    State.SUCCEEDED: "success",
    State.FAILED: "danger",
    State.CANCELLED: "warning",
}
admin.site.register(Batch, BatchAdmin)


class KindFilter(admin.SimpleListFilter):
    title = "operation type"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return kinds.choices()

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Operation)
class OperationAdmin(LiveListMixin, ReadOnlyMixin):
    when_empty = "Use a button on a client, a bot or a server to start an operation."
    list_display = ("what", "about", "state_label", "summary", "requested_by", "requested_at", "took")
    list_filter = ("state", KindFilter, recent("requested_at", "requested"))
    list_select_related = ("requested_by",)
    search_fields = ("subject_label", "summary", "error_code")
    search_help_text = "Search by object, outcome or error code"
    actions = ("retry_selected", "cancel_selected")

    @display(description="operation")
    def what(self, operation: Operation) -> str:
        return operation.label

    @display(description="object", ordering="subject_label")
    def about(self, operation: Operation) -> str:
        if not operation.connector:
            return operation.subject_label
        return format_html("{} {}", operation.subject_label, account_type_badge(operation.connector))

    @display(description="state", label=STATE_COLORS, ordering="state")
    def state_label(self, operation: Operation) -> tuple[str, str]:
        return operation.state, operation.get_state_display()

    def hurries(self, rows: Sequence[Operation]) -> bool:
        return any(operation.is_active for operation in rows)

    @display(description="duration")
    def took(self, operation: Operation) -> str | None:
        return f"{operation.duration.total_seconds():.1f} s" if operation.duration else None

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Operation]:
        return super().get_queryset(request).visible_to(request.user)  # type: ignore[attr-defined]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path(
                "<int:pk>/live/",
                redirect_to_login(wrap(require_GET(self.live_view))),
                name="operations_operation_live",
            ),
            path("<int:pk>/retry/", wrap(require_POST(self.retry_view)), name="operations_operation_retry"),
            path("<int:pk>/cancel/", wrap(require_POST(self.cancel_view)), name="operations_operation_cancel"),
        ]
        return own + super().get_urls()

    # --- the page -------------------------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not is_row_number(object_id):
            raise Http404
        operation = self._operation(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            **self.live_context(request, operation),
            "opts": self.opts,
            "title": str(operation),
            "original": operation,
        }
        return TemplateResponse(request, "operations/operation.html", context)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Render the part of the page that changes, which the page fetches while the operation is active."""
        operation = self._operation(request, pk)
        return render(request, "operations/operation_live.html", self.live_context(request, operation))

    def _operation(self, request: HttpRequest, pk: int) -> Operation:
        if not self.has_view_permission(request):
            raise PermissionDenied
        operation = (
            self.get_queryset(request).select_related("requested_by", "retry_of", "caused_by").filter(pk=pk).first()
        )
        if operation is None:
            raise Http404
        return operation

    def live_context(self, request: HttpRequest, operation: Operation) -> dict[str, Any]:
        """Return the data of a page's live part; ``live_url`` is where the page fetches it."""
        followups = list(operation.followups.order_by("pk"))
        kind = operation.definition
        problem = Problem.with_code(operation.error_code)
        who_can_fix = kinds.who_can_fix(problem.fix_target, request.user) if problem else ""
        return {
            "operation": operation,
            "live_url": reverse("admin:operations_operation_live", args=[operation.pk]),
            "steps": list(operation.steps.all()),
            "planned": operation.definition.steps,
            "followups": followups,
            "changes": operation.is_active or any(followup.is_active for followup in followups),
            "subject": operation.subject,
            "batch": Batch.objects.visible_to(request.user).filter(operations=operation).first(),
            "who_can_fix": who_can_fix,
            "fix_link": None if who_can_fix else operation.fix_link,
            "color": STATE_COLORS[State(operation.state)],
            "may_retry": operation.can_be_retried and kind.permitted_to(request.user, operation.options),
            "may_cancel": operation.can_be_cancelled and request.user.has_perm(kind.permission),
            "no_worker": operation.state == State.QUEUED and not WorkerHeartbeat.is_alive(),
        }

    # --- what can be done about it ----------------------------------------------------------------------------------

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        operation = self._operation(request, pk)
        new = self._retry(request, operation)
        return HttpResponseRedirect((new or operation).get_absolute_url())

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        operation = self._operation(request, pk)
        self._cancel(request, operation)
        return HttpResponseRedirect(operation.get_absolute_url())

    @admin.action(description="Retry")
    @transaction.atomic
    def retry_selected(self, request: HttpRequest, queryset: models.QuerySet[Operation]) -> None:
        for operation in queryset:
            self._retry(request, operation)

    @admin.action(description="Cancel")
    @transaction.atomic
    def cancel_selected(self, request: HttpRequest, queryset: models.QuerySet[Operation]) -> None:
        for operation in queryset:
            self._cancel(request, operation)

    def _retry(self, request: HttpRequest, operation: Operation) -> Operation | None:
        if not operation.definition.permitted_to(request.user, operation.options):
            raise PermissionDenied
        if operation.subject is not None and (newer := operation.newer):
            messages.warning(request, f"A newer operation exists: “{newer}” ({newer.state}). Check that one.")
            return newer
        if not operation.can_be_retried:
            messages.warning(request, f"“{operation}” can't be retried. {operation.why_not_retried}")
            return None
        try:
            new = operation_retry(operation=operation, requested_by=request.user)
        except OperationActive as problem:
            messages.warning(request, link_to_active(problem))
            return Operation.objects.get(pk=problem.operation_id)
        except Problem as problem:
            messages.error(request, f"{problem.message} {problem.remedy}")
            return None
        messages.info(request, f"“{operation}” was requested again.")
        return new

    def _cancel(self, request: HttpRequest, operation: Operation) -> None:
        if not request.user.has_perm(operation.definition.permission):
            raise PermissionDenied
        if operation.can_be_cancelled:
            operation_cancel(operation)
            messages.info(
                request,
                f"“{operation}” is being cancelled. It stops after the current step, unless that is the last one.",
            )
        else:
            messages.warning(request, f"“{operation}” can't be cancelled. Its state is “{operation.state}”.")
