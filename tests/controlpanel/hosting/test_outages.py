"""A queue or a database that is out of reach is polled after growing waits, and logged once a minute."""

import logging
from threading import Event, Thread
from types import SimpleNamespace

import psycopg
import pytest
import redis
from django.db import OperationalError
from huey import MemoryHuey
from huey.consumer import Scheduler, Worker

from controlpanel import queue as queues
from controlpanel.environment import database, queue
from controlpanel.queue import BackoffQueue

PASSWORD = "p%40ss-hunted"


class MemoryQueue(BackoffQueue, MemoryHuey):
    """A queue that fails with an error as long as it has one."""

    error: Exception | None = None
    asked = 0

    def fail(self, *args):
        self.asked += 1
        raise self.error

    def out_of_reach(self, error: Exception) -> None:
        self.error = error
        self.storage.dequeue = self.storage.read_schedule = self.storage.enqueue = self.fail

    def back(self) -> None:
        del self.storage.dequeue, self.storage.read_schedule, self.storage.enqueue


@pytest.fixture
def huey(settings) -> MemoryQueue:
    return MemoryQueue("panel", serializer=settings.HUEY["serializer"], results=False)


def consume(huey: MemoryQueue, seconds: float) -> None:
    """As 12 threads of the consumer do, and its scheduler, with the panel's own settings."""
    consumer = huey.create_consumer(workers=12, max_delay=0.5)
    threads = [thread for _, thread in consumer.worker_threads] + [consumer.scheduler]
    for thread in threads:
        thread.start()
    Event().wait(seconds)
    consumer.stop_flag.set()
    for thread in threads:
        thread.join(2)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("connection refused"),
        redis.ConnectionError("Error 111 connecting"),
        OSError(28, "No space left on device"),
        psycopg.errors.ReadOnlySqlTransaction("cannot execute DELETE in a read-only transaction"),
    ],
)
def test_an_outage_is_one_line_and_few_questions(error, huey, console):
    huey.out_of_reach(error)
    consume(huey, 3)
    [line] = console.getvalue().splitlines()
    assert "WARNING" in line and "The queue is unreachable" in line and str(error.args[-1]) in line
    # 13 threads, each after 0, 0.5, 1 and 2 s.
    assert huey.asked <= 13 * 4


def test_its_end_is_a_line_and_what_waits_is_taken(huey, console):
    taken = Event()
    enqueue = huey.task()(lambda: taken.set())
    huey.out_of_reach(redis.ConnectionError("gone"))
    thread = Thread(target=consume, args=(huey, 2))
    thread.start()
    Event().wait(0.7)
    huey.back()
    enqueue()
    thread.join()
    assert taken.is_set()
    first, last = console.getvalue().splitlines()
    assert "unreachable" in first and "The queue responds again" in last


def test_an_outage_that_lasts_is_named_once_a_minute(huey, console, monkeypatch):
    now = 1000.0
    # Only this module's clock: the sandbox's event loop in the same process would wait for a time far ahead.
    monkeypatch.setattr(queues, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(huey, "_stop", type("Stop", (), {"wait": lambda self, seconds: waited.append(seconds)})())
    waited: list[float] = []
    huey.out_of_reach(redis.ConnectionError("gone"))
    for _ in range(130):
        assert huey.dequeue() is None
        now += waited[-1]
    assert len(console.getvalue().splitlines()) == pytest.approx(sum(waited) / 60, abs=2)
    assert waited[0] == pytest.approx(0.5) and max(waited) == queues.MAX_WAIT


def test_a_certificate_that_is_not_trusted_names_its_setting_and_no_password(huey, console, monkeypatch):
    monkeypatch.setenv("QUEUE_URL", f"rediss://:{PASSWORD}@queue.example.com:6380/0")
    huey.out_of_reach(
        redis.ConnectionError(
            "Error 1 connecting to rediss://:p@ss-hunted@queue.example.com:6380. [SSL: CERTIFICATE_VERIFY_FAILED] "
            "certificate verify failed: self-signed certificate (_ssl.c:1032)."
        )
    )
    consume(huey, 0.2)
    [line] = console.getvalue().splitlines()
    assert "ssl_cert_reqs=none" in line and "ssl_ca_certs" in line and "QUEUE_URL" in line
    assert "hunted" not in line


def test_a_fault_of_a_task_is_no_outage(huey, console):
    huey.task()(lambda: 1 / 0)()
    Worker(huey, Event(), default_delay=0, max_delay=0, backoff=1).loop()
    assert "ZeroDivisionError" in console.getvalue() and "unreachable" not in console.getvalue()


def test_a_periodic_task_that_cannot_be_enqueued_adds_no_line(huey, console):
    for number in range(3):
        huey.periodic_task(lambda now: True, name=f"task {number}")(lambda: None)
    huey.out_of_reach(psycopg.OperationalError("connection refused"))
    scheduler = Scheduler(huey, Event(), 1, True)
    scheduler.loop()
    [line] = console.getvalue().splitlines()
    assert "The queue is unreachable" in line and "connection refused" in line


@pytest.mark.parametrize("url", ["", "redis://host:6379/0", "rediss://host:6379/0"])
def test_every_queue_of_production_is_patient(url, monkeypatch, settings):
    from django.utils.module_loading import import_string

    monkeypatch.setenv("QUEUE_URL", url)
    for engine in ("postgresql", "sqlite3"):
        found = queue({"ENGINE": f"django.db.backends.{engine}", "NAME": "panel"})
        assert issubclass(import_string(found["huey_class"]), BackoffQueue)


# --- connections to the database ---


@pytest.mark.parametrize(
    ("query", "age", "checks"),
    [
        ("", 60, True),
        ("?conn_max_age=0", 0, True),
        ("?conn_max_age=300&sslmode=require", 300, True),
        ("?CONN_MAX_AGE=0&conn_health_checks=False", 0, False),
        ("?conn_max_age=None", None, True),
    ],
)
def test_what_the_address_says_of_connections_is_respected(query, age, checks, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"postgres://panel:{PASSWORD}@db.example.com/panel{query}")
    found = database()
    assert (found["CONN_MAX_AGE"], found["CONN_HEALTH_CHECKS"]) == (age, checks)


@pytest.mark.parametrize("logger", ["operations.runner", "operations.services"])
def test_an_operation_that_meets_an_outage_is_a_line(logger, console):
    error = OperationalError("the database system is shutting down")
    logging.getLogger(logger).error("operation %s met an unexpected error", 7, exc_info=error)
    [line] = console.getvalue().splitlines()
    assert "operation 7 met" in line and "shutting down" in line


def test_the_log_of_the_worker_has_a_line_for_a_task_that_met_an_outage(huey, console):
    def meet() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    huey.task()(meet)()
    Worker(huey, Event(), default_delay=0, max_delay=0, backoff=1).loop()
    [line] = console.getvalue().splitlines()
    assert "server closed the connection" in line
    assert logging.getLogger("huey").handlers
