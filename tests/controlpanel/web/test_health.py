"""Health checks: whether the panel is alive, and whether it is ready."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from controlpanel.web import health
from operations.models import WorkerHeartbeat


def report_alive(seconds_ago: float) -> None:
    moment = timezone.now() - timedelta(seconds=seconds_ago)
    WorkerHeartbeat.objects.update_or_create(worker="w", defaults={"last_seen_at": moment})


def test_alive_needs_neither_sign_in_nor_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert "no-store" in response["Cache-Control"]


def test_ready_needs_a_worker_that_responded_recently(client, db):
    assert client.get("/readyz").status_code == 503
    report_alive(WorkerHeartbeat.UNRESPONSIVE + 5)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["worker"]) == (503, False)
    report_alive(5)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ready", "database": True, "queue": True, "worker": True, "keys": True},
    )


@pytest.mark.parametrize("part", ["database", "queue"])
def test_what_fails_is_named_without_a_detail_and_the_log_says_why_without_a_password(
    part, client, db, monkeypatch, caplog
):
    def fail() -> bool:
        raise ConnectionError("host=db.example.com password=hunted, redis://:so%20is%20this@queue.example.com")

    report_alive(5)
    monkeypatch.setattr(health, f"_{part}", fail)
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "hunted")
    monkeypatch.setenv("QUEUE_URL", "redis://:so%20is%20this@queue.example.com")
    response = client.get("/readyz")
    assert (response.status_code, response.json()[part]) == (503, False)
    assert "example" not in response.content.decode()
    (output,) = [record.getMessage() for record in caplog.records if record.name == "controlpanel.web.health"]
    assert f"the {part} does not respond" in output and "db.example.com" in output and "in fail" in output
    assert "hunted" not in caplog.text and "so%20is%20this" not in caplog.text


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_the_answer_to_head_has_no_body(page, client, db):
    """Of which the web server would warn, once for every probe. Django's client drops it."""
    report_alive(5)
    answer = health.ProbeMiddleware(lambda request: HttpResponse())(RequestFactory().head(page))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_health_checks_accept_only_reads(page, client, db):
    assert client.post(page).status_code == 405


def test_ready_needs_a_database_that_takes_writes(client, db):
    report_alive(5)
    with connection.cursor() as cursor:
        read_only = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY"}
        cursor.execute(read_only[connection.vendor])
    try:
        response = client.get("/readyz")
    finally:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA query_only = OFF")
    assert (response.status_code, response.json()["database"]) == (503, False)
    assert response.json()["worker"] is True
