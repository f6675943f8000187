"""The queue's side of operations: a wake-up per operation, a recovery every 20 seconds for those that got lost, and the
timer of all that happens by the clock.

A wake-up only says that there is something to do. A thread that is woken works on that operation, and then on whatever
else nobody works on, in the order of ``OperationQuerySet.by_turn``, until there is nothing left.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from threading import BoundedSemaphore

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from huey.contrib.djhuey import HUEY, db_periodic_task, db_task, on_startup

from core.schedule import SCHEDULE, SECONDS_IN_MINUTE, Job
from core.version import VERSION
from operations import runner
from operations.models import Batch, JobStart, Operation, OperationQuerySet, WorkerHeartbeat, count_ended
from operations.models.tally import PORTION

logger = logging.getLogger(__name__)

#: Before tasks that only read: a stop must not wait behind polls of servers that don't answer.
FIRST = 100

#: Threads for polling the fleet and for recovery.
RESERVED_THREADS = 4
#: Threads for urgent operations alone: all others may be held by servers that don't answer.
URGENT_THREADS = 2
THREADS = max(1, settings.HUEY["consumer"]["workers"] - RESERVED_THREADS - URGENT_THREADS)
_slots, _urgent_slots = BoundedSemaphore(THREADS), BoundedSemaphore(URGENT_THREADS)


@db_task(priority=FIRST)
def run_operation(operation_id: int) -> None:
    """Work on this operation, then on others. Without a free slot, a thread that has one gets to it."""
    if _slots.acquire(blocking=False):
        slot, candidates = _slots, Operation.objects.all()
    elif Operation.objects.filter(pk=operation_id, urgent=True).exists() and _urgent_slots.acquire(blocking=False):
        slot, candidates = _urgent_slots, Operation.objects.filter(urgent=True)
    else:
        return
    try:
        _work_on_any([operation_id])
        while _work_on_any(next_up(candidates)):
            pass
    finally:
        slot.release()


def _work_on_any(operations: Iterable[int]) -> bool:
    """Have a turn at the first of these that can be claimed; false when none can."""
    for operation_id in operations:
        if HUEY.immediate:  # in the terminal, nobody else gets to what waits
            if runner.run(operation_id):
                return True
            continue
        turn, pause = runner.take_turn(operation_id, enqueue=enqueue)
        if pause:
            _look_again(operation_id, pause)
        if turn is not runner.Turn.NOT_TAKEN:
            return True
    return False


def enqueue(operation_id: int) -> None:
    """Notify the workers of an operation. If a wake-up gets lost, recovery repeats it every 20 seconds."""
    try:
        run_operation(operation_id)
    except Exception:
        logger.exception("The queue could not be notified of operation %s. It will be enqueued again.", operation_id)


def _look_again(operation_id: int, pause: float) -> None:
    """Wake a worker when the operation has waited for so many seconds. A wake-up that is lost is repeated."""
    try:
        run_operation.schedule((operation_id,), delay=pause)
    except Exception:
        logger.exception("The queue could not be asked to wake operation %s. It will be enqueued again.", operation_id)


def next_up(candidates: OperationQuerySet) -> list[int]:
    """Return what a worker may take next: a few, because others take them at the same moment."""
    return list(candidates.claimable().in_groups_with_capacity().by_turn().values_list("pk", flat=True)[:THREADS])


def enqueue_due() -> None:
    """Enqueue what has waited long enough and was not woken."""
    for pk in next_up(Operation.objects.waiting()):
        run_operation(pk)


@db_task(priority=FIRST)
def enqueue_claimable() -> None:
    """Enqueue what no worker runs, after lost wake-ups, expired leases, and full concurrency groups."""
    now = timezone.now()
    seen = {"last_seen_at": now, "version": VERSION}
    WorkerHeartbeat.objects.update_or_create(worker=runner.worker_name(), defaults=seen)
    WorkerHeartbeat.objects.filter(last_seen_at__lt=now - timedelta(hours=1)).delete()
    for pk in next_up(Operation.objects.all()):
        run_operation(pk)


def wake_workers() -> None:
    """Have a worker enqueue what was submitted: one message, however much it is. Recovery repeats it if it is lost."""
    try:
        enqueue_claimable()
    except Exception:
        logger.exception("The queue could not be notified of a batch. Its operations will be enqueued again.")


def _start_once(job: Job) -> None:
    """Start a job of the schedule, unless the timer of another worker has just done so."""
    if JobStart.claim(job.task, job.interval):
        job.start()


for job in SCHEDULE:
    db_periodic_task(job.starts_at, name=f"start_{job.task.replace('.', '_')}")(partial(_start_once, job))


@on_startup()
def start_frequent_jobs() -> None:
    """Start what happens several times a minute: the timer's first minute may be most of a minute away.

    Called in each thread of a worker that starts. One of them starts the jobs, unless another worker just has.
    """
    try:
        for job in SCHEDULE:
            if 0 < job.every < SECONDS_IN_MINUTE:
                _start_once(job)
    finally:
        close_old_connections()


@db_task()
def count_operations() -> None:
    """Add what has ended to the sums. Most of the time that is a few."""
    while count_ended(Operation.objects.all()) == PORTION:
        pass


@db_task()
def prune_old() -> None:
    if days := settings.OPERATIONS_KEPT_DAYS:
        before = timezone.now() - timedelta(days=days)
        Operation.objects.prune(before)
        Batch.objects.prune(before)
