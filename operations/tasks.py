"""The queue's side of operations: a wake-up per operation, and a recovery every 20 seconds for those that got lost."""

from datetime import timedelta
from threading import BoundedSemaphore

from django.conf import settings
from django.utils import timezone
from huey.contrib.djhuey import db_task

from operations import runner
from operations.models import Batch, Operation, State, WorkerHeartbeat

#: Before tasks that only read: a stop must not wait behind polls of servers that don't answer.
FIRST = 100


#: Operations mostly wait, each in a thread. Some threads are reserved for polling the fleet and for recovery.
RESERVED_THREADS = 4
_slots = BoundedSemaphore(max(1, settings.HUEY["consumer"]["workers"] - RESERVED_THREADS))


@db_task(priority=FIRST)
def run_operation(operation_id: int) -> None:
    if not _slots.acquire(blocking=False):
        return  # the operation that frees a slot enqueues the next one
    try:
        taken = runner.run(operation_id)
    finally:
        _slots.release()
    if taken:
        enqueue_next(operation_id)


def enqueue_next(operation_id: int) -> None:
    """Enqueue what can follow an ended operation: one that supersedes it, the oldest of its group, and the oldest of
    all.
    """
    concurrency_group = Operation.objects.filter(pk=operation_id).values("concurrency_group")
    with_room = Operation.objects.filter(state=State.QUEUED).claimable().in_groups_with_capacity()
    queued = with_room.order_by("pk").values_list("pk", flat=True)
    successors = Operation.objects.filter(waits_for=operation_id).values_list("pk", flat=True)
    for pk in {*successors, *queued.filter(concurrency_group__in=concurrency_group)[:1], *queued[:1]}:
        run_operation(pk)


@db_task(priority=FIRST)
def enqueue_claimable() -> None:
    """Enqueue what no worker runs, after lost wake-ups, expired leases, and full concurrency groups."""
    now = timezone.now()
    WorkerHeartbeat.objects.update_or_create(worker=runner.worker_name(), defaults={"last_seen_at": now})
    WorkerHeartbeat.objects.filter(last_seen_at__lt=now - timedelta(hours=1)).delete()
    for pk in Operation.objects.claimable().order_by("pk").values_list("pk", flat=True):
        run_operation(pk)


@db_task()
def prune_old() -> None:
    if days := settings.OPERATIONS_KEPT_DAYS:
        before = timezone.now() - timedelta(days=days)
        Operation.objects.prune(before)
        Batch.objects.prune(before)
