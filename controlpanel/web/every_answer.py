"""What every answer has, whichever middleware gives it, and which methods the pages take."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.middleware.security import SecurityMiddleware
from django.utils.cache import patch_cache_control

from core.logs.secret_links import is_secret_link
from json_api.api import api

PAGE_METHODS = ("GET", "HEAD", "POST")


class HeadersMiddleware(SecurityMiddleware):
    """Adds Django's protective headers to the answers, too, that are given before its own middleware or instead of it:
    those to other hosts, and of health checks. It redirects nothing. What says nothing of it is kept by no proxy. A
    page whose address is a secret tells it to no other address.
    """

    def process_request(self, request: HttpRequest) -> None:
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        if response.get("Content-Type", "").startswith("text/html"):
            patch_cache_control(response, no_store=True)
        if is_secret_link(request.path) and response.get("Referrer-Policy") != "no-referrer":
            # Others are logged, with where their visitor comes from. Without the origin, no form would be taken.
            response["Referrer-Policy"] = "strict-origin"
        return super().process_response(request, response)


class MethodMiddleware:
    """Refuses what no page is for. The JSON API decides for itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        match = request.resolver_match
        if request.method in PAGE_METHODS or (match and api.urls_namespace in match.namespaces):
            return None
        return HttpResponseNotAllowed(PAGE_METHODS)
