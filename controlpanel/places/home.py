"""Home: alerts, who quotes, the week, current states. It reads stored data and sends no request to a server."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Model, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment
from controlpanel.places.alerts import SOURCES, Alert, Urgency, alerts
from controlpanel.places.week import week_of
from core.visibility import AnyUser
from hummingbot_api.connectors import AccountType, market_of
from markets.figures.quotes_now import count_quoting
from operations.models import Operation, WorkerHeartbeat

#: How many of each kind the page shows; the rest is counted and linked. Alarms are all shown.
MOST = 8


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


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the page's data for the user, as Unfold's ``DASHBOARD_CALLBACK``."""
    true_now = current_state(request.user)
    week = week_of(request.user, true_now["now"]) if true_now["sees"]["client"] else []
    return context | true_now | {"title": "Home", "week": week}


def home_now(request: HttpRequest) -> HttpResponse:
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
    deployments = Deployment.objects.visible_to(user) if sees["bot"] else Deployment.objects.none()
    return {
        "quoting": count_quoting(deployments, now),
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
