"""Periodic tasks: recovery within a minute, and pruning."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.module_loading import import_string
from huey.contrib.djhuey import HUEY

from controlpanel.tasks import prune_sessions
from core.schedule import SCHEDULE, Job
from notifications.models import Incident
from operations import runner, tasks
from operations.models import JobStart, Operation, State, Step, queries


@pytest.mark.parametrize(
    "task",
    [
        "operations.tasks.enqueue_claimable",
        "bots.tasks.poll_fleet",
        "notifications.tasks.detect_and_notify",
        "json_api.tasks.detect_and_send",
    ],
)
def test_what_runs_every_20_seconds_is_started_once_a_minute(task, monkeypatch):
    (job,) = [job for job in SCHEDULE if job.task == task]
    planned = []
    monkeypatch.setattr(import_string(task), "schedule", lambda delay: planned.append(delay))
    job.start()
    assert planned == [0, 20, 40]
    assert all(job.starts_at(datetime(2026, 1, 1, 3, minute)) for minute in range(60))


@pytest.mark.parametrize("job", SCHEDULE, ids=[job.name for job in SCHEDULE])
def test_every_job_of_the_schedule_is_a_task_that_the_queue_starts_by_the_clock(job, monkeypatch):
    assert hasattr(import_string(job.task), "call_local")
    assert f"start_{job.task.replace('.', '_')}" in {task.name for task in HUEY._registry.periodic_tasks}
    starts = [minute for minute in range(24 * 60) if job.starts_at(datetime(2026, 1, 1, *divmod(minute, 60)))]
    assert len(starts) == (1 if job.daily_at else 24 * 60 * 60 // max(60, job.every))


@pytest.fixture
def started(db, monkeypatch) -> list[Job]:
    """The jobs that were started."""
    started: list[Job] = []
    monkeypatch.setattr(Job, "start", lambda self: started.append(self))
    return started


OFTEN = Job(name="often", task="operations.tasks.enqueue_claimable", every=20)
DAILY = Job(name="daily", task="operations.tasks.prune_old", daily_at=time(3, 30))


def let_pass(**time: float) -> None:
    JobStart.objects.update(started_at=timezone.now() - timedelta(**time))


def test_a_job_is_started_by_one_of_many_workers_each_time(started):
    for _ in range(3):
        tasks._start_once(OFTEN)
    assert started == [OFTEN]
    let_pass(seconds=60)
    for _ in range(3):
        tasks._start_once(OFTEN)
    assert started == [OFTEN, OFTEN]


@pytest.mark.parametrize(
    ("job", "late", "starts"),
    [
        (OFTEN, {"seconds": 25}, 1),
        (OFTEN, {"seconds": 35}, 2),
        (OFTEN, {"hours": 2}, 2),
        (DAILY, {"hours": 5}, 1),
        (DAILY, {"hours": 24}, 2),
    ],
)
def test_a_timer_that_is_late_is_not_another_start(job, late, starts, started):
    tasks._start_once(job)
    let_pass(**late)
    tasks._start_once(job)
    assert len(started) == starts


def test_a_worker_that_starts_does_not_wait_a_minute_for_what_happens_every_few_seconds(started, monkeypatch):
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    for _ in range(3):  # its threads
        tasks.start_frequent_jobs()
    assert started == [job for job in SCHEDULE if 0 < job.every < 60]
    assert {job.task for job in started} >= {"bots.tasks.look_for_waiting", "operations.tasks.enqueue_claimable"}


# --- forgetting ---


@pytest.fixture
def ended(make_kind: Callable[..., Any], request_operation: Callable[..., Operation]) -> Callable[..., Operation]:
    """An operation that ended so many days ago, with a step."""

    def ended(days: int, kind: str = "test", state: State = State.SUCCEEDED) -> Operation:
        make_kind(kind, one=lambda run: "done")
        operation = request_operation(kind)
        assert runner.run(operation.pk)
        Operation.objects.filter(pk=operation.pk).update(state=state, finished_at=timezone.now() - timedelta(days=days))
        return operation

    return ended


def test_old_operations_are_pruned_with_their_steps(ended, settings, monkeypatch):
    monkeypatch.setattr(queries, "PRUNE_BATCH", 2)
    settings.OPERATIONS_KEPT_DAYS = 30
    for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        ended(31, state=state)
    kept = [ended(29), ended(31)]  # the last of its kind on its subject
    tasks.prune_old.call_local()
    assert [*Operation.objects.order_by("pk")] == kept
    assert {step.operation for step in Step.objects.all()} == {*kept}


def test_the_last_of_each_kind_is_kept_however_old(ended, settings):
    settings.OPERATIONS_KEPT_DAYS = 30
    kept = {ended(400, kind) for kind in ("one", "two")}
    tasks.prune_old.call_local()
    assert {*Operation.objects.all()} == kept


def test_so_is_the_last_that_was_not_cancelled(ended, settings):
    settings.OPERATIONS_KEPT_DAYS = 30
    ended(400, state=State.CANCELLED)
    kept = [ended(400, state=State.FAILED)]
    ended(400, state=State.CANCELLED)
    kept.append(ended(400, state=State.CANCELLED))
    tasks.prune_old.call_local()
    assert [*Operation.objects.order_by("pk")] == kept


def test_nothing_is_pruned_where_all_is_kept_or_what_has_not_ended(ended, settings):
    settings.OPERATIONS_KEPT_DAYS = 30
    ended(400, state=State.RUNNING)
    Operation.objects.update(lock="another")
    ended(0)
    tasks.prune_old.call_local()
    assert Operation.objects.count() == 2
    Operation.objects.update(state=State.SUCCEEDED)
    settings.OPERATIONS_KEPT_DAYS = 0
    tasks.prune_old.call_local()
    assert Operation.objects.count() == 2


def test_what_a_deployment_or_an_incident_refers_to_is_kept(ended, settings, bot):
    settings.OPERATIONS_KEPT_DAYS = 30
    of_a_deployment, of_an_incident, forgotten, last = ended(400), ended(400), ended(400), ended(400)
    deployment = bot.plan_deployment()
    deployment.operation = of_a_deployment
    deployment.save()
    facts = {"subject": bot, "server": bot.server, "seen_at": timezone.now()}
    Incident.objects.create(kind="operation_failed", operation=of_an_incident, **facts)
    assert last.retry_of is None
    Operation.objects.filter(pk=last.pk).update(retry_of=forgotten)  # which alone keeps nothing
    tasks.prune_old.call_local()
    assert {*Operation.objects.all()} == {of_a_deployment, of_an_incident, last}


def test_ended_sessions_are_pruned(db):
    for key, days in (("ended", -1), ("lives", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(days=days))
    prune_sessions.call_local()
    assert [session.session_key for session in Session.objects.all()] == ["lives"]


def test_failed_sign_ins_that_count_no_longer_are_pruned(db):
    for name, minutes in (("old", 20), ("recent", 5)):
        attempt = AccessAttempt.objects.create(username=name, failures_since_start=1)
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=timezone.now() - timedelta(minutes=minutes))
    prune_sessions.call_local()
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == ["recent"]
