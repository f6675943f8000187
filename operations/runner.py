"""Runs operations: claims a row, holds its lease, runs its steps, and records how each ended.

A worker may die at any line of this module. What then holds:

- A step is recorded as running *before* it acts and as done *after* it was answered, so that the next worker knows
  which step may have acted without having been recorded.
- The lease is renewed by a thread of its own while a step waits for a slow server's answer. When it runs out, another
  worker claims the row and continues at the first step that is not done.
- A step that waits for something ends its worker's turn: what it waits for and until when is in the row, nobody holds
  the lease, and the next turn calls the step again. Woken twice, the second worker finds the row claimed.
- A worker that was presumed dead and wakes up again finds its lease lost: it records nothing, and a step that can't
  be undone checks the lease first (``LeasedContext.hold``).
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from logging import DEBUG, INFO
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Case, When
from django.db.models.functions import Now
from django.utils import timezone

from core.logs.context import ABOUT, logging_about
from core.logs.request_id import request_id_is
from core.problems import Problem
from core.problems.server import FAILURES, problem_of
from hummingbot_api.text import truncate
from operations.kinds import NotDone, RemovedOperationType, StepDefinition
from operations.models import MAX_SUMMARY, Operation, State, Step, StepState, ended
from operations.problems import OperationTypeRemoved, PanelFault
from operations.run import CancelRequested, Lease, LeasedContext, LeaseLost, Waiting, worker_name

logger = logging.getLogger(__name__)

#: How often a step is begun whose worker is cut off from the database in it.
MOST_CUTS = 5


class Turn(Enum):
    """How a worker's turn at an operation ended."""

    #: Another worker has it, it waits, or its server is busy enough.
    NOT_TAKEN = "not taken"
    #: It waits for something, and is worth another turn as soon as that may have come.
    WAITS = "waits"
    ENDED = "ended"


def run(operation_id: int, on_step: Callable[[Step], None] = lambda step: None) -> bool:
    """Work on one operation until it ends, asleep while it waits; false as soon as another worker has it, or its server
    is busy enough.

    ``on_step`` is called with each step as it begins and as it ends.
    """
    turn, _ = take_turn(operation_id, on_step)
    while turn is Turn.WAITS:
        time.sleep(settings.FLEET["POLL"])
        Operation.objects.filter(pk=operation_id).wake()
        turn, _ = take_turn(operation_id, on_step)
    return turn is Turn.ENDED


def take_turn(
    operation_id: int,
    on_step: Callable[[Step], None] = lambda step: None,
    enqueue: Callable[[int], None] = lambda pk: None,
) -> tuple[Turn, float]:
    """Work on one operation until it ends or has to wait. Return which, and in how many seconds to wake it; 0 when
    something else does that, see ``StepContext.wait_for``.

    Args:
        enqueue: called with each operation that may go on because of this one, for another thread to do so.
    """
    holder = f"{worker_name()}:{uuid4().hex[:8]}"
    if not _claim(operation_id, holder):
        return Turn.NOT_TAKEN, 0
    operation = Operation.objects.select_related("subject_type").get(pk=operation_id)
    with (
        request_id_is(operation.request_id),
        logging_about(**_about(operation)),
        Lease(operation.pk, holder) as lease,
    ):
        logger.log(DEBUG if operation.awaits else INFO, "operation %s (%s) begins", operation.pk, operation.kind)
        try:
            _work(LeasedContext(operation, lease, enqueue), lease, on_step)
        except LeaseLost:
            logger.warning("operation %s was resumed by another worker", operation.pk)
        except Waiting as waiting:
            return Turn.WAITS, 0 if waiting.sight[0] else waiting.pause
    return Turn.ENDED, 0


def _about(operation: Operation) -> dict[str, int]:
    """Return what the lines of the log are about that an operation logs."""
    subject = operation.subject
    if subject is None:
        return {}
    keys = {name: getattr(subject, f"{name}_id", None) for name in ABOUT} | {subject._meta.model_name: subject.pk}
    return {name: key for name, key in keys.items() if name in ABOUT and key is not None} | {"operation": operation.pk}


def _claim(operation_id: int, holder: str) -> bool:
    """Claim the operation for this worker. One that supersedes another waits for any that came in between."""
    try:
        with transaction.atomic():
            return Operation.objects.claim(operation_id, holder)
    except IntegrityError:
        operation = Operation.objects.get(pk=operation_id)
        in_between = Operation.objects.active().filter(lock=operation.lock, waits_for=None).exclude(pk=operation_id)
        if (other := in_between.first()) is not None:
            operation.supersede(other)
        return False


def _work(context: LeasedContext, lease: Lease, on_step: Callable[[Step], None]) -> None:
    """Run the operation to a recorded end: when a step's end can't be recorded, as the panel's fault."""
    try:
        _go_through_steps(context, lease, on_step)
    except (LeaseLost, Waiting):
        raise
    except Exception as error:
        _leave_to_others_if_cut_off(context.operation, error)
        logger.exception("the end of operation %s could not be written down as it was", context.operation.pk)
        with transaction.atomic():
            _write_end(lease, State.FAILED, **_outcome_of(_fault(error)))
            unended = context.operation.steps.filter(state=StepState.RUNNING)
            unended.update(state=StepState.FAILED, finished_at=timezone.now())


def _go_through_steps(context: LeasedContext, lease: Lease, on_step: Callable[[Step], None]) -> None:
    operation = context.operation
    step: Step | None = None
    try:
        for definition, step in _steps(operation):
            if step.state in {StepState.DONE, StepState.SKIPPED}:
                continue
            has_waited = operation.awaits and step.state == StepState.RUNNING
            if not has_waited:  # or else its wait decides what it does about a cancellation
                context.raise_if_cancelled()
            if step.position == 0 and not operation.checkpoint.get("sent"):  # nothing is done yet
                context.require_confirmed()
            if has_waited:
                context.resumed = True
            else:
                _begin(context, step)
                on_step(step)
            detail = definition.act(context)
            operation.awaits = ""
            _end(lease, step, StepState.SKIPPED if isinstance(detail, NotDone) else StepState.DONE, detail)
            on_step(step)
    except CancelRequested:
        successor = operation.successors.first()
        how = f"Ended for “{successor}”, which replaces it." if successor else "Cancelled."
        _fail_step(lease, step, how if successor else "Cancelled in the panel.", on_step)
        _finish(context, lease, State.CANCELLED, summary=f"{how} Completed steps are not undone.")
    except LeaseLost:
        raise
    except Waiting as waiting:
        _pause(lease, operation, waiting)
        raise
    except FAILURES as error:
        if (still_waiting := context.after_outage(error)) is not None:
            _pause(lease, operation, still_waiting)
            raise still_waiting from None
        _fail(context, lease, step, problem_of(error), on_step)
    except Exception as error:
        _leave_to_others_if_cut_off(operation, error)
        logger.exception("operation %s met an unexpected error", operation.pk)
        _fail(context, lease, step, _fault(error), on_step)
    else:
        # Every step is done, so success is true, even if a user canceled during the last one.
        _finish(context, lease, State.SUCCEEDED, summary=_summary(operation, step))


def _leave_to_others_if_cut_off(operation: Operation, error: Exception) -> None:
    """Let the operation be continued as if this worker had died, if PostgreSQL has ended its connection: it restarts,
    or this worker was frozen in the middle of a transaction. What the step has done is not known here then.

    A step that is cut off again and again may be the cause itself, and fails.

    Raises:
        LeaseLost
    """
    # Of psycopg; ``None`` when the connection was lost without a word.
    state = getattr(error.__cause__, "sqlstate", "")
    if not (isinstance(error, OperationalError) if state is None else state.startswith(("08", "25P03", "57P0"))):
        return
    connection.close()  # the next query opens another one
    if not operation.steps.filter(attempts__gte=MOST_CUTS).exists():
        logger.warning("the connection to the database was lost: %s", error)
        raise LeaseLost from error


def _summary(operation: Operation, last: Step | None) -> str:
    """Return the result of the last step, after what could not be done: a success must not hide that."""
    undone = operation.steps.filter(state=StepState.SKIPPED).values_list("detail", flat=True)
    return " ".join([*undone, *([last.detail] if last and last.state == StepState.DONE else [])])


def _steps(operation: Operation) -> list[tuple[StepDefinition, Step]]:
    """Return the operation's steps with their rows, which are created when it is first claimed.

    Raises:
        OperationTypeRemoved
    """
    if isinstance(operation.definition, RemovedOperationType):
        raise OperationTypeRemoved(f"{OperationTypeRemoved.meaning} (“{operation.kind}”)")
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


def _pause(lease: Lease, operation: Operation, waiting: Waiting) -> None:
    """Record what the operation waits for, and let go of it."""
    wake_on, wake_unless = waiting.sight
    if not lease.held().update(
        worker="",
        lease_until=None,
        checkpoint=operation.checkpoint,
        awaits=waiting.what,
        awaits_until=datetime.fromtimestamp(waiting.until, UTC),
        # Canceled since the step looked, it is not left to wait.
        wake_at=Case(When(cancel_requested=True, then=Now()), default=Now() + timedelta(seconds=waiting.pause)),
        wake_on=wake_on,
        wake_unless=wake_unless,
    ):
        raise LeaseLost


def _begin(context: LeasedContext, step: Step) -> None:
    context.operation.checkpoint.pop("waits", None)
    context.resumed = step.attempts > 0
    step.attempts += 1
    step.state = StepState.RUNNING
    step.started_at = step.started_at or timezone.now()
    with transaction.atomic():
        context.hold()
        step.save(update_fields=["attempts", "state", "started_at"])


def _end(lease: Lease, step: Step, state: StepState, detail: str) -> None:
    with transaction.atomic():
        lease.renew(awaits="", awaits_until=None)
        step.state = state
        step.detail = detail
        step.finished_at = timezone.now()
        step.save(update_fields=["state", "detail", "finished_at"])


def _fail_step(lease: Lease, step: Step | None, detail: str, on_step: Callable[[Step], None]) -> None:
    if step is not None and step.state == StepState.RUNNING:
        _end(lease, step, StepState.FAILED, detail)
        on_step(step)


def _fail(
    context: LeasedContext, lease: Lease, step: Step | None, problem: Problem, on_step: Callable[[Step], None]
) -> None:
    _fail_step(lease, step, problem.message, on_step)
    _finish(context, lease, State.FAILED, **_outcome_of(problem))


def _fault(error: Exception) -> PanelFault:
    """Return what is reported for an error that is not in the catalog: its own text could contain anything."""
    return PanelFault(f"{PanelFault.meaning} ({type(error).__name__})")


def _outcome_of(problem: Problem) -> dict[str, Any]:
    return {
        "summary": problem.message,
        "error_code": problem.code,
        "error_message": problem.message,
        "error_remedy": problem.remedy,
        "error_retryable": problem.retryable,
    }


def _finish(context: LeasedContext, lease: Lease, state: State, **outcome: Any) -> None:
    operation = context.operation
    with transaction.atomic():
        if state != State.SUCCEEDED and operation.subject is not None:
            operation.definition.failed(context)
        _write_end(lease, state, **outcome)
    logger.info("operation %s (%s) %s %s", operation.pk, operation.kind, state, outcome.get("error_code", ""))


def _write_end(lease: Lease, state: State, *, summary: str, **outcome: Any) -> None:
    if not lease.held().update(
        state=state,
        finished_at=timezone.now(),
        lease_until=None,
        awaits="",
        awaits_until=None,
        cancel_requested=False,
        summary=truncate(summary, MAX_SUMMARY),
        **outcome,
    ):
        raise LeaseLost
    ended.send(sender=Operation, pks=[lease.operation_id])
