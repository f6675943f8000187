"""Deployments in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import display

from bots.admin.bots import STATE_COLORS, StateFilter, shown_state_of, url_to_repeat
from bots.models import Deployment
from core.admin.filters import recent
from core.admin.live_pages import LiveListMixin
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.templatetags.connectors import with_badge
from operations.actions import ReadOnlyMixin


@admin.register(Deployment)
class DeploymentAdmin(LiveListMixin, ReadOnlyMixin, ScopedMixin):
    change_form_outer_before_template = "bots/repeat.html"
    when_empty = "A deployment is one run of a bot on a server. Open a bot and use “Deploy”."
    list_display = ("__str__", "bot", "connector_label", "server", "state_label", "sent_at", "ended_at")
    list_filter = (StateFilter, ("server", VisibleFilter), recent("planned_at", "planned"))
    list_select_related = ("bot__client", "server")
    search_fields = ("instance_name", "requested_name", "bot__name")
    search_help_text = "Search by instance or bot"
    readonly_fields = ("of_bot", "shown_state", "connector_label")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "of_bot",
                    "server",
                    "instance_name",
                    "shown_state",
                    "observed_at",
                    "last_error",
                    "operation",
                )
            },
        ),
        (
            "Definition",
            {
                "fields": (
                    "profile",
                    "connector_label",
                    "trading_pair",
                    "strategy_name",
                    "strategy_kind",
                    "script_name",
                    "config_name",
                    "config",
                    "image",
                    "headless",
                    "max_global_drawdown_quote",
                    "max_controller_drawdown_quote",
                )
            },
        ),
        (
            "Dates",
            {
                "fields": (
                    "planned_at",
                    "sent_at",
                    "started_at",
                    "verified_at",
                    "stopped_at",
                    "paused_at",
                    "archive_sent_at",
                    "ended_at",
                )
            },
        ),
        ("Live, as last reported by the server", {"fields": ("live_config", "live_config_at")}),
        ("Performance", {"fields": ("pnl_quote", "volume_quote")}),
        ("Script", {"fields": ("script_source",), "classes": ("collapse",)}),
    )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        deployment = self.get_object(request, object_id)
        offered = request.user.has_perm("bots.deploy_bot")
        again = offered and deployment and not deployment.bot.client.is_offboarded and url_to_repeat(deployment)
        orphaned = deployment.orphaned_orders.unresolved() if deployment else ()
        more = {"again": again, "orphaned": orphaned}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    @display(description="connector", ordering="connector")
    def connector_label(self, deployment: Deployment) -> str:
        return with_badge(deployment.connector)

    @display(description="state", label=STATE_COLORS)
    def state_label(self, deployment: Deployment) -> tuple[str, str]:
        return shown_state_of(deployment)

    @display(description="bot")
    def of_bot(self, deployment: Deployment) -> str:
        return format_html('<a href="{}" class="text-link">{}</a>', deployment.bot.get_absolute_url(), deployment.bot)

    @display(description="state")
    def shown_state(self, deployment: Deployment) -> str:
        return deployment.state_text
