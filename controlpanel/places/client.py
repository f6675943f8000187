"""The home of a client: how its bots and its money are, what needs attention, and every way to act on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import Client
from bots.models import Bot
from bots.reporting.checklist import Checklist, checklist_for
from controlpanel.places.alerts import Alert, alerts
from controlpanel.places.client_header import header_of
from controlpanel.places.markets import figures_of
from controlpanel.places.week import weeks_of
from core.admin.live_pages import redirect_to_login, wants_fragment
from markets.by_market import market_rows
from markets.figures.quotes_now import QuotesNow, quotes_by_bot
from operations.actions import RECENT
from operations.models import Operation

#: Operations on one page of its activity.
ROWS = 50


@dataclass(frozen=True)
class BotRow:
    """A bot in the list of its client's, with what it quotes and what was last done with it."""

    bot: Bot
    quotes: QuotesNow
    operation: Operation | None


def overview(request: HttpRequest, client_id: int) -> HttpResponse:
    client = visible_client(request, client_id)
    context = _overview(request, client)
    if wants_fragment(request):
        return render(request, "controlpanel/client/now.html", context | {"original": client, "renews": True})
    return _page(request, client, "overview", context)


def _overview(request: HttpRequest, client: Client) -> dict[str, Any]:
    now = timezone.now()
    checklist: Checklist = checklist_for(client, request.user)
    bots = [line.bot for line in checklist.bots]
    quotes = quotes_by_bot([bot.deployment for bot in bots if bot.deployment], now)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    operations = list(_operations(client)[:RECENT])
    rows = [BotRow(line.bot, quotes.get(line.bot.pk, QuotesNow()), line.operation) for line in checklist.bots]
    found: list[Alert] = alerts(request.user, client, _with_client(bots, client)).alerts
    quoting = sum(row.quotes.both_sides for row in rows)
    return {
        "now": now,
        "alerts": found,
        "checklist": checklist,
        "rows": rows,
        "week": weeks_of([client], now),
        "market_rows": market_rows([client], month, now),
        "recent_operations": operations,
        "hurries": any(operation.is_active for operation in operations),
        "summary": f"Needs attention: {len(found)}. Bots quoting: {quoting} of {len(rows)}.",
    }


def _with_client(bots: Sequence[Bot], client: Client) -> list[Bot]:
    """Return the bots with their client at hand: it is the same for all."""
    for bot in bots:
        bot.client = client
    return list(bots)


def markets_of_client(request: HttpRequest, client_id: int) -> HttpResponse:
    client = visible_client(request, client_id)
    asked = request.GET.copy()
    asked["client"] = str(client.pk)
    return _page(request, client, "markets", figures_of(request, asked))


def keys(request: HttpRequest, client_id: int) -> HttpResponse:
    client = visible_client(request, client_id)
    clients: Any = admin.site.get_model_admin(Client)
    return _page(request, client, "keys", {"buttons": clients.buttons(request, client)})


def activity(request: HttpRequest, client_id: int) -> HttpResponse:
    client = visible_client(request, client_id)
    page = Paginator(_operations(client), ROWS).get_page(request.GET.get("page"))
    return _page(request, client, "activity", {"page": page})


def _operations(client: Client) -> Any:
    clients: Any = admin.site.get_model_admin(Client)
    return clients.operations_about(client).select_related("requested_by", "deployment")


def visible_client(request: HttpRequest, client_id: int) -> Client:
    """Return the client, if the user may see it; else the answer is 403 or 404."""
    clients = admin.site.get_model_admin(Client)
    if not clients.has_view_permission(request):
        raise PermissionDenied
    client: Client | None = (
        clients.get_queryset(request).select_related("server", "account_manager").filter(pk=client_id).first()
    )
    if client is None:
        raise Http404
    return client


def _page(request: HttpRequest, client: Client, shown: str, context: dict[str, Any]) -> TemplateResponse:
    clients = admin.site.get_model_admin(Client)
    common = {
        "opts": Client._meta,
        "title": str(client),
        "original": client,
        "shown": shown,
        "has_change_permission": clients.has_change_permission(request, client),
        "header": header_of(client),
    }
    return TemplateResponse(
        request, f"controlpanel/client/{shown}.html", admin.site.each_context(request) | common | context
    )


wrap = admin.site.admin_view
urlpatterns: list[URLPattern] = [
    path("", redirect_to_login(wrap(require_safe(overview))), name="client"),
    path("markets/", wrap(require_safe(markets_of_client)), name="client_markets"),
    path("keys/", wrap(require_safe(keys)), name="client_keys"),
    path("activity/", wrap(require_safe(activity)), name="client_activity"),
]
