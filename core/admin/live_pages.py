"""Pages, and parts of pages, that refresh themselves while a user views them."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from core.admin.base import PanelAdmin


def wants_fragment(request: HttpRequest) -> bool:
    """Return whether the request is for the refreshing part of a page, instead of the whole page."""
    return "HX-Request" in request.headers


def redirect_to_login(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page whose session has ended load itself again, which leads to the login and back here.

    htmx would follow the redirect to the login on its own, and put that page into the panel.
    """

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if wants_fragment(request) and not admin.site.has_permission(request):
            return HttpResponse(headers={"HX-Refresh": "true"})
        return view(request, *args, **kwargs)

    return answer


def lead_to(request: HttpRequest, url: str) -> HttpResponse:
    """Redirect the page itself, also when the request came from a dialog on it."""
    return HttpResponse(headers={"HX-Redirect": url}) if wants_fragment(request) else HttpResponseRedirect(url)


class LiveListMixin(PanelAdmin):
    """A list whose rows fetch themselves again, filtered and sorted as they are.

    On a phone each row is a few lines: its first column, its state and its money large, all else small.
    """

    change_list_template: Any = "core/renewing_list.html"
    #: There is no room on a phone for what is not there.
    empty_value_display = '<span class="panel-none">—</span>'

    def state_label(self, row: Any) -> tuple[str, str]:
        """Return a row's state and its label."""
        raise NotImplementedError

    def hurries(self, rows: Sequence[Any]) -> bool:
        """Return whether these rows change by the second."""
        return False

    def get_urls(self) -> list[URLPattern]:
        rows = redirect_to_login(self.admin_site.admin_view(self.changelist_view))
        return [path("", rows, name=f"{self.opts.app_label}_{self.opts.model_name}_changelist"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        # The response of an action is a page of its own.
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            rows = response.context_data["cl"].result_list
            response.context_data |= {
                "now": timezone.now(),
                "renews": wants_fragment(request),
                "hurries": self.hurries(rows),
                "summary": self._summary_sentence(rows),
            }
            if wants_fragment(request):
                response.template_name = "core/rows.html"
        return response

    def _summary_sentence(self, rows: Sequence[Any]) -> str:
        """Return the list's current state as a sentence for screen readers."""
        counts = Counter(self.state_label(row)[1] for row in rows)
        states = ", ".join(f"{count} {label}" for label, count in sorted(counts.items())) or "none"
        return f"{str(self.opts.verbose_name_plural).capitalize()}: {states}."
