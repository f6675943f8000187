"""Home: alerts, who quotes, the week, current states. It reads stored data and sends no request to a server."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, Max, Model, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, Server, ServerQuerySet
from bots.models import Bot, BotState, Deployment
from controlpanel.places.alerts import SOURCES, Urgency, alerts
from controlpanel.places.week import week_of
from core.rows.capped_count import capped_count
from core.visibility import AnyUser
from hummingbot_api.connectors import AccountType, market_of
from markets.figures.quotes_now import OpenBots, count_quoting, open_bots
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
    servers = Server.objects.visible_to(user) if sees["server"] else Server.objects.none()
    bots = Bot.objects.visible_to(user) if sees["bot"] else Bot.objects.none()
    found, monitoring = alerts(user), monitoring_status(servers, now)
    # Alarms are all shown.
    shown = max(MOST, sum(alert.urgency == Urgency.ALARM for alert in found.alerts))
    deployments = Deployment.objects.visible_to(user) if sees["bot"] else Deployment.objects.none()
    there = open_bots(deployments, now)
    account_types, states = count_states(bots, there)
    left_out = found.left_out + Counter(alert.source for alert in found.alerts[shown:])
    return {
        "quoting": count_quoting(there),
        "now": now,
        "sees": sees,
        "monitoring_status": monitoring,
        "has_clients": Client.objects.visible_to(user).exists(),
        "alerts": found.alerts[:shown],
        "more_concerns": count_more(left_out),
        "servers": list(servers.defer("password", "connectors", "account_names", "instances").worst_first(now)[:MOST]),
        "more_servers": capped_count(servers) - MOST,
        "account_types": account_types,
        "states": states,
        "operations": _operations(user) if sees["operation"] else [],
        "summary": _summary_sentence(monitoring, len(found.alerts) + found.left_out.total(), states),
    }


def _summary_sentence(monitoring: MonitoringStatus, found: int, states: Iterable[StateCount]) -> str:
    """Return the page's current state as a sentence for screen readers."""
    nobody = "" if monitoring.worker_alive and monitoring.looks else "Monitoring is not running. "
    bots = ", ".join(f"{state.count} {state.label}" for state in states) or "none"
    return f"{nobody}Needs attention: {found}. Bots: {bots}."


def _view(model: type[Model]) -> str:
    return f"{model._meta.app_label}.view_{model._meta.model_name}"


def _operations(user: AnyUser) -> QuerySet[Operation]:
    return Operation.objects.visible_to(user).select_related("requested_by")[:MOST]


def monitoring_status(servers: ServerQuerySet, now: datetime) -> MonitoringStatus:
    last_seen_at = WorkerHeartbeat.objects.aggregate(newest=Max("last_seen_at"))["newest"]
    lately = now - timedelta(seconds=settings.FLEET["STALE"])
    # A server that does not answer is polled less often: then its next poll is not overdue.
    on_time = Count("pk", filter=Q(checked_at__gte=lately) | Q(failed_polls__gt=0, next_poll__gte=lately))
    polls = servers.aggregate(newest=Max("checked_at"), on_time=on_time)
    return MonitoringStatus(
        worker_alive=last_seen_at is not None and last_seen_at >= now - timedelta(seconds=WorkerHeartbeat.UNRESPONSIVE),
        worker_last_seen_at=last_seen_at,
        # A server that was just added need not have been polled yet.
        looks=polls["newest"] is None or polls["on_time"] > 0,
        polled_at=polls["newest"],
    )


def count_states(bots: QuerySet[Bot], there: Iterable[OpenBots]) -> tuple[list[AccountType], list[StateCount]]:
    """Count the bots by account type and by state. One query for those that are not on a server.

    Args:
        there: those that are.
    """
    counts: Counter[tuple[str, AccountType]] = Counter()
    for row in there:
        counts[row.shown, market_of(row.connector).account_type] += row.count
    elsewhere = bots.order_by().exclude(Exists(Deployment.objects.open().filter(bot=OuterRef("pk"))))
    for found in elsewhere.values("deployment__observed_state", "connector").annotate(count=Count("pk")):
        state = found["deployment__observed_state"] or "none"
        counts[state, market_of(found["connector"]).account_type] += found["count"]
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


def count_more(left_out: Counter[str]) -> list[More]:
    return [
        More(left_out[source], label, reverse(page) + query)
        for source, (label, page, query) in SOURCES.items()
        if left_out[source]
    ]
