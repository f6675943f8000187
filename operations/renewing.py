"""Parts of pages that fetch themselves again while somebody looks at them."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse


def reload_signed_out(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page whose session has ended load itself again, which leads to the login and back here.

    htmx would follow the redirect to the login by itself, and put that page into the panel.
    """

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "HX-Request" in request.headers and not admin.site.has_permission(request):
            return HttpResponse(headers={"HX-Refresh": "true"})
        return view(request, *args, **kwargs)

    return answer
