"""Submits operations for a request: once per ``Idempotency-Key``, and waits for their end."""

import hashlib
import hmac
from collections.abc import Callable
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any, TypeVar, cast

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Status

from json_api.auth import require
from json_api.models import IdempotencyRecord
from json_api.problems import FieldsInvalid, IdempotencyKeyReused, OperationFailed
from json_api.schemas.common import Waiting
from operations import kinds
from operations.models import Batch, Operation, State
from operations.services import operation_request

#: What a request submits.
Submitted = TypeVar("Submitted", Operation, Batch)

#: A request that waits occupies a thread of the web process: the others must stay free for those that don't.
_waiting = BoundedSemaphore(settings.API["WAITING"])
#: Seconds between two reads of the operation while a request waits.
POLL_INTERVAL = 0.25
#: Characters of an ``Idempotency-Key``.
MAX_KEY = 255


def submit(kind: str, subject: models.Model, request: HttpRequest, **options: Any) -> Operation:
    """Submit an operation as the request's user.

    Raises:
        PermissionMissing
        OperationActive: another one on the same lock has not ended.
        Problem: the blocker, see ``OperationType.blocker``.
    """
    definition = kinds.get(kind)
    require(request.user, definition.permission)
    if problem := definition.blocker(subject):
        raise problem
    return operation_request(kind=kind, subject=subject, requested_by=request.user, options=options)


def idempotent(request: HttpRequest, submit: Callable[[], Submitted]) -> Submitted:
    """Return the operation or batch that ``submit`` makes; for a repeated request, the one that it made the first time.

    ``submit`` runs in one transaction with the record of the request. Without an ``Idempotency-Key`` it just runs.

    Raises:
        IdempotencyKeyReused: the key came with another request.
        FieldsInvalid: it is too long.
    """
    key = request.headers.get("Idempotency-Key", "").strip().strip('"')
    if len(key) > MAX_KEY:
        raise FieldsInvalid({"Idempotency-Key": [f"A key has at most {MAX_KEY} characters."]})
    if not key:
        with transaction.atomic():
            return submit()
    user: Any = request.user
    fingerprint = _fingerprint(request)
    try:
        with transaction.atomic():
            record = IdempotencyRecord.objects.create(user=user, key=key, fingerprint=fingerprint)
            submitted = submit()
            record.record(submitted)
            return submitted
    except IntegrityError:
        earlier = IdempotencyRecord.objects.select_related("operation", "batch").filter(user=user, key=key).first()
        if earlier is None or earlier.submitted is None:
            raise
    if earlier.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    if earlier.operation is not None:  # a batch answers with those of its operations that the user may see
        get_object_or_404(Operation.objects.visible_to(user), pk=earlier.operation.pk)
    # The same request submits the same thing.
    return cast(Submitted, earlier.submitted)


def respond(
    operation: Operation,
    waiting: Waiting,
    response: HttpResponse,
    rows: models.QuerySet[Any],
    *,
    created_at: str = "",
) -> Status:
    """Answer with the operation's subject once it has succeeded, or with the operation and 202 while it is active.

    Args:
        rows: the rows in which the subject is looked up: only those that the caller may see.
        created_at: the URL of a subject that the request created, with ``{}`` for its id. Such an answer is a 201.

    Raises:
        OperationFailed: it failed or was canceled.
    """
    operation = wait_for(operation, waiting.wait)
    if operation.is_active:
        response["Location"] = f"/operations/{operation.pk}"
        return Status(202, operation)
    if created_at:
        response["Location"] = created_at.format(operation.subject_id)
    return Status(201 if created_at else 200, get_object_or_404(rows, pk=operation.subject_id))


def _fingerprint(request: HttpRequest) -> str:
    """Return a keyed hash of the request, which may contain secrets."""
    content = b"\0".join([str(request.method).encode(), request.get_full_path().encode(), request.body])
    return hmac.new(settings.SECRET_KEY.encode(), content, hashlib.sha256).hexdigest()


def wait_for(operation: Operation, seconds: float) -> Operation:
    """Return the operation at its end, or after ``seconds``; at once when too many requests are waiting.

    Raises:
        OperationFailed: it failed or was canceled.
    """
    if _waiting.acquire(blocking=False):
        try:
            deadline = monotonic() + seconds
            operation.refresh_from_db()
            while operation.is_active and monotonic() < deadline:
                sleep(POLL_INTERVAL)
                operation.refresh_from_db()
        finally:
            _waiting.release()
    if operation.state in {State.FAILED, State.CANCELLED}:
        raise OperationFailed(operation)
    return operation
