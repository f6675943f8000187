"""Submits and retries operations. What each type does is in its app's ``operations``."""

from typing import Any

from django.db import IntegrityError, models, transaction

from core.acting import note
from core.logs.request_id import current_request_id
from core.visibility import AnyUser
from hummingbot_api.text import truncate
from operations import kinds, tasks
from operations.models import MAX_LABEL, Batch, Operation
from operations.problems import NotPossibleNow, SubjectGone

#: The option of what the panel submits by itself, as a policy says. No person can set it.
AUTOMATIC = {"automatic": True}


def operation_request(
    *,
    kind: str,
    subject: models.Model,
    requested_by: AnyUser | None = None,
    options: dict[str, Any] | None = None,
    retry_of: Operation | None = None,
    caused_by: Operation | None = None,
    batch: Batch | None = None,
    confirmed: bool = False,
) -> Operation:
    """Record an operation and wake a worker once the surrounding transaction has committed; for a batch, that is done
    once for all of its operations.

    An active operation on the same lock that this kind supersedes is requested to end, and this one follows at once.

    Args:
        confirmed: whether somebody has read what it will do to this subject, as it is here. If what the subject's
            confirmation page says has changed by the time the operation begins, it does nothing.

    Raises:
        OperationActive: another one on the same lock has not ended; nothing was written.
        Problem: the subject's state or a rule blocks the operation, or an option that the kind requires is undecided;
            nothing was written.
    """
    definition = kinds.get(kind)
    for problem in definition.blockers(subject, options or {}):
        # What was last seen may have changed: the steps check it themselves.
        if not isinstance(problem, NotPossibleNow):
            raise problem
    facts = {
        "kind": kind,
        "subject": subject,
        "subject_label": truncate(str(subject), MAX_LABEL),
        "connector": definition.connector(subject, options or {}),
        "lock": definition.lock(subject),
        "concurrency_group": definition.concurrency_group(subject),
        "on_behalf_of": definition.on_behalf_of(subject),
        "urgent": definition.urgent,
        "options": options or {},
        "confirmed": definition.mark(subject, options or {}) if confirmed and definition.is_bound else "",
        "requested_by": requested_by,
        "retry_of": retry_of,
        "caused_by": caused_by,
        "batch": batch,
        "request_id": current_request_id(),
    }
    operation = _create(facts, definition)
    if batch is None:
        transaction.on_commit(lambda: tasks.enqueue(operation.pk))
    return operation


def _create(facts: dict[str, Any], definition: kinds.OperationType[Any]) -> Operation:
    on_lock = Operation.objects.active().filter(lock=facts["lock"])
    if successor := on_lock.filter(waits_for__isnull=False).first():
        raise successor.as_problem()
    try:
        with transaction.atomic():
            return Operation.objects.create(**facts)
    except IntegrityError:
        active = on_lock.filter(waits_for=None).first()
        if active is None:
            raise
    if not definition.supersedes(active):
        raise active.as_problem()
    try:
        with transaction.atomic():
            operation = Operation.objects.create(**facts, waits_for=active)
    except IntegrityError:
        raise (on_lock.exclude(pk=active.pk).first() or active).as_problem() from None
    operation.supersede(active)
    transaction.on_commit(lambda: tasks.enqueue(active.pk))
    return operation


def options_to_retry(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for the same again: what a person retries is that person's decision."""
    return {name: value for name, value in options.items() if name not in AUTOMATIC}


def operation_retry(*, operation: Operation, requested_by: AnyUser | None = None) -> Operation:
    """Submit the same again, as an operation of its own.

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
        options=options_to_retry(operation.options),
        retry_of=operation,
        caused_by=operation.caused_by,
    )


def operation_cancel(operation: Operation) -> None:
    """End an operation: at once while it is queued, at its next safe point once it has started."""
    with transaction.atomic():
        if not operation.cancel():
            note(operation, f"cancel {operation.label.lower()}")
    transaction.on_commit(lambda: tasks.enqueue(operation.pk))
