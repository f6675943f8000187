"""Runs operations: claims a row, holds its lease, goes through its steps, writes down how each ended.

A worker may die at any line of this module. What then holds:

- A step is written as running *before* it acts and as done *after* it was answered, so that whoever takes over knows
  which step may have acted without having been recorded.
- The lease is renewed by a thread of its own while a step waits for a slow server. When it runs out, another worker
  claims the row and goes on at the first step that is not done.
- A worker that was thought dead and wakes up again finds its lease lost: it records nothing, and a step that does what
  can't be undone asks first (``Run.hold``).
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from hummingbot_api.errors import Problem
from hummingbot_api.words import shortened
from operations.kinds import Gone, NotDone, StepDefinition
from operations.models import LONGEST_SUMMARY, Operation, State, Step, StepState, lease_end
from operations.problems import KindGone, OperationActive, PanelFault, SubjectGone
from operations.services import operation_supersede

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


class LeaseLost(Exception):
    """Another worker has taken the operation over: stop at once and write nothing."""


class CancelRequested(Exception):
    """Somebody cancelled the operation while it ran."""


def worker_name() -> str:
    # Host names have up to 64 characters, of which the column has no room for all.
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


class Lease:
    """Holds a claimed operation for this worker, renewing it in the background until it is left."""

    def __init__(self, operation_id: int, holder: str) -> None:
        self.operation_id = operation_id
        self.holder = holder
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{operation_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._thread.join()

    def renew(self) -> None:
        """Prolong the lease.

        Raises:
            LeaseLost: it is another worker's by now.
        """
        if not self.held().update(lease_until=lease_end()):
            raise LeaseLost

    def held(self) -> Any:
        """The operation's row, as long as this worker holds it: the condition of every write."""
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


class Run:
    """What a step is given: the operation, its subject, and the means to wait and to leave notes."""

    def __init__(self, operation: Operation, lease: Lease) -> None:
        self.operation = operation
        self._lease = lease
        #: The step at hand was begun before, by a worker that did not live to record its end.
        self.resumed = False

    @cached_property
    def subject(self) -> Any:
        subject = self.operation.subject
        if subject is None:
            raise SubjectGone
        return subject

    def note(self, **notes: Any) -> None:
        """Keep something for later steps, also across a crash. Never a secret."""
        self.operation.notes |= notes
        if not self._lease.held().update(notes=self.operation.notes):
            raise LeaseLost

    def wait_for(self, look: Callable[[], Found | None], seconds: float) -> Found | None:
        """Call ``look`` until it returns something, for ``seconds`` at the most; ``None`` when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            self.check_still_wanted()
            found = look()
            if found is not None or time.monotonic() >= deadline:
                return found
            time.sleep(settings.FLEET["POLL"])

    def hold(self) -> None:
        """Renew the lease, right before something that must not be done by two workers.

        Raises:
            LeaseLost
        """
        self._lease.renew()

    @contextmanager
    def alone_with(self, what: str) -> Iterator[None]:
        """Have something to oneself that operations of several locks use; wait for it while another one has it.

        It is given back at the end, and when the operation ends. A worker that dies leaves it to the one that takes
        the operation over: what was sent may still be at work.

        Raises:
            OperationActive: the other one has not given it back in time.
        """
        if not self.wait_for(lambda: self._take(what) or None, settings.OPERATIONS["ALONE"]):
            other = Operation.objects.active().filter(holds=what).first()
            raise OperationActive(other or self.operation)
        try:
            yield
        finally:
            self._lease.held().update(holds="")

    def _take(self, what: str) -> bool:
        try:
            with transaction.atomic():
                if not self._lease.held().update(holds=what):
                    raise LeaseLost
        except IntegrityError:
            return False
        return True

    def check_still_wanted(self) -> None:
        """Renew the lease and see whether somebody cancelled.

        Raises:
            LeaseLost, CancelRequested
        """
        self.hold()
        if Operation.objects.filter(pk=self.operation.pk, cancel_requested=True).exists():
            raise CancelRequested


def run(operation_id: int, on_step: Callable[[Step], None] = lambda step: None) -> bool:
    """Work on one operation until it ends; false when another worker has it, or its server is busy enough.

    ``on_step`` is called with each step as it begins and as it ends.
    """
    holder = f"{worker_name()}:{uuid4().hex[:8]}"
    if not _claim(operation_id, holder):
        return False
    operation = Operation.objects.select_related("subject_type").get(pk=operation_id)
    logger.info("operation %s (%s) begins", operation.pk, operation.kind)
    with Lease(operation.pk, holder) as lease:
        try:
            _work(Run(operation, lease), lease, on_step)
        except LeaseLost:
            logger.warning("operation %s was taken over by another worker", operation.pk)
    return True


def _claim(operation_id: int, holder: str) -> bool:
    """Take the operation for this worker. One that takes over from another waits for whatever has come in between."""
    try:
        with transaction.atomic():
            return Operation.objects.claim(operation_id, holder)
    except IntegrityError:
        operation = Operation.objects.get(pk=operation_id)
        in_between = Operation.objects.active().filter(lock=operation.lock, waits_for=None).exclude(pk=operation_id)
        if (other := in_between.first()) is not None:
            operation_supersede(operation=other, successor=operation)
        return False


def _work(run: Run, lease: Lease, on_step: Callable[[Step], None]) -> None:
    """Bring the operation to an end that is written down: when that of its steps can't be, as the panel's fault."""
    try:
        _go_through_steps(run, lease, on_step)
    except LeaseLost:
        raise
    except Exception as error:
        logger.exception("the end of operation %s could not be written down as it was", run.operation.pk)
        with transaction.atomic():
            _write_end(lease, State.FAILED, **_outcome_of(_fault(error)))
            unended = run.operation.steps.filter(state=StepState.RUNNING)
            unended.update(state=StepState.FAILED, finished_at=timezone.now())


def _go_through_steps(run: Run, lease: Lease, on_step: Callable[[Step], None]) -> None:
    operation = run.operation
    step: Step | None = None
    try:
        for definition, step in _steps(operation):
            if step.state in {StepState.DONE, StepState.SKIPPED}:
                continue
            run.check_still_wanted()
            _begin(run, step)
            on_step(step)
            detail = definition.act(run)
            _end(lease, step, StepState.SKIPPED if isinstance(detail, NotDone) else StepState.DONE, detail)
            on_step(step)
    except CancelRequested:
        successor = operation.successors.first()
        how = f"Ended for “{successor}”, which takes over." if successor else "Cancelled."
        _fail_step(lease, step, how if successor else "Cancelled here.", on_step)
        _finish(run, lease, State.CANCELLED, summary=f"{how} What the steps before had done stays done.")
    except LeaseLost:
        raise
    except Problem as problem:
        _fail(run, lease, step, problem, on_step)
    except Exception as error:
        logger.exception("operation %s met an unexpected error", operation.pk)
        _fail(run, lease, step, _fault(error), on_step)
    else:
        # Every step is done, so that it was done is true, also when somebody cancelled during the last one.
        _finish(run, lease, State.SUCCEEDED, summary=_summary(operation, step))


def _summary(operation: Operation, last: Step | None) -> str:
    """What the last step found, after what could not be done: a success must not hide that."""
    undone = operation.steps.filter(state=StepState.SKIPPED).values_list("detail", flat=True)
    return " ".join([*undone, *([last.detail] if last and last.state == StepState.DONE else [])])


def _steps(operation: Operation) -> list[tuple[StepDefinition, Step]]:
    """The operation's steps with their rows, which are written down the first time that it is claimed.

    Raises:
        KindGone
    """
    if isinstance(operation.definition, Gone):
        raise KindGone(f"{KindGone.meaning} (“{operation.kind}”)")
    definitions = operation.definition.steps
    Step.objects.bulk_create(
        [
            Step(operation=operation, position=position, key=definition.key, title=definition.title)
            for position, definition in enumerate(definitions)
        ],
        ignore_conflicts=True,
    )
    rows = {step.key: step for step in operation.steps.all()}
    return [(definition, rows[definition.key]) for definition in definitions]


def _begin(run: Run, step: Step) -> None:
    run.resumed = step.attempts > 0
    step.attempts += 1
    step.state = StepState.RUNNING
    step.started_at = step.started_at or timezone.now()
    step.save(update_fields=["attempts", "state", "started_at"])


def _end(lease: Lease, step: Step, state: StepState, detail: str) -> None:
    with transaction.atomic():
        lease.renew()
        step.state = state
        step.detail = detail
        step.finished_at = timezone.now()
        step.save(update_fields=["state", "detail", "finished_at"])


def _fail_step(lease: Lease, step: Step | None, detail: str, on_step: Callable[[Step], None]) -> None:
    if step is not None and step.state == StepState.RUNNING:
        _end(lease, step, StepState.FAILED, detail)
        on_step(step)


def _fail(run: Run, lease: Lease, step: Step | None, problem: Problem, on_step: Callable[[Step], None]) -> None:
    _fail_step(lease, step, problem.message, on_step)
    _finish(run, lease, State.FAILED, **_outcome_of(problem))


def _fault(error: Exception) -> PanelFault:
    """What is told of an error that is not in the catalogue: its text could hold anything."""
    return PanelFault(f"{PanelFault.meaning} ({type(error).__name__})")


def _outcome_of(problem: Problem) -> dict[str, Any]:
    return {
        "summary": problem.message,
        "error_code": problem.code,
        "error_message": problem.message,
        "error_remedy": problem.remedy,
        "error_retryable": problem.retryable,
    }


def _finish(run: Run, lease: Lease, state: State, **outcome: Any) -> None:
    operation = run.operation
    with transaction.atomic():
        if state != State.SUCCEEDED and operation.subject is not None:
            operation.definition.failed(run)
        _write_end(lease, state, **outcome)
    logger.info("operation %s (%s) %s %s", operation.pk, operation.kind, state, outcome.get("error_code", ""))


def _write_end(lease: Lease, state: State, *, summary: str, **outcome: Any) -> None:
    if not lease.held().update(
        state=state,
        finished_at=timezone.now(),
        lease_until=None,
        cancel_requested=False,
        summary=shortened(summary, LONGEST_SUMMARY),
        **outcome,
    ):
        raise LeaseLost
