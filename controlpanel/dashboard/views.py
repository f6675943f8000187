"""The dashboard: alerts, current states, and performance. It reads stored data and sends no request to a server."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Max, Model, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.balances.portfolio import valuation_history, valuations
from accounts.models import Client, CredentialsProfile, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, DeploymentQuerySet, PerformanceQuerySet, PerformanceSample
from bots.reporting.performance import PerformanceReport, count_bots, performance_report
from controlpanel.dashboard.alerts import SOURCES, Alert, Urgency, alerts
from core.figures.time_ranges import SPANS, Span
from core.visibility import AnyUser
from hummingbot_api.connectors import AccountType, market_of
from markets.by_market import market_rows
from operations.models import Operation, WorkerHeartbeat

#: How many of each kind the page shows; the rest is counted and linked. Alarms are all shown.
MOST = 8


class FiguresFilter(forms.Form):
    """Whose figures are shown, and how far back."""

    client = forms.ModelChoiceField(
        Client.objects.none(), required=False, empty_label="All clients", widget=UnfoldAdminSelectWidget
    )
    server = forms.ModelChoiceField(
        Server.objects.none(), required=False, empty_label="All servers", widget=UnfoldAdminSelectWidget
    )
    span = forms.ChoiceField(
        choices=[(name, span.label) for name, span in SPANS.items()], required=False, widget=forms.HiddenInput
    )

    def __init__(self, user: AnyUser, data: Any) -> None:
        super().__init__(data, label_suffix="")
        self.user = user
        for name, model in (("client", Client), ("server", Server)):
            self.fields[name].queryset = model.objects.visible_to(user).only("name")  # type: ignore[attr-defined]

    @property
    def asked(self) -> dict[str, Any]:
        """The requested options. Invalid ones are ignored, and reported by the form."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def samples(self) -> PerformanceQuerySet:
        return PerformanceSample.objects.visible_to(self.user).filter(
            **self._lookups(client="deployment__bot__client", server="deployment__server")
        )

    def deployments(self) -> DeploymentQuerySet:
        return Deployment.objects.visible_to(self.user).filter(**self._lookups(client="bot__client", server="server"))

    def clients(self) -> QuerySet[Client]:
        clients = Client.objects.visible_to(self.user)
        lookups = self._lookups(client="pk", server="server")
        return clients.filter(**{name: value.pk for name, value in lookups.items()})

    def profiles(self) -> QuerySet[CredentialsProfile]:
        return CredentialsProfile.objects.filter(
            client__in=Client.objects.visible_to(self.user), **self._lookups(client="client", server="server")
        )

    def _lookups(self, **columns: str) -> dict[str, Any]:
        return {column: self.asked[name] for name, column in columns.items() if name in self.asked}


@dataclass(frozen=True)
class MonitoringStatus:
    """Whether monitoring works: without a worker, nothing on the page is current."""

    worker_alive: bool
    worker_last_seen_at: datetime | None
    looks: bool
    polled_at: datetime | None


@dataclass(frozen=True)
class StateCount:
    """How many bots are in a state, by the money that they trade with."""

    state: str
    label: str
    url: str
    count: int
    by_account_type: list[tuple[AccountType, int]]


@dataclass(frozen=True)
class More:
    """What was left out of a list, and where it is."""

    count: int
    label: str
    url: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the page's data for the user, as Unfold's ``DASHBOARD_CALLBACK``."""
    true_now = current_state(request.user)
    sees, now = true_now["sees"], true_now["now"]
    form = FiguresFilter(request.user, request.GET)
    span = SPANS[form.asked.get("span", "day")]
    return (
        context
        | true_now
        | {
            "title": "Dashboard",
            "form": form,
            "span": span,
            "spans": SPANS,
            "performance_report": _performance(form, span, now) if sees["bot"] else [],
            "market_rows": market_rows(form.clients(), now - span.length, now) if sees["client"] else [],
            "valuations": valuations(form.profiles(), now - span.length) if sees["client"] else [],
            "over_time": valuation_history(form.profiles(), span, now) if sees["client"] else None,
        }
    )


def _performance(form: FiguresFilter, span: Span, now: datetime) -> list[PerformanceReport]:
    by_bot = "client" in form.asked
    found = performance_report(form.samples(), span, now, by_bot=by_bot)
    if found:
        count_bots(found, form.deployments(), span, now, by_bot=by_bot)
    return found


def dashboard_now(request: HttpRequest) -> HttpResponse:
    """Render the part of the page that refreshes itself: all but the figures."""
    return render(request, "controlpanel/now.html", current_state(request.user) | {"renews": True})


def current_state(user: AnyUser) -> dict[str, Any]:
    """Return the alerts, and the states of the servers, bots and operations that the user may see."""
    now = timezone.now()
    sees = {model.__name__.lower(): user.has_perm(_view(model)) for model in (Server, Bot, Client, Operation)}
    servers = _servers(user) if sees["server"] else []
    bots = _bots(user) if sees["bot"] else []
    found, monitoring = alerts(user, bots, servers), monitoring_status(servers, now)
    shown = max(MOST, sum(alert.urgency == Urgency.ALARM for alert in found))
    account_types, states = count_states(bots)
    return {
        "now": now,
        "sees": sees,
        "monitoring_status": monitoring,
        "has_clients": Client.objects.visible_to(user).exists(),
        "alerts": found[:shown],
        "more_concerns": count_more(found[shown:]),
        "servers": servers[:MOST],
        "more_servers": len(servers[MOST:]),
        "account_types": account_types,
        "states": states,
        "operations": _operations(user) if sees["operation"] else [],
        "summary": _summary_sentence(monitoring, found, states),
    }


def _summary_sentence(monitoring: MonitoringStatus, found: Collection[Alert], states: Iterable[StateCount]) -> str:
    """Return the page's current state as a sentence for screen readers."""
    nobody = "" if monitoring.worker_alive and monitoring.looks else "Monitoring is not running. "
    bots = ", ".join(f"{state.count} {state.label}" for state in states) or "none"
    return f"{nobody}Needs attention: {len(found)}. Bots: {bots}."


def _view(model: type[Model]) -> str:
    return f"{model._meta.app_label}.view_{model._meta.model_name}"


def _operations(user: AnyUser) -> QuerySet[Operation]:
    return Operation.objects.visible_to(user).select_related("requested_by")[:MOST]


def _servers(user: AnyUser) -> list[Server]:
    """Return the servers, those that are down first."""
    servers = Server.objects.visible_to(user).defer("password", "connectors", "account_names")
    return sorted(servers, key=lambda server: server.health_summary == "ok" and server.was_polled_recently)


def _bots(user: AnyUser) -> list[Bot]:
    """Return the bots with the data for comparing them with their definitions."""
    keys = ExchangeKey.objects.only("client", "connector", "fingerprint")
    return list(
        Bot.objects.visible_to(user)
        .select_related("client", "strategy", "server", "deployment")
        .defer("server__password", "server__connectors", "server__account_names")
        .prefetch_related(Prefetch("client__keys", keys), "duplicates")
    )


def monitoring_status(servers: Iterable[Server], now: datetime) -> MonitoringStatus:
    last_seen_at = WorkerHeartbeat.objects.aggregate(newest=Max("last_seen_at"))["newest"]
    polled_at = max((server.checked_at for server in servers if server.checked_at), default=None)
    lately = now - timedelta(seconds=settings.FLEET["STALE"])
    return MonitoringStatus(
        worker_alive=last_seen_at is not None and last_seen_at >= now - timedelta(seconds=WorkerHeartbeat.UNRESPONSIVE),
        worker_last_seen_at=last_seen_at,
        # A server that was just added need not have been polled yet.
        looks=polled_at is None or polled_at >= lately,
        polled_at=polled_at,
    )


def count_states(bots: Collection[Bot]) -> tuple[list[AccountType], list[StateCount]]:
    """Count the bots by account type and by state."""
    counts = Counter((_state_of(bot), market_of(bot.trades_on).account_type) for bot in bots)
    account_types = [account_type for account_type in AccountType if any(account_type is found for _, found in counts)]
    page = reverse("admin:bots_bot_changelist")
    states = [(state.value, state.label, f"{page}?state={state}") for state in BotState]
    states.append(("none", "not deployed", f"{page}?deployment__isnull=True"))
    return account_types, [
        StateCount(
            state, label, url, count, [(account_type, counts[state, account_type]) for account_type in account_types]
        )
        for state, label, url in states
        if (count := sum(counts[state, account_type] for account_type in account_types))
    ]


def _state_of(bot: Bot) -> str:
    return bot.deployment.state.value if bot.deployment else "none"


def count_more(left_out: Iterable[Alert]) -> list[More]:
    counts = Counter(alert.source for alert in left_out)
    return [
        More(counts[source], label, reverse(page) + query)
        for source, (label, page, query) in SOURCES.items()
        if counts[source]
    ]
