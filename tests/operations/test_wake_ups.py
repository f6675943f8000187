"""How a worker is woken up."""

from datetime import timedelta
from threading import BoundedSemaphore

import pytest
from django.utils import timezone
from huey import SqliteHuey
from huey.contrib.djhuey import HUEY

from bots.tasks import poll_fleet, poll_performance
from operations import runner, tasks
from operations.models import Operation, State, WorkerHeartbeat
from tests.operations.test_runner import claim, done, let_time_pass

#: What a worker does when it is woken up.
wake_up = tasks.run_operation.call_local


def state(operation: Operation) -> str:
    operation.refresh_from_db()
    return operation.state


@pytest.fixture
def enqueued(monkeypatch) -> list[int]:
    """The operations that were enqueued; none of them is run."""
    enqueued: list[int] = []
    monkeypatch.setattr(tasks, "run_operation", enqueued.append)
    return enqueued


def test_abandoned_operations_are_enqueued_again(make_kind, request_operation, enqueued):
    for number in range(4):
        make_kind(f"test{number}", lock=f"lock{number}", one=done)
    queued, left_behind, worked_on, ended = (request_operation(f"test{number}") for number in range(4))
    claim(left_behind)
    let_time_pass(left_behind, 300)
    claim(worked_on)
    Operation.objects.filter(pk=ended.pk).update(state=State.FAILED)
    enqueued.clear()
    tasks.enqueue_claimable.call_local()
    assert enqueued == [left_behind.pk, queued.pk]  # what has begun first


def test_each_recovery_writes_a_heartbeat_and_prunes_old_workers(db, enqueued):
    WorkerHeartbeat.objects.create(worker="gone", last_seen_at=timezone.now() - timedelta(hours=2))
    tasks.enqueue_claimable.call_local()
    tasks.enqueue_claimable.call_local()
    (heartbeat,) = WorkerHeartbeat.objects.all()
    assert heartbeat.worker == runner.worker_name()
    assert timezone.now() - heartbeat.last_seen_at < timedelta(seconds=5)


def test_a_worker_goes_on_with_what_nobody_works_on_until_nothing_is_left(make_kind, request_operation, enqueued):
    for name in ("first", "next", "later"):
        make_kind(name, lock=name, concurrency_group="server:1", one=done)
    operations = [request_operation(name) for name in ("first", "next", "later")]
    wake_up(operations[0].pk)
    assert {state(operation) for operation in operations} == {State.SUCCEEDED}


def test_operations_of_a_full_concurrency_group_do_not_block_others(make_kind, request_operation, enqueued, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    groups = {"hangs": "server:1", "waits": "server:1", "first": "server:2", "elsewhere": "server:3"}
    for name, concurrency_group in groups.items():
        make_kind(name, lock=name, concurrency_group=concurrency_group, one=done)
    operations = {name: request_operation(name) for name in groups}
    claim(operations["hangs"])
    wake_up(operations["first"].pk)
    assert [state(operation) for operation in operations.values()] == [
        State.RUNNING,
        State.QUEUED,
        State.SUCCEEDED,
        State.SUCCEEDED,
    ]


def test_a_backlog_is_not_enqueued_again_and_again(make_kind, request_operation, enqueued):
    for number in range(3 * tasks.THREADS):
        make_kind(f"test{number}", lock=f"lock{number}", one=done)
        request_operation(f"test{number}")
    enqueued.clear()
    tasks.enqueue_claimable.call_local()
    assert len(enqueued) == tasks.THREADS


@pytest.fixture
def all_busy(monkeypatch) -> BoundedSemaphore:
    """All threads but those that are reserved work on operations."""
    slots = BoundedSemaphore(1)
    slots.acquire()
    monkeypatch.setattr(tasks, "_slots", slots)
    return slots


def test_some_threads_are_reserved_for_polling_the_fleet(make_kind, request_operation, enqueued, all_busy):
    make_kind("waits", lock="waits", one=done)
    operation = request_operation("waits")
    wake_up(operation.pk)
    assert state(operation) == State.QUEUED
    all_busy.release()
    wake_up(operation.pk)
    assert state(operation) == State.SUCCEEDED


def test_an_urgent_operation_has_a_thread_when_all_others_are_busy(make_kind, request_operation, enqueued, all_busy):
    make_kind("routine", lock="routine", one=done)
    routine = request_operation("routine")
    type(make_kind("stop", lock="stop", one=done)).urgent = True
    urgent = request_operation("stop")
    wake_up(urgent.pk)
    assert [state(urgent), state(routine)] == [State.SUCCEEDED, State.QUEUED]


def test_wake_ups_and_recovery_run_before_queued_polls(tmp_path):
    queue = SqliteHuey(filename=str(tmp_path / "queue.sqlite3"))
    queue._registry = HUEY._registry
    looks = [poll_fleet.s(), poll_performance.s()]
    for task in (*looks, tasks.run_operation.s(3), tasks.enqueue_claimable.s()):
        queue.enqueue(task)
    taken = [queue.storage.dequeue() for _ in range(4)]
    assert [b"poll" in task for task in taken] == [False, False, True, True]


def test_a_wake_up_for_a_claimed_operation_changes_nothing_about_it(make_kind, request_operation, enqueued):
    make_kind("first", one=done)
    first = request_operation("first")
    claim(first, "another")
    wake_up(first.pk)
    first.refresh_from_db()
    assert (first.state, first.worker) == (State.RUNNING, "another")
