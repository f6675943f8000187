"""Buttons in the admin for the operations: one mixin for lists and detail pages.

A button never acts when it is followed as a link: it leads to a page that explains what will happen and requests
confirmation, or is itself a form that posts. Either way the click ends on the page of the submitted operation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from core.admin.base import PanelAdmin
from core.admin.live_pages import lead_to, redirect_to_login, wants_fragment
from core.problems import Problem
from operations import kinds
from operations.batches import batch_request
from operations.kinds import OperationType
from operations.models import Operation
from operations.problems import NotPossibleNow, OperationActive
from operations.services import operation_request

#: How many of a subject's operations its page shows.
RECENT = 5

#: For how many objects the confirmation says what will happen to each; the others are named.
DETAILED = 25

#: The field of a confirmation that carries a mark of what its page said.
CONFIRMS = "confirms"


class OperatesMixin(PanelAdmin):
    """Offers ``operation_kinds`` for the model's objects, on the list and on each object's page."""

    operation_kinds: Sequence[str] = ()
    change_form_outer_before_template = "operations/before_form.html"
    #: Whether the object's own page shows how its operations go on, so that a dialog on it leads nowhere else.
    shows_progress = False
    #: The template for the object's facts, above the form.
    facts_template = ""

    def operation_subject(self, obj: Any, kind: OperationType[Any]) -> Any:
        """Return the subject of an operation of this kind that is submitted on this object's page."""
        return obj

    def operations_about(self, obj: Any) -> models.QuerySet[Operation]:
        """Return the operations that this object's page shows."""
        return Operation.objects.of(obj)

    def permitted_kinds(self, request: HttpRequest) -> list[OperationType[Any]]:
        offered = [kinds.get(name) for name in self.operation_kinds]
        return [kind for kind in offered if request.user.has_perm(kind.permission)]

    def get_urls(self) -> list[URLPattern]:
        view = redirect_to_login(self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.operate_view)))
        name = f"{self.opts.app_label}_{self.opts.model_name}_operate"
        own = [path("<path:object_id>/operate/<slug:kind>/", view, name=name)]
        return own + super().get_urls()

    # --- one object -------------------------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is not None:
            extra_context = {
                "buttons": self.buttons(request, obj),
                "recent_operations": self.operations_about(obj).select_related("requested_by")[:RECENT],
                "facts_template": self.facts_template,
                **(extra_context or {}),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[dict[str, Any]]:
        """Return the operations that the user may submit for the object, for ``operations/buttons.html``."""
        return [
            self._button(kind, obj)
            for kind in self.permitted_kinds(request)
            if kind.applies_to(self.operation_subject(obj, kind))
        ]

    def _button(self, kind: OperationType[Any], obj: Any) -> dict[str, Any]:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_operate"
        blocker = kind.blocker(self.operation_subject(obj, kind))
        return {
            "kind": kind,
            "url": reverse(name, args=[obj.pk, kind.name]),
            "blocked": reason_of(blocker) if blocker else "",
        }

    def operate_view(self, request: HttpRequest, object_id: str, kind: str) -> HttpResponse:
        """Show the confirmation on GET, submit on POST."""
        obj = self.get_object(request, object_id)
        if obj is None or kind not in self.operation_kinds:
            raise Http404
        definition = kinds.get(kind)
        if not self.has_view_permission(request, obj) or not request.user.has_perm(definition.permission):
            raise PermissionDenied
        view = self.submit_view if is_submission(request, definition) else self.confirm_view
        return view(request, definition, [obj], back=obj.get_absolute_url())

    # --- many objects -----------------------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        for kind in self.permitted_kinds(request):
            actions[kind.name] = (self._list_action(kind), kind.name, kind.label)
        return actions

    def _list_action(self, kind: OperationType[Any]) -> Callable[..., HttpResponse]:
        def act(model_admin: "OperatesMixin", request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse:
            view = self.submit_view if is_submission(request, kind) else self.confirm_view
            if "answered" in request.POST:
                # What the page named, though the list's filters may leave it out by now.
                chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
                queryset = model_admin.get_queryset(request).filter(pk__in=chosen)
                if gone := len({*chosen}) - queryset.count():
                    sentence = f"Nothing was requested for {gone} of the selected {self.opts.verbose_name_plural}"
                    messages.warning(request, f"{sentence}: no longer there, or no longer yours to see.")
            return view(request, kind, list(queryset), back=request.get_full_path())

        return act

    # --- both -------------------------------------------------------------------------------------------------------

    def confirm_view(
        self,
        request: HttpRequest,
        kind: OperationType[Any],
        objects: list[Any],
        back: str,
        form: forms.Form | None = None,
        changed: str = "",
    ) -> HttpResponse:
        """Show what the operation will do to each of the objects, the form for its options, and what ``changed``."""
        subjects = self._subjects(objects, kind)
        blockers = {subject.pk: kind.blocker(subject) for subject in subjects}
        possible = [subject for subject in subjects if blockers[subject.pk] is None]
        label = kind.confirm_label(subjects[0]) if len(subjects) == 1 else _label_for(kind, len(possible))
        in_dialog = wants_fragment(request)
        return TemplateResponse(
            request,
            "operations/confirm_form.html" if in_dialog else "operations/confirm.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{label}: {subjects[0]}" if len(subjects) == 1 else f"{label}?",
                "label": label,
                "kind": kind,
                "form": form or self._options_form(request, kind, subjects, data=None),
                "back": back,
                "objects": [
                    {
                        "subject": subject,
                        "connector": kind.connector(subject, request.GET),
                        "consequence": kind.consequence(subject, request.GET),
                        "blocked": reason_of(blocker) if (blocker := blockers[subject.pk]) else "",
                        "preview": kind.preview(subject, request.GET) if len(subjects) == 1 else (),
                    }
                    for subject in subjects[:DETAILED]
                ],
                "others": [
                    (subject, reason_of(blocker) if (blocker := blockers[subject.pk]) else "")
                    for subject in subjects[DETAILED:]
                ],
                "possible": possible,
                "changed": changed,
                "confirms": (CONFIRMS, mark_of(kind, possible, request.GET)),
                # What is skipped here stays so, whatever it is when this is confirmed.
                "selected": [
                    obj.pk
                    for obj in objects
                    if blockers[self.operation_subject(obj, kind).pk] is None and ACTION_CHECKBOX_NAME in request.POST
                ],
                "checkbox_name": ACTION_CHECKBOX_NAME,
                "in_dialog": in_dialog,
            },
        )

    def submit_view(
        self, request: HttpRequest, kind: OperationType[Any], objects: list[Any], back: str
    ) -> HttpResponse:
        """Submit the operation for each of the objects, and lead to its page, to that of the batch of several, or back
        to a page that shows it.
        """
        subjects = self._subjects(objects, kind)
        form = self._options_form(request, kind, subjects, data=request.POST) if "answered" in request.POST else None
        if changed := what_changed(kind, subjects, request.GET, request.POST):
            return self.confirm_view(request, kind, objects, back, form, changed=changed)
        if form is not None and not form.is_valid():
            return self.confirm_view(request, kind, objects, back, form)
        options = form.cleaned_data if form is not None else {}
        if len(subjects) > 1:
            batch = batch_request(
                kind=kind.name, subjects=subjects, requested_by=request.user, options=options, confirmed=True
            )
            return lead_to(request, batch.get_absolute_url())
        pages = [self._submit(request, kind, subject, options) for subject in subjects]
        if not any(pages) or (self.shows_progress and wants_fragment(request)):
            return lead_to(request, back)
        return lead_to(request, pages[0])

    def _submit(self, request: HttpRequest, kind: OperationType[Any], subject: Any, options: dict[str, Any]) -> str:
        """Submit the operation; return its page, or that of the operation that is active instead, or nothing."""
        if (blocker := kind.blocker(subject)) is not None:
            messages.warning(request, reason_of(blocker))
            return ""
        try:
            operation = operation_request(
                kind=kind.name, subject=subject, requested_by=request.user, options=options, confirmed=True
            )
        except OperationActive as problem:
            messages.warning(request, link_to_active(problem))
            return problem.url
        except Problem as problem:
            messages.error(request, f"{subject}: {problem.message} {problem.remedy}")
            return ""
        return operation.get_absolute_url()

    def _subjects(self, objects: Iterable[Any], kind: OperationType[Any]) -> list[Any]:
        """Return the operation's subjects, each once."""
        return list({(s := self.operation_subject(obj, kind)).pk: s for obj in objects}.values())

    def _options_form(
        self, request: HttpRequest, kind: OperationType[Any], subjects: Sequence[Any], data: QueryDict | None
    ) -> forms.Form | None:
        """Return the form for the options, without those that the user may not choose; ``None`` when there are none."""
        form_class = kind.form_class(subjects) if subjects else None
        if form_class is None:
            return None
        form = form_class(data, initial=request.GET.dict())
        for option, permission in kind.option_permissions.items():
            if not request.user.has_perm(permission):
                form.fields.pop(option, None)
        return form


def mark_of(kind: OperationType[Any], subjects: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return a text that changes with what the confirmation page says of the subjects, and that nobody else can make;
    empty for what is not bound to it.
    """
    if not kind.is_bound:
        return ""
    models.prefetch_related_objects(list(subjects), *kind.confirmed_reads)
    return salted_hmac(__name__, " ".join(sorted(kind.mark(subject, options) for subject in subjects))).hexdigest()


def what_changed(
    kind: OperationType[Any], subjects: Sequence[Any], options: Mapping[str, Any], posted: QueryDict
) -> str:
    """Return what to say where the page that was confirmed said something else; empty where it didn't, and where no
    page was shown.
    """
    shown = posted.get(CONFIRMS)
    if shown is None or not kind.is_bound or constant_time_compare(shown, mark_of(kind, subjects, options)):
        return ""
    which = str(subjects[0]) if len(subjects) == 1 else "some of these"
    return (
        f"Nothing was requested: what this page said about {which} has changed since you opened it. Read it, then "
        "confirm again."
    )


def is_submission(request: HttpRequest, kind: OperationType[Any]) -> bool:
    """Return whether the request submits, rather than opens the confirmation: a list posts to open it, too."""
    return request.method == "POST" and ("answered" in request.POST or not kind.confirm)


def reason_of(blocker: Problem) -> str:
    """Return why an operation can't be done; with the remedy where the problem is not just the subject's state."""
    return blocker.message if isinstance(blocker, NotPossibleNow) else f"{blocker.message} {blocker.remedy}"


def _label_for(kind: OperationType[Any], count: int) -> str:
    """Return the operation's label, with the number of its subjects when there are several."""
    if count < 2:
        return kind.label
    between = ": " if " " in kind.label else " "
    return f"{kind.label}{between}{count} {kind.subject_model._meta.verbose_name_plural}"


def link_to_active(problem: OperationActive) -> str:
    """Return what to do about the active operation, with a link."""
    return format_html('{} {} <a href="{}">View operation</a>.', problem.message, problem.remedy, problem.url)


class ReadOnlyMixin(admin.ModelAdmin):
    """Rows that only the panel writes."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
