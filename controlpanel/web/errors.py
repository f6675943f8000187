"""Error pages: a sentence, and a link to continue."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import BadRequest, DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.defaults import server_error

from hummingbot_api.text import truncate
from json_api.error_handlers import failed_before, nothing_at, refused_before


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(
        request,
        403,
        "Access denied",
        "You don't have permission for this, or the action is not allowed. Nothing was changed.",
        "If you need access, ask an administrator to change your role under Users.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render a page in the admin, and a problem for tools elsewhere."""
    if not request.path.startswith(reverse("admin:index")):
        return nothing_at(request, exception)
    return error_page(
        request,
        404,
        "Page not found",
        "It may have been deleted, its address may be wrong, or it belongs to a client that you don't manage.",
        "Go to Home, and find it in its list.",
    )


def failed(request: HttpRequest) -> HttpResponse:
    """Render a page for an error before or in one, and a problem for tools, whose calls fail here before they begin."""
    return server_error(request) if is_for_page(request) else failed_before(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render Django's 400, for tools as a problem. For a host name that is not the panel's, name it and the setting
    that allows it. A session that somebody ended meanwhile is noticed when the request has been processed.
    """
    if isinstance(exception, DisallowedHost):
        host = truncate(request.META.get("HTTP_HOST", ""), 200)
        sentence = f"The panel does not serve the host name “{host}”."
        remedy = (
            "If you host the panel, have the proxy pass on the browser's Host header, or add the name to "
            "ALLOWED_HOSTS. docs/hosting.md lists the headers that a proxy must send."
        )
    elif isinstance(exception, SessionInterrupted):
        sentence = "You were signed out while the panel processed this request. What you requested may have been done."
        remedy = "Sign in again, and check whether it was done before you request it again."
    else:
        is_ours = type(exception) is BadRequest
        why = str(exception) if is_ours else "The panel can't process this request."
        sentence = f"{why} Nothing was changed."
        remedy = "Go to Home, and follow its links." if is_for_page(request) else ""
    if not is_for_page(request):
        return refused_before(request, sentence, remedy)
    return error_page(request, 400, "Request rejected", sentence, remedy)


def is_for_page(request: HttpRequest) -> bool:
    """Return whether the address is one that people open. All others are for tools."""
    return request.path == "/" or request.path.startswith((reverse("admin:index"), "/reports/"))


class AddressMiddleware:
    """Answers 404 for an address with NUL in it, and 400 for a form: PostgreSQL fails over that character instead of
    finding nothing.

    The JSON API answers it in its own format.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(reverse("admin:index")) and "\0" in unquote(request.get_full_path()):
            raise Http404
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        # Not before: now the check of the form's token has read it, and has refused what is too large.
        if request.path.startswith(reverse("admin:index")) and any(
            "\0" in text for name, values in request.POST.lists() for text in (name, *values)
        ):
            raise BadRequest("The form has a NUL character, which can't be stored.")


def nowhere(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer for an address that Django has and the panel has not."""
    raise Http404


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Render the failure of Django's CSRF check: the form has no valid token, or its origin is not trusted."""
    if not reason.startswith("CSRF "):
        from controlpanel.web.proxies import origin_refused

        return origin_refused(request)
    return error_page(
        request,
        403,
        "This form has expired",
        "You signed in or out since you opened it, or your browser blocks cookies. Nothing was changed.",
        "Go back, reload the page, and submit the form again.",
    )


def error_page(request: HttpRequest, status: int, title: str, sentence: str, remedy: str) -> HttpResponse:
    if not hasattr(request, "user"):
        # The page's layout needs a user, and the request was rejected before its user was loaded.
        request.user = AnonymousUser()
    context = {"title": title, "sentence": sentence, "remedy": remedy}
    return render(request, "controlpanel/error.html", admin.site.each_context(request) | context, status=status)
