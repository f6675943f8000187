"""Proxies in front of the panel: the page reports what they hide from it, with the setting that fixes it.

``docs/hosting.md`` has the headers that they must send.
"""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host

from controlpanel.web.errors import error_page, is_for_page
from core.http import client_scheme
from hummingbot_api.text import truncate
from json_api.error_handlers import problem_response
from json_api.problems import HttpsNotRecognized

#: Counts redirects to https. One of them leads there; so many within so many seconds lead round in a circle.
COOKIE, REDIRECTS, SECONDS = "https_redirects", 3, 10
#: The longest header that a page quotes.
MAX_HEADER = 200
COUNT_PROXIES = "set TRUSTED_PROXIES to the number of proxies that you control in front of the panel"


class RedirectMiddleware:
    """Leaves of ``X-Forwarded-Proto`` what a trusted proxy wrote: Django reads its first value, which may be the
    caller's own. Explains a redirect to https that leads back here again and again, instead of sending it forever.

    Runs before Django's ``SecurityMiddleware``, which redirects anything that came over http.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        scheme = client_scheme(request)
        if scheme is not None:
            request.META["HTTP_X_FORWARDED_PROTO"] = scheme
        response = self.get_response(request)
        if request.is_secure():
            if COOKIE in request.COOKIES:
                response.delete_cookie(COOKIE)
        elif settings.SECURE_SSL_REDIRECT and response.status_code == HTTPStatus.MOVED_PERMANENTLY:
            count = request.COOKIES.get(COOKIE, "")
            # A cookie that a client has altered is no count.
            redirects = int(count) if count in map(str, range(REDIRECTS + 1)) else 0
            if redirects >= REDIRECTS:
                return _explain(request)
            # Read by those who follow no redirects, such as curl.
            response.content = f"{_not_recognized(request).remedy}\n".encode()
            response["Content-Type"] = "text/plain; charset=utf-8"
            response.set_cookie(COOKIE, str(redirects + 1), max_age=SECONDS, httponly=True, samesite="Lax")
        return response


def _is_uncounted(request: HttpRequest) -> bool:
    """Return whether a proxy says that the request came over https, and is not believed."""
    return not settings.TRUSTED_PROXIES and request.headers.get("X-Forwarded-Proto") == "https"


def _not_recognized(request: HttpRequest) -> HttpsNotRecognized:
    scheme = request.headers.get("X-Forwarded-Proto")
    if _is_uncounted(request):
        why = "its X-Forwarded-Proto header is “https”, but TRUSTED_PROXIES is 0, so that anyone could have sent it."
    elif scheme is None:
        why = "it had no X-Forwarded-Proto header."
    else:
        why = f"its X-Forwarded-Proto header is “{truncate(scheme, MAX_HEADER)}”."
    return HttpsNotRecognized(
        f"The panel keeps redirecting to https, because it can't tell that this request came over https: {why}",
        remedy=f"If you host the panel, {COUNT_PROXIES}, then restart web." if _is_uncounted(request) else "",
    )


def _explain(request: HttpRequest) -> HttpResponse:
    problem = _not_recognized(request)
    if not is_for_page(request):
        return problem_response(request, problem)
    return error_page(request, problem.status, "Redirect loop", problem.message, problem.remedy)


def origin_refused(request: HttpRequest) -> HttpResponse:
    """Return the page for a form that Django's check of its origin has refused."""
    sent = truncate(request.headers.get("Origin") or request.headers.get("Referer", ""), MAX_HEADER)
    if sent in {"", "null"}:
        return error_page(
            request,
            403,
            "Unknown origin of this form",
            "The browser did not report which page sent this form. Nothing was changed.",
            "Turn off browser extensions that remove the Origin and Referer headers. If you host the panel, have the "
            "proxy pass both on.",
        )
    asked_as = f"{request.scheme}://{request.get_host()}"
    try:
        scheme, host, *_ = urlsplit(sent)
        is_own = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    except ValueError:
        is_own = False
    if not is_own:
        return error_page(
            request,
            403,
            "This form came from another site",
            f"The browser reports that another site sent it: “{sent}”. Nothing was changed.",
            "If you did not expect this, close that site. Otherwise open the panel at its own address.",
        )
    origin = f"{scheme}://{host}"
    remedies = []
    if scheme != request.scheme:
        uncounted = scheme == "https" and _is_uncounted(request)
        remedies.append(COUNT_PROXIES if uncounted else f"have the proxy send “X-Forwarded-Proto: {scheme}”")
    if host != request.get_host():
        remedies.append(
            "have the proxy send the Host header as it came, with its port (nginx: proxy_set_header Host $http_host), "
            f"or set CSRF_TRUSTED_ORIGINS={origin}"
        )
    return error_page(
        request,
        403,
        "This address is not trusted",
        f"The browser opened the panel at {origin}, but the proxy requested {asked_as}. Nothing was changed.",
        f"If you host the panel: {'; '.join(remedies)}. docs/hosting.md lists the headers that a proxy must send.",
    )
