"""Asking for operations, cancelling and retrying them. What they do is in each app's ``operations.py``."""

import logging
from datetime import datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from hummingbot_api.text import truncate
from operations import kinds
from operations.models import MAX_LABEL, MAX_SUMMARY, Operation, State
from operations.problems import NotPossibleNow, OperationActive, SubjectGone

logger = logging.getLogger(__name__)

#: Operations that are deleted in one transaction.
PRUNE_BATCH = 500


def operation_request(
    *,
    kind: str,
    subject: models.Model,
    requested_by: Any = None,
    options: dict[str, Any] | None = None,
    retry_of: Operation | None = None,
    caused_by: Operation | None = None,
) -> Operation:
    """Write an operation down and ring for a worker once the surrounding transaction has committed.

    An active one on the same lock that the kind takes over from is asked to end, and this one follows it at once.

    Raises:
        OperationActive: another one on the same lock has not ended; nothing was written.
        Problem: the subject may not have this done to it, or the options leave open what the kind wants decided;
            nothing was written.
    """
    definition = kinds.get(kind)
    for problem in definition.blockers(subject, options or {}):
        # What was last seen may have changed: the steps look for themselves.
        if not isinstance(problem, NotPossibleNow):
            raise problem
    facts = {
        "kind": kind,
        "subject": subject,
        "subject_label": truncate(str(subject), MAX_LABEL),
        "connector": definition.connector(subject, options or {}),
        "lock": definition.lock(subject),
        "concurrency_group": definition.concurrency_group(subject),
        "options": options or {},
        "requested_by": requested_by,
        "retry_of": retry_of,
        "caused_by": caused_by,
    }
    operation = _create(facts, definition)
    transaction.on_commit(lambda: enqueue(operation.pk))
    return operation


def _create(facts: dict[str, Any], definition: kinds.OperationType) -> Operation:
    on_lock = Operation.objects.active().filter(lock=facts["lock"])
    if successor := on_lock.filter(waits_for__isnull=False).first():
        raise OperationActive(successor)
    try:
        with transaction.atomic():
            return Operation.objects.create(**facts)
    except IntegrityError:
        active = on_lock.filter(waits_for=None).first()
        if active is None:
            raise
    if not definition.takes_over(active):
        raise OperationActive(active)
    try:
        with transaction.atomic():
            operation = Operation.objects.create(**facts, waits_for=active)
    except IntegrityError:
        raise OperationActive(on_lock.exclude(pk=active.pk).first() or active) from None
    operation_supersede(operation=active, successor=operation)
    return operation


def operation_retry(*, operation: Operation, requested_by: Any = None) -> Operation:
    """Ask for the same again, as an operation of its own.

    Raises:
        SubjectGone, and what ``operation_request`` raises.
    """
    subject = operation.subject
    if subject is None:
        raise SubjectGone
    return operation_request(
        kind=operation.kind,
        subject=subject,
        requested_by=requested_by,
        options=operation.options,
        retry_of=operation,
        caused_by=operation.caused_by,
    )


def operation_cancel(*, operation: Operation) -> None:
    """End a queued operation at once; ask a running one to end at its next safe point."""
    ended = Operation.objects.filter(pk=operation.pk, state=State.QUEUED).update(
        state=State.CANCELLED, finished_at=timezone.now(), summary="Cancelled before it began."
    )
    if not ended:
        Operation.objects.filter(pk=operation.pk, state=State.RUNNING).update(cancel_requested=True)


def _end_if_abandoned(operation: Operation, successor: Operation) -> None:
    """Nobody works on it: it needs no worker to reach a safe point. One that wakes up finds its lease lost."""
    Operation.objects.abandoned().filter(pk=operation.pk).update(
        state=State.CANCELLED,
        finished_at=timezone.now(),
        lease_until=None,
        exclusive_resource="",
        cancel_requested=False,
        summary=truncate(f"Its worker was lost. Ended for “{successor}”, which takes over.", MAX_SUMMARY),
    )


def operation_supersede(*, operation: Operation, successor: Operation) -> None:
    """End an operation as soon as that is safe; the successor begins then, and both say so."""
    successor.waits_for, successor.checkpoint = operation, successor.checkpoint | {"took_over": str(operation)}
    successor.save(update_fields=["waits_for", "checkpoint"])
    operation_cancel(operation=operation)
    _end_if_abandoned(operation, successor)


def operations_prune(*, before: datetime) -> None:
    """Delete what ended before that time, with its steps, in portions that keep no other writer waiting."""
    prunable = Operation.objects.prunable(before).order_by("pk").values_list("pk", flat=True)
    while portion := list(prunable[:PRUNE_BATCH]):
        Operation.objects.filter(pk__in=portion).delete()


def enqueue(operation_id: int) -> None:
    """Tell the workers that there is something to do. A bell that does not ring is rung again every 20 seconds."""
    from operations.tasks import run_operation

    try:
        run_operation(operation_id)
    except Exception:
        logger.exception("The queue could not be told of operation %s; it will be rung again", operation_id)
