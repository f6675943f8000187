"""Bots in the admin."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import BoundField
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from unfold.decorators import display

from accounts.admin.drafts import DraftsMixin
from accounts.models import Server
from bots.admin.bot_pages import BotPagesMixin
from bots.admin.bulk_edit import BulkEditMixin
from bots.admin.forms import bot_form, field_name
from bots.admin.import_export import BotSheet
from bots.admin.settings_toggle import convert_settings
from bots.admin.strategies import StrategyAdmin
from bots.configuration.images import validate_image_choice
from bots.configuration.trading_rules import save_warnings
from bots.models import RESTARTING, Bot, BotState, Deployment, Strategy, shown_state
from bots.strategies.comparison import describe_settings
from bots.strategies.schema import settings_in
from bots.templatetags.amounts import amount
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.live_pages import LiveListMixin
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.templatetags.connectors import with_badge
from core.templatetags.times import when
from hummingbot_api.connectors import KNOWN_CONNECTORS, PAPER_TRADE
from spreadsheets.admin import SheetMixin

#: Unfold shows a state's own name instead of its label when it is not in here.
STATE_COLORS = {
    BotState.RUNNING: "success",
    BotState.STARTING: "info",
    BotState.PAUSED: "warning",
    BotState.STOPPED: "warning",
    BotState.UNRESPONSIVE: "warning",
    BotState.UNCONFIRMED: "warning",
    BotState.CRASHED: "danger",
    BotState.NOT_LISTED: "danger",
    BotState.GONE: "danger",
    BotState.NOT_CREATED: "danger",
    "duplicates": "danger",
    "troubled": "danger",
    **dict.fromkeys((BotState.PLANNED, BotState.ARCHIVED, BotState.UNKNOWN, "none"), ""),
}
admin.site.register(Strategy, StrategyAdmin)


def shown_state_of(deployment: Deployment) -> tuple[str, str]:
    """Return the state's color and label."""
    return "troubled" if deployment.shown_trouble else deployment.state, deployment.state_text


class StateFilter(admin.SimpleListFilter):
    """By the state that is shown, for bots (of their newest deployment) and for deployments."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.label) for state in BotState]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        state = self.value()
        if not state:
            return queryset
        shown = shown_state(timezone.now(), "deployment__" if queryset.model is Bot else "")
        return queryset.alias(shown=shown).filter(shown=state)


@admin.register(Bot)
class BotAdmin(LiveListMixin, SheetMixin, BotPagesMixin, BulkEditMixin, DraftsMixin, EditConflictMixin, ScopedMixin):
    sheet_class = BotSheet
    operation_kinds = (
        "check_bot",
        "deploy",
        "redeploy",
        "apply_settings",
        "pause",
        "resume",
        "start",
        "stop",
        "recover",
        "archive",
        "refresh",
    )
    change_form_outer_before_template = "bots/above_form.html"
    when_empty = "A bot trades one pair for one client. It needs a client with an exchange key, and a strategy."
    list_display = (
        "name",
        "client",
        "trading_pair",
        "connector_label",
        "strategy",
        "state_label",
        "quotes",
        "seen",
        "pnl",
    )
    list_filter = (StateFilter, ("client", VisibleFilter), ("server", VisibleFilter), "strategy", "connector")
    search_fields = ("name", "client__name", "trading_pair", "connector")
    search_help_text = "Search by bot, client, pair or exchange"

    class Media:
        js = ("strategy_settings.js", "unsaved.js")

    def get_urls(self) -> list[URLPattern]:
        own = [path("settings/", self.admin_site.admin_view(self.settings_view), name="bots_bot_settings")]
        return own + super().get_urls()

    def settings_view(self, request: HttpRequest) -> HttpResponse:
        """Answer the form's switch between fields and JSON."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        return convert_settings(request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = super().get_changeform_initial_data(request)
        if "clone" not in request.GET:
            return initial
        original = self.get_object(request, request.GET["clone"])
        if original is None:
            raise Http404
        return initial | clone_of(original)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Bot]:
        return (
            super()
            .get_queryset(request)
            .select_related("client", "strategy", "server", "deployment__quote_state")
            .prefetch_related("duplicates")
        )

    def get_form(
        self,
        request: HttpRequest,
        obj: Bot | None = None,
        change: bool = False,
        strategies: Iterable[Strategy] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the form with the settings of these strategies, of all by default."""
        servers = Server.objects.visible_to(request.user)
        connectors = {name for server in servers for name in server.connectors} or set(KNOWN_CONNECTORS)
        kwargs["form"] = bot_form(strategies or Strategy.objects.all(), connectors.union(PAPER_TRADE))
        # The form declares its fields, those of the strategies among them.
        kwargs["fields"] = None if obj is None or self.has_change_permission(request, obj) else ()
        return super().get_form(request, obj, change=change, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "image":
            field.validators.append(partial(validate_image_choice, request.user))
        return field

    def get_fieldsets(self, request: HttpRequest, obj: Bot | None = None) -> Any:
        settings = [fieldset for strategy in Strategy.objects.all() for fieldset in settings_fieldsets(strategy)]
        as_json = [("Settings as JSON", {"fields": ["settings_as_json", "settings_json"]})]
        if obj and not self.has_change_permission(request, obj):
            settings, as_json = [(f"Settings: {obj.strategy}", {"fields": ["settings_shown"]})], []
        return [
            (None, {"fields": ["client", "name", "connector", "trading_pair", "strategy"]}),
            *settings,
            *as_json,
            (
                "Advanced",
                {
                    "fields": [
                        "server",
                        "image",
                        "headless",
                        *RESTARTING,
                        "max_global_drawdown_quote",
                        "max_controller_drawdown_quote",
                    ],
                    "classes": ["collapse"],
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Bot | None = None) -> tuple[str, ...]:
        # Its instances are named after both, and its deployments belong to that client.
        return ("client", "settings_shown") if obj else ()

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Record the values too, which are no secrets for a bot, so that a reader can see what a change replaced."""
        changes = [change for name in form.changed_data if (change := _change(form[name]))]
        if add or not changes:
            return super().construct_change_message(request, form, formsets, add)
        return f"Changed {', '.join(changes)}."

    def save_model(self, request: HttpRequest, obj: Bot, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for sentence in self.save_warnings(obj):
            messages.warning(request, sentence)

    def save_warnings(self, bot: Bot) -> Iterable[str]:
        """Return the warnings for the user who saved the bot."""
        return save_warnings(bot)

    @display(description="settings")
    def settings_shown(self, bot: Bot) -> str:
        lines = describe_settings(bot.strategy.settings_schema, bot.strategy.defaults | bot.settings)
        return format_html(
            '<ul class="panel-points">{}</ul>', format_html_join("", "<li>{}</li>", ((line,) for line in lines))
        )

    @display(description="exchange", ordering="connector")
    def connector_label(self, bot: Bot) -> str:
        return with_badge(bot.trades_on)

    @display(description="state", label=STATE_COLORS)
    def state_label(self, bot: Bot) -> tuple[str, str]:
        if bot.duplicate_names:
            seen_at = bot.server.instances_at
            when_else = (
                f", last seen {naturaltime(seen_at)}" if seen_at and not bot.server.instances_are_current else ""
            )
            return "duplicates", f"a second instance is running{when_else}"
        return shown_state_of(bot.deployment) if bot.deployment else ("none", "not deployed")

    @display(description="bid / ask, spread")
    def quotes(self, bot: Bot) -> str:
        # What a bot quotes is of an app that this one does not depend on.
        return render_to_string("markets/quotes_cell.html", {"deployment": bot.open_deployment}).strip()

    @display(description="checked")
    def seen(self, bot: Bot) -> str | None:
        return when(bot.deployment.observed_at, "ago") if bot.deployment else None

    @display(description="PnL")
    def pnl(self, bot: Bot) -> str | None:
        run = bot.deployment
        return None if run is None or run.pnl_quote is None else f"{amount(run.pnl_quote)} {run.quote_asset}"


def _change(field: BoundField) -> str:
    """Return the old and new value, unless it is a whole page of text; empty when they are equal."""
    if isinstance(field.field.widget, forms.Textarea):
        return str(field.label)
    before, after = field.initial, field.form.cleaned_data.get(field.name)
    if isinstance(field.field, forms.ModelChoiceField):
        # What was left empty may have been filled in.
        before = field.field.queryset.filter(pk=before).first()  # type: ignore[union-attr]
        after = getattr(field.form.instance, field.name)  # type: ignore[attr-defined]
    return "" if before == after else f"{field.label} from {_shown(before)} to {_shown(after)}"


def _shown(value: Any) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, list) else value
    return "nothing" if words is None or words == "" else str(words)


def settings_fieldsets(strategy: Strategy) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a strategy's settings; its advanced ones are folded away below, until one of them has an error."""
    settings = list(settings_in(strategy.settings_schema))
    shown = f"settings-of-{strategy.pk}"  # by strategy_settings.js
    main = [field_name(strategy.pk, *setting.path) for setting in settings if not setting.advanced]
    folded = [field_name(strategy.pk, *setting.path) for setting in settings if setting.advanced]
    yield f"Settings: {strategy}", {"fields": main, "classes": [shown], "description": escape(strategy.description)}
    if folded:
        yield f"Advanced settings: {strategy}", {"fields": folded, "classes": [shown, "collapse"]}


def clone_of(bot: Bot) -> dict[str, Any]:
    """Return the initial values of the form for a new bot: this one's whole definition, under a name that is free."""
    form = bot_form([bot.strategy], ())(instance=bot)
    return {name: form.initial[name] for name in form.fields if name in form.initial} | {"name": bot.name_for_a_clone()}


def url_to_repeat(deployment: Deployment) -> str:
    """Return the URL for submitting the same again, in place of what runs now, if anything does."""
    kind = "redeploy" if deployment.bot.deployments.open().exists() else "deploy"
    page = reverse("admin:bots_bot_operate", args=[deployment.bot_id, kind])
    return f"{page}?{urlencode({'like': deployment.pk})}"
