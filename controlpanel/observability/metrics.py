"""``/metrics``: what Prometheus reads, in its text format, for who has the ``METRICS_TOKEN``.

Everything is read from the database when it is asked for, so that each web process gives the same answer, whichever one
a proxy chooses. Durations are in seconds, times in seconds since 1970.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from huey.contrib.djhuey import HUEY
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.models import Server
from bots.models import Deployment, OrphanedOrders
from controlpanel.observability.backlog import backlog
from core.version import VERSION
from hummingbot_api.connectors import market_of
from markets.figures.quotes_now import OpenBots, count_quoting, open_bots
from notifications.models import Incident
from operations.models import WITHIN, OperationTally, WorkerHeartbeat


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics. Without a ``METRICS_TOKEN`` there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        sentence = "Send the value of METRICS_TOKEN as “Authorization: Bearer …”.\n"
        return HttpResponse(sentence, "text/plain; charset=utf-8", 401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Panel(timezone.now()))
    return HttpResponse(generate_latest(registry), CONTENT_TYPE_LATEST)


class Panel(Collector):
    """The panel at a moment. A fixed number of queries, whatever it holds."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield _gauge("panel_info", "The version that runs.", ("version", "database"), {(VERSION, connection.vendor): 1})
        yield from _operations()
        yield from self._backlog()
        there = open_bots(Deployment.objects.all(), self.now)
        yield from _bots(there)
        unresolved = OrphanedOrders.objects.unresolved().count()
        yield GaugeMetricFamily(
            "panel_orders_unaccounted", "Instances that may have left orders open at an exchange.", unresolved
        )
        yield from self._servers()
        kinds = Incident.objects.open().order_by().values_list("kind").annotate(count=Count("pk"))
        yield _gauge("panel_incidents_open", "Incidents that are not resolved.", ("kind",), _by_label(kinds))

    def _backlog(self) -> Iterator[Metric]:
        found = backlog(self.now)
        states = [("queued", found.queued), ("acting", found.acting), ("waiting", found.waiting)]
        yield _gauge("panel_operations_active", "Operations that have not ended.", ("state",), _by_label(states))
        yield GaugeMetricFamily(
            "panel_operation_queued_seconds", "How long the oldest queued operation has waited.", found.oldest_seconds
        )
        messages = HUEY.storage.queue_size()
        yield GaugeMetricFamily("panel_queue_messages", "Messages in the queue that no worker has taken.", messages)
        yield GaugeMetricFamily("panel_workers", "Workers that were seen lately.", WorkerHeartbeat.alive().count())

    def _servers(self) -> Iterator[Metric]:
        servers = list(Server.objects.order_by("name").only("name", "reachable", "latency_ms", "checked_at"))
        reachable = {(s.name,): float(s.reachable) for s in servers if s.reachable is not None}
        latency = {(s.name,): s.latency_ms / 1000 for s in servers if s.latency_ms is not None}
        age = {(s.name,): (self.now - s.checked_at).total_seconds() for s in servers if s.checked_at is not None}
        label = ("server",)
        yield _gauge("panel_server_reachable", "Whether the server answered its last poll.", label, reachable)
        yield _gauge("panel_server_latency_seconds", "How long the server took to answer.", label, latency)
        yield _gauge("panel_server_poll_age_seconds", "How long ago the server was polled.", label, age)


def _operations() -> Iterator[Metric]:
    ended = CounterMetricFamily("panel_operations", "Operations that have ended.", labels=("type", "outcome"))
    took = HistogramMetricFamily(
        "panel_operation_duration_seconds", "From an operation's begin to its end.", labels=("type", "outcome")
    )
    for tally in OperationTally.objects.order_by("kind", "outcome"):
        labels = (tally.kind, tally.outcome)
        ended.add_metric(labels, tally.count)
        buckets = [(str(float(limit)), count) for limit, count in zip(WITHIN, tally.within, strict=True)]
        took.add_metric(labels, [*buckets, ("+Inf", tally.count)], tally.seconds)
    yield from (ended, took)


def _bots(there: Iterable[OpenBots]) -> Iterator[Metric]:
    counts: Counter[tuple[str, ...]] = Counter()
    for row in there:
        counts[row.shown, market_of(row.connector).account_type.value] += row.count
    yield _gauge("panel_bots", "Bots on servers, by state and account type.", ("state", "account_type"), counts)
    expected: dict[tuple[str, ...], float] = {}
    quoting: dict[tuple[str, ...], float] = {}
    for count in count_quoting(there):
        label = (count.account_type.value,)
        expected[label], quoting[label] = count.expected, count.quoting
    yield _gauge("panel_bots_expected_to_quote", "Bots that should quote.", ("account_type",), expected)
    yield _gauge("panel_bots_quoting", "Bots that quote both sides.", ("account_type",), quoting)


def _gauge(name: str, says: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> GaugeMetricFamily:
    """Args:
    values: by the values of the labels.
    """
    found = GaugeMetricFamily(name, says, labels=labels)
    for key, value in sorted(values.items()):
        found.add_metric(key, value)
    return found


def _by_label(rows: Iterable[tuple[str, int]]) -> dict[tuple[str, ...], float]:
    return {(label,): count for label, count in rows}
