"""``/metrics``: what Prometheus reads, and that the dashboard, the alerts and the docs ask for what there is."""

import json
import re
from datetime import timedelta

import pytest
import yaml
from django.conf import settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import Server
from bots.models import OrphanedOrders
from notifications.kinds import IncidentKind
from notifications.models import Incident
from operations.models import Operation, OperationTally, State, WorkerHeartbeat
from operations.tasks import count_operations
from tests.conftest import count_queries

pytestmark = pytest.mark.django_db

TOKEN = "only-for-tests-metrics-token-1234"
DOCS = settings.BASE_DIR / "docs"
#: In which the values of labels stand here.
LABELS = ("type", "outcome", "state", "account_type", "server", "kind", "version", "database", "le")
METRIC = re.compile(r"\bpanel_[a-z_]+")


@pytest.fixture(autouse=True)
def token(settings):
    settings.METRICS_TOKEN = TOKEN


def scrape(client) -> dict[tuple[str, ...], float]:
    """The samples, by name and labels' values."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, *(s.labels[name] for name in LABELS if name in s.labels)): s.value for s in samples}


def ended(kind: str, state: State, seconds: float | None, subject) -> Operation:
    now = timezone.now()
    return Operation.objects.create(
        kind=kind, subject=subject, lock=f"x:{Operation.objects.count()}", state=state, finished_at=now,
        started_at=None if seconds is None else now - timedelta(seconds=seconds),
    )  # fmt: skip


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_nobody_reads_them_without_the_token(client, header):
    answer = client.get("/metrics", headers=header)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"panel_" not in answer.content and TOKEN not in answer.content.decode()


def test_without_a_token_in_the_environment_there_is_no_such_page(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_they_are_read_and_never_kept(client):
    answer = client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 405
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert "no-store" in answer["Cache-Control"] and answer["Content-Type"].startswith("text/plain")


def test_operations_are_counted_by_type_and_outcome_with_how_long_they_took(client, server):
    for seconds in (0.5, 4, 400):
        ended("check", State.SUCCEEDED, seconds, server)
    ended("check", State.FAILED, 3, server)
    ended("check", State.CANCELLED, None, server)
    count_operations.call_local()
    found = scrape(client)
    assert found["panel_operations_total", "check", "succeeded"] == 3
    assert found["panel_operations_total", "check", "failed"] == 1
    assert found["panel_operations_total", "check", "cancelled"] == 1
    took = "panel_operation_duration_seconds"
    buckets = {limit: found[f"{took}_bucket", "check", "succeeded", limit] for limit in ("1.0", "5.0", "300.0", "+Inf")}
    assert buckets == {"1.0": 1, "5.0": 2, "300.0": 2, "+Inf": 3}
    assert found[f"{took}_sum", "check", "succeeded"] == pytest.approx(404.5, abs=0.1)


def test_an_operation_is_counted_once_and_its_count_outlives_it(client, server, monkeypatch):
    monkeypatch.setattr("operations.models.tally.PORTION", 2)
    monkeypatch.setattr("operations.tasks.PORTION", 2)
    for _ in range(5):
        ended("check", State.SUCCEEDED, 1, server)
    active = Operation.objects.create(kind="check", subject=server, lock="y", state=State.RUNNING)
    count_operations.call_local()
    count_operations.call_local()
    assert OperationTally.objects.get().count == 5
    Operation.objects.exclude(pk=active.pk).delete()
    Operation.objects.update(state=State.SUCCEEDED, started_at=timezone.now(), finished_at=timezone.now())
    count_operations.call_local()
    assert scrape(client)["panel_operations_total", "check", "succeeded"] == 6


def test_what_has_not_ended_is_counted_by_what_it_does_and_the_oldest_in_the_queue_by_its_age(client, server):
    now = timezone.now()
    for number, facts in enumerate(
        [
            {"state": State.QUEUED, "requested_at": now - timedelta(seconds=90)},
            {"state": State.QUEUED},
            {"state": State.RUNNING},
            {"state": State.RUNNING, "wake_at": now},
        ]
    ):
        Operation.objects.create(kind="check", subject=server, lock=f"x:{number}", **facts)
    found = scrape(client)
    states = {state: found["panel_operations_active", state] for state in ("queued", "acting", "waiting")}
    assert states == {"queued": 2, "acting": 1, "waiting": 1}
    assert found["panel_operation_queued_seconds",] == pytest.approx(90, abs=5)


def test_workers_servers_bots_orders_and_incidents_are_there(client, bot, server, deployed):
    deployment = deployed(bot)
    OrphanedOrders.objects.create(deployment=deployment, reason="It died.")
    now = timezone.now()
    WorkerHeartbeat.objects.create(worker="one", last_seen_at=now)
    WorkerHeartbeat.objects.create(worker="lost", last_seen_at=now - timedelta(minutes=5))
    Server.objects.update(reachable=True, latency_ms=23, checked_at=now - timedelta(seconds=30))
    Incident.objects.create(
        kind=IncidentKind.BOT_CRASHED, subject=bot, client=bot.client, server=server, seen_at=now, opened_at=now
    )
    found = scrape(client)
    assert found["panel_workers",] == 1
    assert found["panel_server_reachable", server.name] == 1
    assert found["panel_server_latency_seconds", server.name] == 0.023
    assert found["panel_server_poll_age_seconds", server.name] == pytest.approx(30, abs=5)
    assert found["panel_bots", "running", "live"] == 1
    assert found["panel_bots_expected_to_quote", "live"] == 1
    assert found["panel_bots_quoting", "live"] == 0
    assert found["panel_orders_unaccounted",] == 1
    assert found["panel_incidents_open", "bot_crashed"] == 1


def test_they_take_as_many_queries_for_many_rows_as_for_few(client, bot, make_bot, server, deployed):
    deployed(bot)
    ended("check", State.SUCCEEDED, 1, server)
    count_operations.call_local()
    few = count_queries(lambda: scrape(client))
    for number in range(5):
        deployed(make_bot(name=f"Bot {number}"))
        ended(("stop", "deploy")[number % 2], State.FAILED, 1, bot)
        Server.objects.create(name=f"Server {number}", base_url=f"http://10.0.0.{number}:8000", password="x")
    count_operations.call_local()
    assert count_queries(lambda: scrape(client)) == few


def names_of(samples: dict[tuple[str, ...], float]) -> set[str]:
    return {re.sub("_(bucket|sum|count)$", "", name) for name, *_ in samples}


@pytest.fixture
def every_name(client, bot, server, deployed) -> set[str]:
    """The names of all metrics, of a panel that has one of each."""
    test_workers_servers_bots_orders_and_incidents_are_there(client, bot, server, deployed)
    ended("check", State.SUCCEEDED, 1, server)
    count_operations.call_local()
    return names_of(scrape(client))


def test_the_docs_list_each_metric_and_no_other(every_name):
    rows = [row for row in (DOCS / "observability.md").read_text().splitlines() if row.startswith("| `panel_")]
    assert {name for row in rows for name in METRIC.findall(row.split("|")[1])} == every_name


def test_the_dashboard_shows_each_metric_and_asks_for_no_other(every_name):
    board = json.loads((DOCS / "examples" / "grafana-dashboard.json").read_text())
    targets = [target for panel in board["panels"] for target in panel["targets"]]
    asked = {name for target in targets for name in METRIC.findall(target["expr"])}
    assert {re.sub("_bucket$", "", name) for name in asked} == every_name


def test_no_panel_of_the_dashboard_lies_over_another_and_each_reads_the_chosen_source():
    board = json.loads((DOCS / "examples" / "grafana-dashboard.json").read_text())
    cells = [
        (place["x"] + dx, place["y"] + dy)
        for place in (panel["gridPos"] for panel in board["panels"])
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    (source,) = board["templating"]["list"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {f"${{{source['name']}}}"}


def test_the_alerts_ask_for_what_there_is(every_name):
    (group,) = yaml.safe_load((DOCS / "examples" / "prometheus-alerts.yml").read_text())["groups"]
    asked = {name for rule in group["rules"] for name in METRIC.findall(rule["expr"])}
    assert asked and asked <= every_name
    assert all(rule["annotations"]["summary"].endswith(".") for rule in group["rules"])
