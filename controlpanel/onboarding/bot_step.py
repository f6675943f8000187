"""The step of the bot: its exchange from the keys that the client has, its market from what the exchange lists."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.drafts import draft_keep
from accounts.models import Client
from bots.admin.bots import BotAdmin
from bots.admin.forms import BotForm
from bots.models import RESTARTING, Bot, MarketListing, Strategy, StrategyKind, TradingRules
from bots.strategies.pairs import normalize_pair
from controlpanel.onboarding.market_price import price_of
from controlpanel.onboarding.wizard import FormPage, onboarding_of, page_url
from core.admin.widgets import ExchangeTiles
from core.exchanges import exchange_name, title_of
from core.problems import Problem
from hummingbot_api.connectors import PAPER_TRADE
from operations import kinds
from operations.models import Operation, State, WorkerHeartbeat
from operations.problems import OperationActive
from operations.services import operation_request

WITH_KEY = "Exchanges with a key"
PAPER = "Paper trade (simulated money, no key)"
OTHERS = "Other exchanges (a key is needed first)"


class MarketCheckedForm(BotForm):
    """A bot whose pair must be on the exchange's list, where one was read lately."""

    client: Client

    def _post_clean(self) -> None:
        super()._post_clean()
        if "trading_pair" in self.errors or "connector" in self.errors:
            return
        pair = self.instance.trading_pair
        listing = MarketListing.objects.of(self.client.server, self.instance.connector)
        if listing is not None and listing.pairs and listing.is_recent and not listing.lists(pair):
            like = listing.like(pair)
            meant = f" Did you mean {like}?" if like else ""
            self.add_error("trading_pair", f"{exchange_name(listing.connector)} does not list {pair}.{meant}")


class BotPage(FormPage, BotAdmin):
    name = "bot"
    #: The client's server, and fields that are rarely changed. All are on the bot's own page.
    exclude = ("server", "image", "headless", *RESTARTING)
    left_out = frozenset({"client", *exclude})

    class Media:
        js = ("tiles.js", "market.js")

    def get_form(self, request: HttpRequest, obj: Bot | None = None, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, *args, **kwargs)
        client = self.client
        form = type(form.__name__, (MarketCheckedForm, form), {"client": client})
        form.base_fields["connector"] = exchange_field(client, obj)  # type: ignore[attr-defined]
        pair = form.base_fields["trading_pair"]  # type: ignore[attr-defined]
        pair.help_text = "For example SHARP/USDT. Load the exchange's pairs to choose from them."
        pair.widget.attrs |= {"list": "market-pairs", "autocomplete": "off", "spellcheck": "false"}
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The market first, with what is known of it below. The last group has nothing left but limits, which scripts
        refuse.
        """
        _, *others, (_, limits) = super().get_fieldsets(request, obj)
        first = [("Market", {"fields": ["connector", "trading_pair"]}), ("Bot", {"fields": ["name", "strategy"]})]
        controllers = Strategy.objects.filter(kind=StrategyKind.CONTROLLER).values_list("pk", flat=True)
        classes = ["collapse", *(f"only-for-{pk}" for pk in controllers)]  # by strategy_settings.js
        return [*first, *others, ("Drawdown limits", {**limits, "classes": classes})]

    def folds(self, fields: list[str]) -> bool:
        return "settings_as_json" in fields

    def save_warnings(self, bot: Bot) -> Iterable[str]:
        """Omit what the review asks about before the launch, and what the launch checks itself."""
        return ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Choose the exchange only where there is no choice: what nobody chose is not traded."""
        keys = list(self.client.keys.all())
        only = {"connector": keys[0].connector} if len(keys) == 1 else {}
        return only | super().get_changeform_initial_data(request)


def exchange_field(client: Client, bot: Bot | None) -> forms.ChoiceField:
    """Return the exchanges to choose from: those with a key first, then paper trade, all others folded away."""
    notes = {key.connector: f"Key …{key.hint}" if key.hint else "Key saved" for key in client.keys.all()}
    stored = dict.fromkeys(client.profile.connectors if client.profile else (), "Key on the server")
    notes = stored | notes
    every = {*client.server.connector_names, *notes, *([bot.connector] if bot else [])}
    groups = {
        WITH_KEY: [name for name in every if name in notes],
        PAPER: PAPER_TRADE,
        OTHERS: [name for name in every if name not in notes and name not in PAPER_TRADE],
    }
    choices = [
        (label, sorted(((name, exchange_name(name)) for name in names), key=lambda choice: choice[1]))
        for label, names in groups.items()
        if names
    ]
    folded = [OTHERS] if notes else []
    return forms.ChoiceField(
        label="Exchange",
        choices=choices,
        widget=ExchangeTiles(notes, folded=folded),
        error_messages={"required": "Choose an exchange.", "invalid_choice": "Choose one of these exchanges."},
    )


@require_http_methods(["GET", "POST"])
def bot_page(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    page = BotPage(Bot, onboarding)
    if request.method == "POST" and "_load" in request.POST:
        # Without scripts: the same page again, with what was typed.
        _request_markets(request, onboarding.client)
        response = redirect(page_url("bot", onboarding.client))
        typed = {name: list(map(str, entries)) for name, entries in request.POST.lists()}
        draft_keep(request=request, response=response, user_id=request.user.pk or 0, values=typed)
        return response
    bot = onboarding.bot
    if request.method == "POST":
        connector, pair = request.POST.get("connector", ""), request.POST.get("trading_pair", "")
    elif bot is not None:
        connector, pair = bot.connector, bot.trading_pair
    else:
        connector, pair = page.get_changeform_initial_data(request).get("connector", ""), ""
    page.around = market_context(request, onboarding.client, connector, pair)
    return page.answer(request, bot)


def market_context(request: HttpRequest, client: Client, connector: str, entered: str) -> dict[str, Any]:
    """Return what is stored of a market, for the part of the step that shows it."""
    try:
        pair = normalize_pair(entered)
    except ValidationError:
        pair = ""
    now = timezone.now()
    listing = MarketListing.objects.of(client.server, connector) if connector else None
    rules = TradingRules.objects.of(client.server, connector, pair) if connector and pair else None
    loading = Operation.objects.of(client).filter(kind="load_markets").first()
    failed = loading is not None and loading.state == State.FAILED and loading.connector == connector
    return {
        "client": client,
        "connector": connector,
        "exchange": title_of(connector) if connector else "",
        "typed": entered,
        "pair": pair,
        "listing": listing,
        "unlisted": bool(listing and listing.is_recent and listing.pairs and pair and not listing.lists(pair)),
        "like": listing.like(pair) if listing and pair and not listing.lists(pair) else "",
        "price": price_of(client.server, connector, rules, now),
        "quote": pair.partition("-")[2],
        "loading": loading if loading and loading.is_active else None,
        "load_error": loading if failed and not (listing and listing.read_at > loading.requested_at) else None,  # type: ignore[union-attr]
        "no_worker": bool(loading and loading.state == State.QUEUED and not WorkerHeartbeat.is_alive()),
        "may_load": request.user.has_perm(kinds.get("load_markets").permission),
        "now": now,
    }


def _request_markets(request: HttpRequest, client: Client) -> str:
    """Have the client's server read the chosen market. Return what is in the way; empty for nothing."""
    if not request.user.has_perm(kinds.get("load_markets").permission):
        raise PermissionDenied
    connector, entered = request.POST.get("connector", ""), request.POST.get("trading_pair", "")
    if connector not in {*client.server.connector_names, *PAPER_TRADE}:
        return "Choose an exchange first."
    try:
        pair = normalize_pair(entered) if entered.strip() else ""
    except ValidationError as error:
        return " ".join(error.messages)
    try:
        operation_request(
            kind="load_markets",
            subject=client,
            requested_by=request.user,
            options={"connector": connector, "trading_pair": pair},
        )
    except OperationActive:
        return ""  # its page shows that one
    except Problem as problem:
        return f"{problem.message} {problem.remedy}"
    return ""


@require_POST
def load_market(request: HttpRequest, client_id: int) -> HttpResponse:
    """Have the server read the market, and render how that goes."""
    client = onboarding_of(request, client_id).client
    obstacle = _request_markets(request, client)
    connector, pair = request.POST.get("connector", ""), request.POST.get("trading_pair", "")
    context = market_context(request, client, connector, pair)
    return render(request, "controlpanel/onboard/market.html", context | {"obstacle": obstacle})


@require_GET
def market_live(request: HttpRequest, client_id: int) -> HttpResponse:
    """Render what is stored of the market that is chosen."""
    client = onboarding_of(request, client_id).client
    connector, pair = request.GET.get("connector", ""), request.GET.get("trading_pair", "")
    return render(request, "controlpanel/onboard/market.html", market_context(request, client, connector, pair))
