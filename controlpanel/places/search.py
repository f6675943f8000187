"""What Ctrl+K finds: pages, actions, and the rows that the user may see."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.http import require_safe
from unfold.dataclasses import SearchResult

from accounts.models import Client, ExchangeKey, Server
from bots.admin.of_client import TO_ALL
from bots.models import Bot, Strategy
from controlpanel.navigation import all_places
from operations import kinds

#: Each with its icon. The search covers the rows that the user sees in each model's list.
SEARCHED = {Client: "group", Bot: "smart_toy", ExchangeKey: "key", Server: "dns", Strategy: "description"}
#: How many rows of each are offered; more of the name finds the others.
MOST = 8
#: How many are looked at for those that the term names.
LOOKED_AT = 100


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Answer with the results for ``s``, for the dialog that every page has. Unlike Unfold's own view it keeps none."""
    term = " ".join(request.GET.get("s", "").split()).lower()
    if not term:
        return HttpResponse()
    results = list(found(request, term))
    return render(request, "controlpanel/search_results.html", {"results": results, "term": term})


def found(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Yield what matches, for its user: pages and actions first, since their names are typed on purpose."""
    yield from _pages(request, term)
    yield from _new(request, term)
    yield from _actions(request, term)
    for model, icon in SEARCHED.items():
        for row in _rows(request, model, term):
            yield _result(row, capfirst(row._meta.verbose_name), row.get_absolute_url(), icon)


def _pages(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    for parent, place in all_places():
        if term in place.title.lower() and place.is_open_to(request):
            yield _result(place.title, parent.title if parent else "Page", str(place.link), place.icon)


def _new(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Yield forms that are no list: for a new client, key, bot or user, and for one's own notifications."""
    offers = (
        ("Onboard client", "onboard", "accounts.add_client"),
        ("Add exchange key", "admin:accounts_exchangekey_add", "accounts.add_exchangekey"),
        ("Add bot", "admin:bots_bot_add", "bots.add_bot"),
        ("Invite user", "admin:auth_user_invite", "auth.add_user"),
        ("My notifications", "my_notifications", "notifications.view_incident"),
    )
    for title, page, permission in offers:
        if term in title.lower() and request.user.has_perm(permission):
            yield _result(title, "Action", reverse(page), "add")


def _actions(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Yield the operations that the first word begins, for the bots and clients that the others name: “stop sharp”.

    One that only trades a pair of that name is not meant: to stop the wrong one must not be an Enter away.
    Each leads to the page or dialog that says what will happen. Nothing is done by a search.
    """
    verb, _, rest = term.partition(" ")
    if not rest:
        return
    for name, title in TO_ALL.items():
        kind = kinds.get(name)
        if title.lower().startswith(verb) and request.user.has_perm(kind.permission):
            for client in _named(request, Client, rest.removeprefix("all").strip()):
                url = reverse("act_on_all_bots", args=[client.pk, name])
                yield _result(f"{title} all bots of {client}", "Action", url, kind.icon)
    bots: Any = admin.site.get_model_admin(Bot)
    for kind in bots.permitted_kinds(request):
        if kind.label.lower().startswith(verb):
            for bot in _named(request, Bot, rest):
                if kind.applies_to(bot) and kind.blocker(bot) is None:
                    url = reverse("admin:bots_bot_operate", args=[bot.pk, kind.name])
                    page = url if kind.confirm else bot.get_absolute_url()
                    yield _result(f"{kind.label} {bot}", "Action", page, kind.icon)


def _named(request: HttpRequest, model: type[Any], name: str) -> Iterator[Any]:
    named = (row for row in _rows(request, model, name, LOOKED_AT) if name in str(row).lower())
    return islice(named, MOST)


def _rows(request: HttpRequest, model: type[Any], term: str, most: int = MOST) -> Iterator[Any]:
    lists = admin.site.get_model_admin(model)
    if not lists.has_view_permission(request):
        return
    rows, may_repeat = lists.get_search_results(request, lists.get_queryset(request), term)
    yield from (rows.distinct() if may_repeat else rows)[:most]


def _result(title: Any, description: str, link: str, icon: str) -> SearchResult:
    return SearchResult(title=str(title), description=description, link=link, icon=icon)
