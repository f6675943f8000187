"""The wake-ups of workers."""

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
answer_the_bell = tasks.run_operation.call_local


@pytest.fixture
def rung(monkeypatch) -> list[int]:
    """The operations that were enqueued; none of them is run."""
    rung: list[int] = []
    monkeypatch.setattr(tasks, "run_operation", rung.append)
    return rung


def test_abandoned_operations_are_enqueued_again(make_kind, request_operation, rung):
    for number in range(4):
        make_kind(f"test{number}", lock=f"lock{number}", one=done)
    queued, left_behind, worked_on, ended = (request_operation(f"test{number}") for number in range(4))
    claim(left_behind)
    let_time_pass(left_behind, 300)
    claim(worked_on)
    Operation.objects.filter(pk=ended.pk).update(state=State.FAILED)
    rung.clear()
    tasks.enqueue_claimable.call_local()
    assert rung == [queued.pk, left_behind.pk]


def test_each_recovery_writes_a_heartbeat_and_prunes_old_workers(db, rung):
    WorkerHeartbeat.objects.create(worker="gone", last_seen_at=timezone.now() - timedelta(hours=2))
    tasks.enqueue_claimable.call_local()
    tasks.enqueue_claimable.call_local()
    (heartbeat,) = WorkerHeartbeat.objects.all()
    assert heartbeat.worker == runner.worker_name()
    assert timezone.now() - heartbeat.last_seen_at < timedelta(seconds=5)


def test_the_end_of_an_operation_enqueues_the_next_in_its_group_and_overall(make_kind, request_operation, rung):
    lanes = {"first": "server:1", "elsewhere": "server:2", "next": "server:1", "later": "server:1"}
    for name, concurrency_group in lanes.items():
        make_kind(name, lock=name, concurrency_group=concurrency_group, one=done)
    operations = {name: request_operation(name) for name in lanes}
    rung.clear()
    answer_the_bell(operations["first"].pk)
    assert set(rung) == {operations["next"].pk, operations["elsewhere"].pk}


def test_operations_of_a_full_concurrency_group_do_not_block_others(make_kind, request_operation, rung, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    lanes = {"hangs": "server:1", "waits": "server:1", "first": "server:2", "elsewhere": "server:3"}
    for name, concurrency_group in lanes.items():
        make_kind(name, lock=name, concurrency_group=concurrency_group, one=done)
    operations = {name: request_operation(name) for name in lanes}
    claim(operations["hangs"])
    rung.clear()
    answer_the_bell(operations["first"].pk)
    assert rung == [operations["elsewhere"].pk]


def test_some_threads_are_reserved_for_polling_the_fleet(make_kind, request_operation, rung, monkeypatch):
    monkeypatch.setattr(tasks, "_slots", BoundedSemaphore(1))
    make_kind("waits", lock="waits", one=done)
    operation = request_operation("waits")
    tasks._slots.acquire()
    answer_the_bell(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.QUEUED
    tasks._slots.release()
    answer_the_bell(operation.pk)
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


def test_a_wake_up_for_a_claimed_operation_enqueues_nothing_else(make_kind, request_operation, rung):
    for name in ("first", "next"):
        make_kind(name, lock=name, concurrency_group="server:1", one=done)
    first = request_operation("first")
    request_operation("next")
    claim(first)
    rung.clear()
    answer_the_bell(first.pk)
    assert rung == []
