"""Submits the same operation for many subjects at once, cancels what is left of it, and retries what failed."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from core.acting import note
from core.problems import Problem
from core.visibility import AnyUser
from hummingbot_api.text import truncate
from operations import kinds, tasks
from operations.models import MAX_LABEL, Batch, NotStarted, Operation, OperationQuerySet, State
from operations.problems import ChangedSinceConfirmed, NewerOperation, NotPossibleNow, SubjectGone
from operations.services import operation_request, options_to_retry

#: Rows that are written at once.
CHUNK = 500


@transaction.atomic
def batch_request(
    *,
    kind: str,
    subjects: Iterable[Any],
    requested_by: AnyUser | None = None,
    options: dict[str, Any] | None = None,
    reason: str = "",
    retry_of: Batch | None = None,
    obstacles: Iterable[NotStarted] = (),
    confirmed: bool = False,
) -> Batch:
    """Record a batch with an operation for each subject, all or nothing, and wake the workers once it is committed.

    What can't be submitted for a subject is recorded in the batch with its reason, and is no reason to leave out the
    others.

    Args:
        reason: why the panel itself requests it.
        obstacles: unsaved rows for subjects that are known not to be started.
        confirmed: see ``operation_request``.
    """
    definition, rows = kinds.get(kind), list(subjects)
    not_started = list(obstacles)
    batch = Batch.objects.create(
        kind=kind,
        options=options or {},
        reason=reason,
        size=len(rows) + len(not_started),
        requested_by=requested_by if isinstance(requested_by, User) else None,
        retry_of=retry_of,
    )
    subject_type = ContentType.objects.get_for_model(definition.subject_model)
    for subject in rows:
        try:
            if (blocker := definition.blocker(subject)) is not None:
                raise blocker
            operation_request(
                kind=kind,
                subject=subject,
                requested_by=requested_by,
                options=options,
                batch=batch,
                confirmed=confirmed,
            )
        except Problem as problem:
            not_started.append(_not_started(subject_type, subject.pk, str(subject), problem))
    for row in not_started:
        row.batch = batch
    NotStarted.objects.bulk_create(not_started, batch_size=CHUNK)
    left_out = f"{len(not_started)} not started." if not_started else ""
    note(batch, definition.label.lower(), left_out)
    transaction.on_commit(tasks.wake_workers)
    return batch


def _not_started(subject_type: ContentType, pk: int, label: str, problem: Problem) -> NotStarted:
    return NotStarted(
        subject_type=subject_type,
        subject_id=pk,
        subject_label=truncate(label, MAX_LABEL),
        error_code=problem.code,
        error_message=problem.message,
        # In the catalog it is general; without it, the message says all.
        error_remedy="" if isinstance(problem, NotPossibleNow) else problem.remedy,
    )


@transaction.atomic
def batch_cancel(batch: Batch, user: AnyUser) -> int:
    """Cancel what has not ended: at once what is queued, at its next safe point what runs. Return how many these are.

    Only what the user sees is canceled. It takes the same number of queries for any number of operations.
    """
    active = batch.operations_for(user).active()
    not_begun = Q(state=State.QUEUED, started_at__isnull=True)
    # First what is queued: a worker that takes one up meanwhile finds it ended, or has made it one of those that run.
    queued = active.filter(not_begun).cancel_now("Cancelled before it started, with its batch.")
    begun = active.exclude(not_begun)
    running = begun.filter(cancel_requested=False).update(cancel_requested=True)
    if begun.wake():
        transaction.on_commit(tasks.wake_workers)
    if queued + running:
        note(batch, "canceled", f"{queued} before they started, {running} at their next safe point.")
    return queued + running


def to_retry(batch: Batch, user: AnyUser) -> tuple[OperationQuerySet, "models.QuerySet[NotStarted]"]:
    """Return the operations that failed, and what could not be started for another reason than its state."""
    failed = batch.operations_for(user).filter(state=State.FAILED).exclude(error_code=ChangedSinceConfirmed.code)
    return failed, batch.not_started_for(user).exclude(error_code=NotPossibleNow.code)


def batch_retry(batch: Batch, user: AnyUser) -> Batch:
    """Request once more what failed, as a batch of its own with the same options.

    What has been requested again since, and what was deleted, is recorded in the new batch as not started.

    Raises:
        NotPossibleNow: nothing has failed.
    """
    failed, obstacles = to_retry(batch, user)
    newer = Operation.objects.filter(
        subject_type=OuterRef("subject_type"),
        subject_id=OuterRef("subject_id"),
        lock=OuterRef("lock"),
        pk__gt=OuterRef("pk"),
    )
    labels = dict(obstacles.values_list("subject_id", "subject_label"))
    labels |= dict(failed.values_list("subject_id", "subject_label"))
    overtaken = set(failed.filter(Exists(newer)).values_list("subject_id", flat=True))
    definition = batch.definition
    if not labels or isinstance(definition, kinds.RemovedOperationType):
        raise NotPossibleNow(f"Nothing of “{batch}” can be retried: no operation of it has failed.")
    there = {row.pk: row for row in subjects_of(definition, user).filter(pk__in=labels)}
    subject_type = ContentType.objects.get_for_model(definition.subject_model)
    left_out = [
        _not_started(subject_type, pk, label, NewerOperation() if pk in there else SubjectGone())
        for pk, label in labels.items()
        if pk in overtaken or pk not in there
    ]
    return batch_request(
        kind=batch.kind,
        subjects=[row for pk, row in there.items() if pk not in overtaken],
        requested_by=user if user.pk else None,
        options=options_to_retry(batch.options),
        retry_of=batch,
        obstacles=left_out,
    )


def subjects_of(definition: kinds.OperationType[Any], user: AnyUser) -> "models.QuerySet[Any]":
    """Return the subjects that the user may see, with what the operation's rules read of other tables."""
    return definition.with_related(definition.subject_model._default_manager.visible_to(user))  # type: ignore[attr-defined]
