"""What the search of all pages (Ctrl+K) finds besides pages."""

from typing import Any

from django.contrib import admin
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse

#: Each is looked for among what the user sees in its list.
SEARCHED = ("accounts.client", "bots.bot", "accounts.exchangekey", "accounts.server", "bots.strategy")


def searched(request: HttpRequest) -> list[str]:
    """The kinds of rows that the request's user may look at."""
    names = (label.split(".") for label in SEARCHED)
    return [f"{app}.{model}" for app, model in names if request.user.has_perm(f"{app}.view_{model}")]


def search(request: HttpRequest) -> HttpResponse:
    """Unfold's search, where a page that it does not have is not an error of the panel.

    Raises:
        Http404
    """
    site: Any = admin.site  # Unfold's, which Django's types don't know
    try:
        response: HttpResponse = site.search(request)
    except (InvalidPage, ValueError):
        raise Http404 from None
    return response
