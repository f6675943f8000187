"""An operation that supersedes another: the active one ends at its next safe point, and it follows at once."""

from threading import BoundedSemaphore

import pytest

from operations import runner, tasks
from operations.models import Operation, State
from operations.problems import OperationActive


def fine(run) -> str:
    return "done"


@pytest.fixture(autouse=True)
def urgent_kind(make_kind):
    make_kind("urgent", supersedes=lambda kind: kind == "test", one=fine)


def state(operation: Operation) -> str:
    operation.refresh_from_db()
    return operation.state


def test_it_ends_what_is_queued_and_can_start(make_kind, request_operation):
    make_kind(one=fine)
    previous, urgent = request_operation(), request_operation("urgent")
    assert state(previous) == State.CANCELLED
    assert runner.run(urgent.pk)
    assert state(urgent) == State.SUCCEEDED


def test_it_starts_when_the_active_one_reaches_a_safe_point_and_both_record_it(make_kind, request_operation):
    seen = []

    def act(run):
        urgent = request_operation("urgent")
        seen.extend([urgent, runner.run(urgent.pk)])
        return "acted"

    make_kind(one=act, two=fine)
    previous = request_operation()
    assert runner.run(previous.pk)
    urgent, began = seen
    assert not began
    assert state(previous) == State.CANCELLED
    assert previous.summary == f"Ended for “{urgent}”, which replaces it. Completed steps are not undone."
    assert [step.state for step in previous.steps.all()] == ["done", "waiting"]
    assert runner.run(urgent.pk)
    urgent.refresh_from_db()
    assert (urgent.state, urgent.checkpoint["superseded"]) == (State.SUCCEEDED, str(previous))


def test_the_worker_goes_on_with_it_as_soon_as_what_ran_has_ended(make_kind, request_operation):
    urgent = []
    make_kind(one=lambda run: urgent.append(request_operation("urgent")) or "")
    previous = request_operation()
    tasks.run_operation.call_local(previous.pk)
    assert [state(previous), state(urgent[0])] == [State.SUCCEEDED, State.SUCCEEDED]


def test_what_gives_way_to_an_urgent_one_is_urgent_itself(make_kind, request_operation, monkeypatch):
    type(make_kind("urgent", supersedes=lambda kind: kind == "test", one=fine)).urgent = True
    make_kind(one=lambda run: run.wait_for("it", lambda: None, 60) or "")
    previous = request_operation()
    assert runner.take_turn(previous.pk)[0] is runner.Turn.WAITS
    urgent = request_operation("urgent")
    monkeypatch.setattr(tasks, "_slots", BoundedSemaphore(1))
    tasks._slots.acquire()  # by what waits for servers that don't answer
    tasks.run_operation.call_local(previous.pk)
    assert [state(previous), state(urgent)] == [State.CANCELLED, State.SUCCEEDED]


def test_a_wait_in_progress_is_a_safe_point(make_kind, request_operation):
    asked = []

    def look() -> None:
        if not asked:
            asked.append(request_operation("urgent"))

    make_kind(one=lambda run: run.wait_for("it", look, 60) or "")
    previous = request_operation()
    assert runner.run(previous.pk)
    assert state(previous) == State.CANCELLED


def test_while_it_waits_nothing_else_may_come_in_between(make_kind, request_operation):
    refused = []

    def act(run):
        request_operation("urgent")
        for kind in ("test", "urgent"):
            with pytest.raises(OperationActive) as refusal:
                request_operation(kind)
            refused.append(Operation.objects.get(pk=refusal.value.operation_id).kind)
        return ""

    make_kind(one=act)
    assert runner.run(request_operation().pk)
    assert refused == ["urgent", "urgent"]


def test_operations_that_came_in_between_are_superseded_too(make_kind, request_operation):
    make_kind(one=fine)
    previous, urgent = request_operation(), request_operation("urgent")
    assert state(previous) == State.CANCELLED
    between = Operation.objects.get(pk=previous.pk)
    between.pk, between.state = None, State.QUEUED
    between.save(force_insert=True)
    assert not runner.run(urgent.pk)
    assert state(between) == State.CANCELLED
    assert runner.run(urgent.pk)


def test_it_waits_for_operations_that_it_does_not_supersede(make_kind, request_operation):
    make_kind("other", one=fine)
    request_operation("other")
    with pytest.raises(OperationActive):
        request_operation("urgent")


def test_a_worker_that_died_is_no_hindrance(make_kind, request_operation):
    def die(run):
        raise SystemExit

    make_kind(one=die)
    previous = request_operation()
    with pytest.raises(SystemExit):
        runner.run(previous.pk)
    urgent = request_operation("urgent")
    assert not runner.run(urgent.pk)
    Operation.objects.filter(pk=previous.pk).update(lease_until="2026-01-01T00:00Z")
    assert runner.run(previous.pk)  # the worker that claims it finds that it must end
    assert state(previous) == State.CANCELLED
    assert runner.run(urgent.pk)
