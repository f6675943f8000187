"""What the search of all pages (Ctrl+K) finds besides pages."""

from typing import Any

from django.contrib import admin
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.text import capfirst
from unfold.dataclasses import SearchResult

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Strategy

#: The search covers the rows that the user sees in each model's list.
SEARCHED = (Client, Bot, ExchangeKey, Server, Strategy)


def search(request: HttpRequest) -> HttpResponse:
    """Run Unfold's search, and handle a page number that does not exist.

    Raises:
        Http404
    """
    site: Any = admin.site  # Unfold's, which Django's types don't know
    try:
        response: HttpResponse = site.search(request)
    except (InvalidPage, ValueError):
        raise Http404 from None
    return response


def found(request: HttpRequest, term: str) -> list[SearchResult]:
    """Return the matching rows that the request's user may see, each with its own page."""
    results: list[SearchResult] = []
    for model in SEARCHED:
        lists = admin.site.get_model_admin(model)
        if lists.has_view_permission(request):
            rows, _ = lists.get_search_results(request, lists.get_queryset(request), term)
            results += map(_result, rows)
    return results


def _result(row: Any) -> SearchResult:
    return SearchResult(
        title=str(row), description=capfirst(row._meta.verbose_name), link=row.get_absolute_url(), icon="data_object"
    )
