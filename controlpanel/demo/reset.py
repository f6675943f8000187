"""Setting the demo back to its beginning: a page asks for it, and the demo's own process does it.

The two meet at a file in the demo's folder. Without a demo nobody reads that file, so the pages have no such button
then: ``settings.DEMO`` is on in processes that a running demo has started, and in no other.
"""

import os
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse

from controlpanel.environment import DATA_DIR
from core.admin.live_pages import wants_fragment

#: The file that asks for a reset.
REQUESTED = "reset"


def is_requested() -> bool:
    return (DATA_DIR / REQUESTED).exists()


def request_reset() -> None:
    os.close(os.open(DATA_DIR / REQUESTED, os.O_WRONLY | os.O_CREAT, 0o600))


def end_reset() -> None:
    (DATA_DIR / REQUESTED).unlink(missing_ok=True)


class ResettingMiddleware:
    """Answers every page with “Resetting”, without a look at the database, until the demo is at its beginning."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_requested():
            return self.get_response(request)
        answer = render(None, "controlpanel/demo/resetting.html", status=503)
        answer["Retry-After"] = "3"
        answer["Refresh"] = f"3; url={reverse('admin:index')}"
        answer["Cache-Control"] = "no-store"
        # It is no error, and comes every few seconds: it would fill the log.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer


def reset(request: HttpRequest) -> HttpResponse:
    """Ask on GET, and request the reset on POST."""
    if not request.user.is_superuser:
        raise PermissionDenied
    if request.method == "POST":
        request_reset()
        # Read in the demo's first page after it.
        messages.success(request, "The demo is back at its beginning.")
        answer: HttpResponse = HttpResponseRedirect(reverse("admin:index"))
        if "HX-Request" in request.headers:
            answer = HttpResponse(headers={"HX-Redirect": reverse("admin:index")})
        return answer
    in_dialog = wants_fragment(request)
    template = "controlpanel/demo/reset_form.html" if in_dialog else "controlpanel/demo/reset.html"
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Reset demo?", "in_dialog": in_dialog}
    return TemplateResponse(request, template, context)
