"""What bots quote and trade; the markets, the obligations and the report of a client."""

from datetime import date
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Path, Query, Schema

from bots.models import Deployment
from client_reports.build import build_report
from client_reports.formats.as_json import as_json
from client_reports.models import last_month
from client_reports.periods import check_period
from core.acting import note
from json_api.auth import may_read, require
from json_api.pagination import Moment, Paged, Term, page
from json_api.problems import FieldsInvalid
from json_api.router import PanelRouter
from json_api.routes import bots, clients
from json_api.schemas.common import Id
from json_api.schemas.markets import MarketOut, MarketPage, ObligationOut, QuotesOut, TradePage
from markets.figures.books import markets_now
from markets.figures.bot_market import bot_market
from markets.models import Trade
from markets.obligations.standing import standings

router = PanelRouter(tags=["markets"])


class TradeFilters(Paged):
    since: Moment | None = Field(None, description="From this time on. Times without a zone are UTC.")
    until: Moment | None = Field(None, description="Before this time.")
    side: Literal["BUY", "SELL"] | None = None


class MarketFilters(Paged):
    server: str | None = Field(None, description="Its name.")
    connector: str | None = None
    pair: Term | None = None


class PeriodFilters(Schema):
    first: date | None = Field(None, description="The first day, in UTC. The last month by default.")
    last: date | None = Field(None, description="The last day, included.")


@router.get("/bots/{bot_id}/orders", response=QuotesOut, auth=may_read)
def list_orders(request: HttpRequest, bot_id: Path[Id]) -> Any:
    """Returns the bot's open orders, its balances and its market, as last read: once a minute.

    For orders that a dead instance may have left open see “orphaned-orders”.
    """
    return QuotesOut.of(bot_market(get_object_or_404(bots.visible(request), pk=bot_id), timezone.now()))


@router.get("/bots/{bot_id}/trades", response=TradePage, auth=may_read)
def list_trades(request: HttpRequest, bot_id: Path[Id], asked: Query[TradeFilters]) -> Any:
    """Lists the bot's trades, newest first."""
    bot = get_object_or_404(bots.visible(request), pk=bot_id)
    require(request.user, "markets.view_trade")
    trades = Trade.objects.filter(client=bot.client_id, bot_number=bot.pk).select_related("deployment")
    if asked.since:
        trades = trades.filter(traded_at__gte=asked.since)
    if asked.until:
        trades = trades.filter(traded_at__lt=asked.until)
    if asked.side:
        trades = trades.filter(side=asked.side)
    return page(request, trades, asked, "-traded_at")


@router.get("/markets", response=MarketPage, auth=may_read)
def list_markets(request: HttpRequest, asked: Query[MarketFilters]) -> Any:
    """Lists the markets in which open bots quote, with their order books as last read: once a minute."""
    require(request.user, "bots.view_bot")
    equal = {
        "server__name": asked.server,
        "connector": asked.connector,
        "trading_pair__iexact": asked.pair and asked.pair.replace("/", "-"),
    }
    equal = {name: value for name, value in equal.items() if value is not None}
    deployments = Deployment.objects.visible_to(request.user).open().filter(**equal).select_related("server")
    deployments = deployments.only("bot_id", "connector", "trading_pair", "server__name")
    # One deployment stands for its market, so that markets are read a page at a time.
    found = page(request, deployments.one_per_market(), asked, "connector")
    there = deployments.in_markets_of(found["results"])
    return found | {"results": [MarketOut.of(market) for market in markets_now(there, timezone.now())]}


@router.get("/clients/{client_id}/obligations", response=list[ObligationOut], auth=may_read)
def list_obligations(request: HttpRequest, client_id: Path[Id]) -> Any:
    """Lists what was agreed with the client, and how it stands: what is broken first."""
    client = get_object_or_404(clients.visible(request), pk=client_id)
    require(request.user, "markets.view_obligation")
    obligations = client.obligations.select_related("client__server")
    return [ObligationOut.of(standing) for standing in standings(obligations, timezone.now())]


@router.get("/clients/{client_id}/report", response=dict[str, Any], auth=may_read)
def get_report(request: HttpRequest, client_id: Path[Id], asked: Query[PeriodFilters]) -> Any:
    """Returns the client's report for a period: obligations, volume, profit, inventory, incidents, gaps in the data.

    Each figure is defined in “definitions”.
    """
    client = get_object_or_404(clients.visible(request), pk=client_id)
    now = timezone.now()
    first, last = asked.first, asked.last
    if first is None and last is None:
        first, last = last_month(now.date())
    try:
        check_period(first, last)
    except ValidationError as error:
        raise FieldsInvalid({"last" if first else "first": error.messages}) from None
    report = build_report(client, first, last, now)  # type: ignore[arg-type]
    note(client, "downloaded report", f"{first} to {last}, json")
    return as_json(report)
