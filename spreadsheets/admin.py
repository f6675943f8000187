"""Import and export in the admin: a mixin for a model that has a ``Sheet``.

A file is sent twice, to be checked and to be saved, and stored nowhere in between: it may contain secrets. The browser
still has it selected when it shows the check's outcome, so users need not select it again.
"""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminFileFieldWidget

from core.acting import note
from core.admin.live_pages import redirect_to_login
from core.http import signed_in_user
from hummingbot_api.text import truncate
from spreadsheets.lines import MAX_ROWS, FileRefused
from spreadsheets.sheets import Import, Sheet, import_file
from spreadsheets.writing import WRITERS

CHANGED_MEANWHILE = "The file or the panel's data changed after the check. Review the rows again."


class FileForm(forms.Form):
    file = forms.FileField(widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,.xlsx"}), required=False)


class ExportMixin(ModelAdmin):
    """Offers the rows of a model's list as a file, as the list is filtered."""

    list_before_template = "spreadsheets/buttons.html"

    def export(self, request: HttpRequest, queryset: Any) -> tuple[list[str], list[list[Any]]]:
        """Return the columns and the rows of the file."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        view = self.admin_site.admin_view(require_GET(self.export_view))
        return [path("export.<slug:file_type>", view, name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"file_types": WRITERS, **(extra_context or {})})

    def export_view(self, request: HttpRequest, file_type: str) -> HttpResponse:
        """Export the rows of the list, as it is filtered."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            queryset = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            raise Http404 from None
        note(None, "exported", f"{self.opts.verbose_name_plural} as {file_type}")
        columns, rows = self.export(request, queryset)
        name = f"{self.opts.verbose_name_plural} {timezone.now():%Y-%m-%d}".replace(" ", "-")
        return file_response(file_type, name, columns, rows)


class SheetMixin(ExportMixin):
    """Offers import, export and a template on the list of a model."""

    sheet_class: type[Sheet[Any]]

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, f"{self.opts.app_label}_{self.opts.model_name}"
        imports = redirect_to_login(wrap(require_http_methods(["GET", "HEAD", "POST"])(self.import_view)))
        own = [
            path("import/", imports, name=f"{name}_import"),
            path("template.<slug:file_type>", wrap(require_GET(self.template_view)), name=f"{name}_template"),
        ]
        return own + super().get_urls()

    def may_import(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) or self.has_change_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"may_import": self.may_import(request), **(extra_context or {})})

    # --- out --------------------------------------------------------------------------------------------------------

    def export(self, request: HttpRequest, queryset: Any) -> tuple[list[str], list[list[Any]]]:
        return self.sheet_class(signed_in_user(request)).export(queryset)

    def template_view(self, request: HttpRequest, file_type: str) -> HttpResponse:
        """Export the columns, with a row of made-up values."""
        self._check_may_import(request)
        columns = self.sheet_class(signed_in_user(request)).template(request.GET.get("group", ""))
        row = [column.example for column in columns]
        name = f"{self.opts.verbose_name_plural} template".replace(" ", "-")
        return file_response(file_type, name, [column.name for column in columns], [row])

    # --- in ---------------------------------------------------------------------------------------------------------

    def import_view(self, request: HttpRequest) -> HttpResponse:
        self._check_may_import(request)
        sheet = self.sheet_class(signed_in_user(request))
        refused, result = "", None
        seal = request.POST.get("seal", "")
        if request.method == "POST":
            try:
                result = self._import(request, sheet, _content(request), seal)
            except FileRefused as problem:
                refused = str(problem)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Import {self.opts.verbose_name_plural}",
            "sheet": sheet,
            "groups": sheet.groups(),
            "form": FileForm(),
            "max_rows": MAX_ROWS,
            "file_types": WRITERS,
            "refused": refused,
            "result": result,
            "changed_meanwhile": CHANGED_MEANWHILE if result and seal and result.can_be_saved else "",
            "back": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
        }
        return TemplateResponse(request, "spreadsheets/import.html", context)

    def _import(self, request: HttpRequest, sheet: Sheet[Any], content: bytes, seal: str) -> Import:
        def may(verb: str, obj: Any) -> bool:
            return self.has_add_permission(request) if verb == "add" else self.has_change_permission(request, obj)

        def log(added: list[Any], changed: list[Any]) -> None:
            LogEntry.objects.log_actions(request.user.pk, added, ADDITION, "Imported.")  # type: ignore[arg-type]
            LogEntry.objects.log_actions(request.user.pk, changed, CHANGE, "Imported.")  # type: ignore[arg-type]
            file = truncate(str(getattr(request.FILES.get("file"), "name", "a file")), 100)
            names = self.opts.verbose_name_plural
            note(None, "imported", f"{names} from “{file}”: {len(added)} added, {len(changed)} changed")

        try:
            return import_file(sheet=sheet, content=content, may=may, log=log, seal=seal)
        except IntegrityError:
            # Another user saved the same between the check of a row and its saving. Now it exists and can be compared.
            return import_file(sheet=sheet, content=content, may=may, log=log)

    def _check_may_import(self, request: HttpRequest) -> None:
        if not self.may_import(request):
            raise PermissionDenied


def _content(request: HttpRequest) -> bytes:
    """Return the uploaded content. Django keeps it in memory, and limits its size: see the settings.

    Raises:
        FileRefused
    """
    limit = settings.FILE_UPLOAD_MAX_MEMORY_SIZE
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise FileRefused(f"The file is larger than {limit // 1024 // 1024} MB. Split it into smaller files.")
    uploaded = request.FILES.get("file")
    if uploaded is None:
        raise FileRefused("Choose a file first.")
    content: bytes = uploaded.read()
    return content


def file_response(file_type: str, name: str, columns: list[str], rows: list[list[Any]]) -> HttpResponse:
    """Return the rows as a file of one of the ``WRITERS``' types."""
    if file_type not in WRITERS:
        raise Http404
    mime, write = WRITERS[file_type]
    return HttpResponse(
        write(columns, rows),
        content_type=mime,
        headers={"Content-Disposition": f'attachment; filename="{name}.{file_type}"', "Cache-Control": "no-store"},
    )
