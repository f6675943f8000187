"""How a worker is woken up."""

from datetime import timedelta
from threading import BoundedSemaphore

import pytest
from django.utils import timezone
from huey import SqliteHuey
from huey.contrib.djhuey import HUEY

from bots.tasks import poll
from operations import runner, tasks
from operations.models import Operation, State, WorkerHeartbeat
from tests.operations.test_runner import claim, done, let_time_pass

#: What a worker does when it is woken up.
wake_up = tasks.run_operation.call_local


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
    assert enqueued == [queued.pk, left_behind.pk]


def test_each_recovery_writes_a_heartbeat_and_prunes_old_workers(db, enqueued):
    WorkerHeartbeat.objects.create(worker="gone", last_seen_at=timezone.now() - timedelta(hours=2))
    tasks.enqueue_claimable.call_local()
    tasks.enqueue_claimable.call_local()
    (heartbeat,) = WorkerHeartbeat.objects.all()
    assert heartbeat.worker == runner.worker_name()
    assert timezone.now() - heartbeat.last_seen_at < timedelta(seconds=5)


def test_the_end_of_an_operation_enqueues_the_next_in_its_group_and_overall(make_kind, request_operation, enqueued):
    groups = {"first": "server:1", "elsewhere": "server:2", "next": "server:1", "later": "server:1"}
    for name, concurrency_group in groups.items():
        make_kind(name, lock=name, concurrency_group=concurrency_group, one=done)
    operations = {name: request_operation(name) for name in groups}
    enqueued.clear()
    wake_up(operations["first"].pk)
    assert set(enqueued) == {operations["next"].pk, operations["elsewhere"].pk}


def test_operations_of_a_full_concurrency_group_do_not_block_others(make_kind, request_operation, enqueued, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    groups = {"hangs": "server:1", "waits": "server:1", "first": "server:2", "elsewhere": "server:3"}
    for name, concurrency_group in groups.items():
        make_kind(name, lock=name, concurrency_group=concurrency_group, one=done)
    operations = {name: request_operation(name) for name in groups}
    claim(operations["hangs"])
    enqueued.clear()
    wake_up(operations["first"].pk)
    assert enqueued == [operations["elsewhere"].pk]


def test_some_threads_are_reserved_for_polling_the_fleet(make_kind, request_operation, enqueued, monkeypatch):
    monkeypatch.setattr(tasks, "_slots", BoundedSemaphore(1))
    make_kind("waits", lock="waits", one=done)
    operation = request_operation("waits")
    tasks._slots.acquire()
    wake_up(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.QUEUED
    tasks._slots.release()
    wake_up(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED


def test_wake_ups_and_recovery_run_before_queued_polls(tmp_path):
    queue = SqliteHuey(filename=str(tmp_path / "queue.sqlite3"))
    queue._registry = HUEY._registry
    looks = [poll.s(1), poll.s(2)]
    for task in (*looks, tasks.run_operation.s(3), tasks.enqueue_claimable.s()):
        queue.enqueue(task)
    taken = [queue.storage.dequeue() for _ in range(4)]
    assert [b"poll" in task for task in taken] == [False, False, True, True]


def test_a_wake_up_for_a_claimed_operation_enqueues_nothing_else(make_kind, request_operation, enqueued):
    for name in ("first", "next"):
        make_kind(name, lock=name, concurrency_group="server:1", one=done)
    first = request_operation("first")
    request_operation("next")
    claim(first)
    enqueued.clear()
    wake_up(first.pk)
    assert enqueued == []
