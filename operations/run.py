"""What a worker holds while it runs an operation: its lease, and the context for each step."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from hummingbot_api.errors import ConnectionFailed, Unanswered
from operations.kinds import Sight
from operations.models import Operation, State, lease_end
from operations.problems import ChangedSinceConfirmed, SubjectGone

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


class LeaseLost(Exception):
    """Another worker has taken the operation over: stop at once and write nothing."""


class CancelRequested(Exception):
    """A user canceled the operation while it ran."""


class Waiting(Exception):
    """The step has found nothing yet: its operation is to wait, and the worker to do something else.

    Attributes:
        what: it waits for.
        until: when it stops, in seconds since the epoch.
        pause: seconds after which it looks again.
        sight: what wakes it earlier, see ``StepContext.wait_for``.
    """

    def __init__(self, what: str, until: float, pause: float, sight: tuple[str, str]) -> None:
        self.what, self.until, self.pause, self.sight = what, until, pause, sight


def worker_name() -> str:
    # Host names have up to 64 characters, of which the column has no room for all.
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


class Lease:
    """Holds a claimed operation for this worker, renewing it in the background until it is left."""

    def __init__(self, operation_id: int, holder: str) -> None:
        self.operation_id = operation_id
        self.holder = holder
        self._token: Token[Lease | None] | None = None
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{operation_id}", daemon=True)

    def __enter__(self) -> Self:
        self._token = _held.set(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _held.reset(self._token)
        self._released.set()
        self._thread.join()

    def renew(self, **values: Any) -> None:
        """Prolong the lease, and write something of the operation.

        Raises:
            LeaseLost: it is another worker's by now.
        """
        if not self.held().update(lease_until=lease_end(), **values):
            raise LeaseLost

    def held(self) -> Any:
        """Return the operation's row while this worker holds it: the condition of every write."""
        return Operation.objects.filter(pk=self.operation_id, state=State.RUNNING, worker=self.holder)

    def _keep(self) -> None:
        while not self._released.wait(settings.OPERATIONS["LEASE"] / 3):
            try:
                self.renew()
            except LeaseLost:
                return
            except Exception:
                logger.exception("The lease of operation %s could not be renewed, trying again", self.operation_id)
            finally:
                connection.close()


#: Of the operation that this thread works on.
_held: ContextVar[Lease | None] = ContextVar("lease", default=None)


def hold_lease() -> None:
    """Renew the lease of the operation that this thread works on, if it does: right before each request that changes
    something on a server, since a worker may have been frozen for any time before, and while it renews it.

    Raises:
        LeaseLost: it was, and another worker has taken the operation over.
    """
    lease = _held.get()
    asked_at = 0.0
    while lease is not None and time.time() - asked_at > settings.OPERATIONS["LEASE"] / 3:
        asked_at = time.time()
        lease.renew()


class LeasedContext:
    """The context of a step while this worker holds the operation's lease. See ``kinds.StepContext``."""

    def __init__(self, operation: Operation, lease: Lease, enqueue: Callable[[int], None] = lambda pk: None) -> None:
        self.operation = operation
        self._lease = lease
        self._enqueue = enqueue
        #: The current step was started before: it waited, or its worker died before it recorded the end.
        self.resumed = False
        #: The wait with which the last turn ended, until this turn comes to it.
        self._returns_to = operation.awaits

    @cached_property
    def subject(self) -> Any:
        subject = self.operation.subject
        if subject is None:
            raise SubjectGone
        return subject

    def save(self, **values: Any) -> None:
        """Keep something for later steps, also across a crash. Never a secret."""
        self.operation.checkpoint |= values
        if not self._lease.held().update(checkpoint=self.operation.checkpoint):
            raise LeaseLost

    def wait_for(
        self,
        what: str,
        look: Callable[[], Found | None],
        seconds: float,
        *,
        after: float = 0,
        every: float = 0,
        sight: Sight = None,
    ) -> Found | None:
        self.raise_if_cancelled()
        if what == self._returns_to:
            self._returns_to = ""
        if after and what not in self._waits:
            self._waits[what] = time.time(), time.time() + seconds
            raise Waiting(what, time.time() + seconds, after, ("", ""))
        begun, until = self._waits.get(what) or (time.time(), time.time() + seconds)
        found = look()
        now = time.time()
        if found is not None or now >= until:
            return found
        self._waits[what] = begun, until
        seen = sight() if sight else None
        pause = every or settings.FLEET["GLANCE" if seen else "POLL"]
        raise Waiting(what, until, min(pause, until - now), seen or ("", ""))

    def after_outage(self, error: Exception) -> Waiting | None:
        """Return how the operation waits on if the server was out of reach before this turn had come back to its wait:
        what a step does again before it waits must not fail for what the wait itself tolerates.
        """
        begun_and_until = self._waits.get(self._returns_to)
        if begun_and_until is None or not isinstance(error, ConnectionFailed | Unanswered):
            return None
        left = begun_and_until[1] - time.time()
        if left <= 0 or self.operation.cancel_requested:
            return None
        return Waiting(self._returns_to, begun_and_until[1], min(settings.FLEET["POLL"], left), ("", ""))

    def waited_for(self, what: str) -> float:
        return time.time() - self._waits[what][0] if what in self._waits else 0

    @property
    def _waits(self) -> dict[str, tuple[float, float]]:
        """The waits of the current step: when each began, and when it is over, in seconds since the epoch."""
        waits: dict[str, tuple[float, float]] = self.operation.checkpoint.setdefault("waits", {})
        return waits

    def hurry(self, needed: bool) -> None:
        self._lease.renew(urgent=needed or self.operation.definition.urgent)

    def hold(self) -> None:
        """Renew the lease, right before something that must not be done by two workers.

        Raises:
            LeaseLost
        """
        self._lease.renew()

    @contextmanager
    def exclusive(self, resource: str) -> Iterator[None]:
        """Have something to oneself that operations of several locks use; wait for it while another one has it.

        It is given back at the end, and when the operation ends. A worker that dies leaves it to the one that takes
        the operation over: what was sent may still be at work.

        Raises:
            OperationActive: the other one has not given it back in time.
        """
        taken = self.wait_for(
            "another operation that uses the same credentials profile",
            lambda: self._take(resource) or None,
            settings.OPERATIONS["EXCLUSIVE_TIMEOUT"],
            sight=lambda: (resource, ""),
        )
        if not taken:
            other = Operation.objects.active().filter(exclusive_resource=resource).first()
            raise (other or self.operation).as_problem()
        try:
            yield
        finally:
            self._lease.held().update(exclusive_resource="")
            for pk in Operation.objects.filter(wake_on=resource).wake():
                self._enqueue(pk)

    def _take(self, resource: str) -> bool:
        try:
            with transaction.atomic():
                if not self._lease.held().update(exclusive_resource=resource):
                    raise LeaseLost
        except IntegrityError:
            return False
        return True

    def raise_if_cancelled(self) -> None:
        """Renew the lease and check whether a user canceled.

        Raises:
            LeaseLost, CancelRequested
        """
        if not self._lease.held().filter(cancel_requested=False).update(lease_until=lease_end()):
            self.hold()
            raise CancelRequested

    def require_confirmed(self) -> None:
        operation, subject = self.operation, self.subject
        if operation.confirmed:
            # As it is after the step's own was read. Nor may the step find what is read ahead here.
            now = type(subject)._default_manager.filter(pk=subject.pk).first()
            if now is None:
                raise SubjectGone
            if operation.definition.mark(now, operation.options) != operation.confirmed:
                raise ChangedSinceConfirmed
