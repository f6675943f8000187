"""Obligations in the admin: what was agreed with a client, and how it stands."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.forms.exchange_keys import connector_choices
from accounts.models import Server
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.fields import plain
from markets.models import Obligation
from markets.obligations.standing import Standing, standings
from markets.templatetags.market import percent


class PlainDecimalField(forms.DecimalField):
    """Shows a stored number without the zeros that its column adds."""

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


STATE_COLORS = {"met": "success", "broken": "danger", "lost": "danger", "not_measured": "warning", "ended": "info"}


@admin.register(Obligation)
class ObligationAdmin(EditConflictMixin, ScopedMixin):
    when_empty = (
        "An obligation is what a client's contract asks for in a market: a spread, a depth, an uptime. Add one to see "
        "each minute whether it is kept."
    )
    list_display = ("client", "market_label", "terms", "state_label", "today_label", "month_label")
    list_filter = (("client", VisibleFilter), "active", "connector")
    list_select_related = ("client__server",)
    search_fields = ("client__name", "trading_pair", "connector")
    search_help_text = "Search by client, pair or exchange"
    change_form_outer_before_template = "markets/obligation_standing.html"
    fieldsets = (
        (None, {"fields": ("client", "connector", "trading_pair")}),
        (
            "Quotes",
            {"fields": ("max_spread_percent", ("min_depth_quote", "depth_within_percent"))},
        ),
        ("Time", {"fields": (("min_uptime_percent", "uptime_period"), ("hours_from", "hours_to"))}),
        (None, {"fields": ("alert_after_minutes", "active")}),
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        rows = {standing.obligation.pk: standing for standing in standings(changelist.result_list, timezone.now())}
        for obligation in changelist.result_list:
            obligation.standing = rows[obligation.pk]
        return changelist

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "connector":
            return forms.ChoiceField(
                label="Exchange",
                choices=connector_choices(Server.objects.visible_to(request.user).only("connectors")),
                widget=UnfoldAdminSelectWidget,
            )
        if isinstance(db_field, models.DecimalField):
            kwargs["form_class"] = PlainDecimalField
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Obligation | None = None) -> tuple[str, ...]:
        # Its history is that of one market.
        return ("client", "connector", "trading_pair") if obj else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obligation = self.get_object(request, object_id)
        found = standings([obligation], timezone.now()) if obligation else []
        return super().change_view(
            request, object_id, form_url, {"standing": found[0] if found else None, **(extra_context or {})}
        )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Obligation]:
        return super().get_queryset(request).select_related("client__server")

    @display(description="market", ordering="trading_pair")
    def market_label(self, obligation: Obligation) -> str:
        return f"{obligation.trading_pair} on {obligation.connector}"

    @display(description="state", label=STATE_COLORS)
    def state_label(self, obligation: Any) -> tuple[str, str]:
        standing: Standing = obligation.standing
        return standing.state, standing.state_text

    @display(description="today")
    def today_label(self, obligation: Any) -> str:
        return percent(obligation.standing.today.uptime)

    @display(description="this month")
    def month_label(self, obligation: Any) -> str:
        return percent(obligation.standing.month.uptime)
