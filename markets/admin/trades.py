"""Trades in the admin: all of a client's, and those of one bot on its page."""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget

from bots.models import Bot
from core.acting import note
from core.admin.live_pages import redirect_to_login
from core.admin.scoped import ScopedMixin, VisibleFilter
from markets.figures.trade_totals import totals_of
from markets.models import Side, Trade, TradeQuerySet
from markets.templatetags.market import exact, money
from operations.actions import ReadOnlyMixin
from spreadsheets.admin import ExportMixin, file_response
from spreadsheets.writing import WRITERS

#: Rows on one page.
ROWS = 50
COLUMNS = (
    *("time (UTC)", "client", "bot", "exchange", "trading pair", "side", "price", "amount", "base asset"),
    *("value", "quote asset", "fee in quote", "fees by asset", "liquidity", "trade id", "order id", "instance"),
)


class TradeFilter(forms.Form):
    """Which of a bot's trades are shown. Days are in UTC, both included."""

    since = forms.DateField(label="From", required=False, widget=UnfoldAdminDateWidget)
    until = forms.DateField(label="To", required=False, widget=UnfoldAdminDateWidget)
    side = forms.ChoiceField(
        required=False, choices=[("", "Buys and sells"), *Side.choices], widget=UnfoldAdminSelectWidget
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data, label_suffix="")

    def apply(self, trades: TradeQuerySet) -> TradeQuerySet:
        """Return the matching trades. Invalid filters are ignored and reported by the form."""
        self.is_valid()
        asked = self.cleaned_data
        if since := asked.get("since"):
            trades = trades.filter(traded_at__gte=datetime.combine(since, time(), UTC))
        if until := asked.get("until"):
            trades = trades.filter(traded_at__lte=datetime.combine(until, time.max, UTC))
        return trades.filter(side=asked["side"]) if asked.get("side") else trades


def exported(trades: Iterable[Trade]) -> list[list[Any]]:
    """Return the rows of a file. Amounts are exact decimals."""
    return [
        [
            f"{trade.traded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3],
            trade.client.name,
            trade.bot_name,
            trade.connector,
            trade.trading_pair,
            trade.side,
            trade.price,
            trade.amount,
            trade.base_asset,
            trade.value,
            trade.quote_asset,
            trade.fee_quote if trade.fee_quote is not None else "",
            ", ".join(f"{fee} {asset}" for asset, fee in trade.fees.items()),
            trade.liquidity,
            trade.exchange_trade_id,
            trade.order_id,
            trade.deployment.instance_name if trade.deployment else "",
        ]
        for trade in trades
    ]


class ConnectorFilter(admin.SimpleListFilter):
    """By a value that some bot has: what all trades have would be looked for in all of them."""

    title = parameter_name = "connector"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        values = Bot.objects.visible_to(request.user).order_by(self.parameter_name)
        return [(value, value) for value in values.values_list(self.parameter_name, flat=True).distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class PairFilter(ConnectorFilter):
    title, parameter_name = "trading pair", "trading_pair"


@admin.register(Trade)
class TradeAdmin(ExportMixin, ReadOnlyMixin, ScopedMixin):
    when_empty = "A trade is a fill of a bot's order. Trades are read once a minute while a bot runs."
    list_display = (
        *("traded_at", "client", "bot_name", "market_label", "side_label", "price_label", "amount_label"),
        *("value_label", "fee_label", "liquidity"),
    )
    list_filter = (("client", VisibleFilter), ConnectorFilter, PairFilter, "side", "liquidity")
    list_select_related = ("client", "deployment")
    list_per_page = ROWS
    search_fields = ("bot_name", "trading_pair", "exchange_trade_id", "order_id")
    search_help_text = "Search by bot, pair, trade id or order id"
    ordering = ("-traded_at", "-pk")
    exclude = ("bot_number", "recorded_at")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        page = redirect_to_login(wrap(require_safe(self.bot_trades_view)))
        export = wrap(require_safe(self.bot_export_view))
        own = [
            path("of-bot/<int:pk>/", page, name="markets_bot_trades"),
            path("of-bot/<int:pk>/export.<slug:file_type>", export, name="markets_bot_trades_export"),
        ]
        return own + super().get_urls()

    def export(self, request: HttpRequest, queryset: Any) -> tuple[list[str], list[list[Any]]]:
        return list(COLUMNS), exported(queryset.select_related("client", "deployment").iterator(2000))

    # --- one bot ----------------------------------------------------------------------------------------------------

    def bot_trades_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        bot, form, trades = self._of_bot(request, pk)
        context = {
            "form": form,
            "totals": totals_of(trades),
            "page": Paginator(trades.order_by("-traded_at", "-pk"), ROWS).get_page(request.GET.get("page")),
            "file_types": WRITERS,
        }
        return self._bots.bot_page(request, bot, "trades", "trades", context, "markets/bot_trades.html")

    def bot_export_view(self, request: HttpRequest, pk: int, file_type: str) -> HttpResponse:
        bot, _, trades = self._of_bot(request, pk)
        note(bot, "exported", f"trades as {file_type}")
        columns, rows = self.export(request, trades.order_by("traded_at", "pk"))
        return file_response(file_type, f"trades-of-{bot.instance_name}", columns, rows)

    def _of_bot(self, request: HttpRequest, pk: int) -> tuple[Bot, TradeFilter, TradeQuerySet]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        bot: Bot = self._bots.visible_bot(request, pk)
        form = TradeFilter(request.GET)
        return bot, form, form.apply(Trade.objects.filter(client=bot.client_id, bot_number=bot.pk))

    @property
    def _bots(self) -> Any:
        return self.admin_site.get_model_admin(Bot)

    # --- columns ----------------------------------------------------------------------------------------------------

    @display(description="market", ordering="trading_pair")
    def market_label(self, trade: Trade) -> str:
        return f"{trade.trading_pair} on {trade.connector}"

    @display(description="side", ordering="side", label={Side.BUY: "success", Side.SELL: "info"})
    def side_label(self, trade: Trade) -> tuple[str, str]:
        return trade.side, trade.get_side_display()

    @display(description="price")
    def price_label(self, trade: Trade) -> str:
        return exact(trade.price)

    @display(description="amount")
    def amount_label(self, trade: Trade) -> str:
        return f"{exact(trade.amount)} {trade.base_asset}"

    @display(description="value")
    def value_label(self, trade: Trade) -> str:
        return f"{money(trade.value)} {trade.quote_asset}"

    @display(description="fee")
    def fee_label(self, trade: Trade) -> str:
        if trade.fee_quote is not None:
            return f"{money(trade.fee_quote)} {trade.quote_asset}"
        return ", ".join(f"{exact(fee)} {asset}" for asset, fee in trade.fees.items()) or "—"
