"""Asking for operations on behalf of a request: once for each ``Idempotency-Key``, and waiting for their end."""

import hashlib
import hmac
from collections.abc import Callable
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest, HttpResponse
from ninja import Status

from json_api.auth import require
from json_api.models import IdempotencyRecord
from json_api.problems import FieldsInvalid, IdempotencyKeyReused, NotPossibleNow, OperationFailed
from json_api.schemas.common import Waiting
from operations import kinds
from operations.models import Operation, State
from operations.services import operation_request

#: A request that waits holds a thread of the web process: the others must stay free for those that don't.
_waiting = BoundedSemaphore(settings.API["WAITING"])
#: How often, in seconds, a waiting request looks.
LOOK = 0.25
#: Characters of an ``Idempotency-Key``.
MAX_KEY = 255


def answer(
    request: HttpRequest,
    response: HttpResponse,
    waiting: Waiting,
    act: Callable[[], Operation],
    row: Callable[[Operation], Any],
    status: int = 200,
) -> Status:
    """What a call answers that asks for an operation by ``act``: the ``row`` that it is about after its success, or 202
    with the operation when it takes longer than the caller waits.

    Raises:
        OperationFailed, IdempotencyKeyReused, and what ``act`` and ``row`` raise.
    """
    operation = wait_for(once(request, act), waiting.wait)
    if operation.is_active:
        response["Location"] = f"/operations/{operation.pk}"
        return Status(202, operation)
    return Status(status, row(operation))


def ask(kind: str, subject: models.Model, request: HttpRequest, **options: Any) -> Operation:
    """Ask for an operation as the request's user.

    Raises:
        PermissionMissing, NotPossibleNow
        OperationActive: another one on the same lock has not ended.
        Problem: the subject may not have this done to it, or the options leave open what the kind wants decided.
    """
    definition = kinds.get(kind)
    require(request.user, definition.permission)
    definition.refuse(subject)
    if reason := definition.unavailable(subject):
        raise NotPossibleNow(reason)
    return operation_request(kind=kind, subject=subject, requested_by=request.user, options=options)


def once(request: HttpRequest, act: Callable[[], Operation]) -> Operation:
    """The operation that ``act`` asks for; or, of a request that was taken before, the one that it asked for then.

    ``act`` runs in a transaction together with the note that the request was taken. Without an ``Idempotency-Key``
    it just runs.

    Raises:
        IdempotencyKeyReused: the key came with another request.
        FieldsInvalid: it is too long.
    """
    key = request.headers.get("Idempotency-Key", "").strip().strip('"')
    if len(key) > MAX_KEY:
        raise FieldsInvalid({"Idempotency-Key": [f"A key has {MAX_KEY} characters at the most."]})
    if not key:
        with transaction.atomic():
            return act()
    user: Any = request.user
    fingerprint = _fingerprint(request)
    try:
        with transaction.atomic():
            taken = IdempotencyRecord.objects.create(user=user, key=key, fingerprint=fingerprint)
            operation = act()
            taken.operation = operation
            taken.save(update_fields=["operation"])
            return operation
    except IntegrityError:
        before = IdempotencyRecord.objects.select_related("operation").filter(user=user, key=key).first()
        if before is None or before.operation is None:
            raise
    if before.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return before.operation


def _fingerprint(request: HttpRequest) -> str:
    """A keyed hash: what was asked may hold secrets."""
    asked = b"\0".join([str(request.method).encode(), request.get_full_path().encode(), request.body])
    return hmac.new(settings.SECRET_KEY.encode(), asked, hashlib.sha256).hexdigest()


def wait_for(operation: Operation, seconds: float) -> Operation:
    """The operation as it is at its end, or after ``seconds``; at once when too many requests are waiting.

    Raises:
        OperationFailed: it failed or was cancelled.
    """
    if _waiting.acquire(blocking=False):
        try:
            deadline = monotonic() + seconds
            operation.refresh_from_db()
            while operation.is_active and monotonic() < deadline:
                sleep(LOOK)
                operation.refresh_from_db()
        finally:
            _waiting.release()
    if operation.state in {State.FAILED, State.CANCELLED}:
        raise OperationFailed(operation)
    return operation
