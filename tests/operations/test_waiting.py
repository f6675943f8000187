"""What an operation that waits costs, what wakes it, and that it is as safe as one that a worker holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.problems import Problem
from hummingbot_api.errors import ServerUnreachable
from operations import runner, tasks
from operations.models import Operation, State, StepState
from operations.runner import Turn
from operations.services import operation_cancel
from tests.operations.test_runner import claim, done, let_time_pass, take_away


class Found:
    """What a step looks for."""

    def __init__(self) -> None:
        self.looks = 0
        self.it: str | None = None

    def look(self) -> str | None:
        self.looks += 1
        return self.it


@pytest.fixture
def found() -> Found:
    return Found()


@pytest.fixture
def waiting(make_kind, request_operation, found, settings) -> Operation:
    """An operation whose first turn has ended with a wait of a minute. The time to look again has not come."""
    settings.FLEET = settings.FLEET | {"POLL": 30}
    make_kind(one=lambda run: run.wait_for("the bot", found.look, 60) or "nothing", concurrency_group="server:1")
    operation = request_operation()
    assert turn(operation) is Turn.WAITS
    operation.refresh_from_db()
    return operation


def turn(operation: Operation) -> Turn:
    return runner.take_turn(operation.pk)[0]


def let_it_be_time(operation: Operation) -> None:
    assert Operation.objects.filter(pk=operation.pk).wake() == [operation.pk]


def state(operation: Operation) -> str:
    operation.refresh_from_db()
    return operation.state


# --- what it costs ---


def test_it_says_what_it_waits_for_and_until_when(waiting):
    assert (waiting.state, waiting.is_waiting, waiting.awaits) == (State.RUNNING, True, "the bot")
    assert timedelta(seconds=58) < waiting.awaits_until - timezone.now() <= timedelta(seconds=60)
    assert waiting.current_step.state == StepState.RUNNING


def test_it_has_no_worker_and_no_lease(waiting):
    assert (waiting.worker, waiting.lease_until) == ("", None)
    assert not Operation.objects.abandoned().exists()


def test_it_has_no_place_in_its_group(waiting, make_kind, request_operation, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    for name in ("next", "later"):
        make_kind(name, lock=name, concurrency_group="server:1", one=done)
    following, later = request_operation("next"), request_operation("later")
    assert not following.waits_for_capacity
    assert claim(following)
    assert later.waits_for_capacity
    let_it_be_time(waiting)
    assert turn(waiting) is Turn.NOT_TAKEN  # it acts again, and what acts is bounded


def test_no_server_is_too_busy_for_its_cancellation(waiting, make_kind, request_operation, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    make_kind("next", lock="next", concurrency_group="server:1", one=done)
    assert claim(request_operation("next"))
    waiting.cancel()
    assert turn(waiting) is Turn.ENDED
    assert state(waiting) == State.CANCELLED


def test_it_keeps_its_lock(waiting, request_operation):
    with pytest.raises(Problem, match="running"):
        request_operation()


# --- what wakes it ---


def test_it_is_not_taken_before_it_is_time(waiting):
    Operation.objects.filter(pk=waiting.pk).update(wake_at=timezone.now() + timedelta(seconds=9))
    assert turn(waiting) is Turn.NOT_TAKEN
    assert not Operation.objects.claimable().exists()


def test_it_ends_with_what_was_found(waiting, found):
    found.it = "found"
    let_it_be_time(waiting)
    assert turn(waiting) is Turn.ENDED
    assert (state(waiting), waiting.summary, waiting.awaits) == (State.SUCCEEDED, "found", "")


def test_it_ends_with_nothing_when_its_time_is_over(waiting):
    waiting.checkpoint["waits"]["the bot"][1] = 0
    waiting.save()
    let_it_be_time(waiting)
    assert turn(waiting) is Turn.ENDED
    assert (state(waiting), waiting.summary) == (State.SUCCEEDED, "nothing")


def test_its_time_begins_once_however_often_it_looks(waiting):
    until = waiting.awaits_until
    for _ in range(3):
        let_it_be_time(waiting)
        assert turn(waiting) is Turn.WAITS
    waiting.refresh_from_db()
    assert waiting.awaits_until == until


def test_each_wait_of_a_step_has_its_own_time(make_kind, request_operation):
    def act(run):
        assert run.wait_for("one", lambda: None, 0.1) is None
        assert run.waited_for("one") > run.waited_for("two")
        return run.wait_for("two", lambda: None, 0.1) or "both are over"

    make_kind(one=act)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert (state(operation), operation.summary) == (State.SUCCEEDED, "both are over")


def test_a_wait_of_the_same_name_in_another_step_has_its_own_time(make_kind, request_operation):
    times = []

    def act(run):
        times.append(run.waited_for("it"))
        return run.wait_for("it", lambda: None, 0.1) or "over"

    make_kind(one=act, two=act)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert times.count(0) == 2


def test_its_step_is_not_called_resumed_because_it_waited(waiting, found):
    found.it = "found"
    let_it_be_time(waiting)
    turn(waiting)
    assert waiting.steps.get().attempts == 1


def test_of_two_that_wake_it_one_has_a_turn(waiting, found):
    let_it_be_time(waiting)
    assert claim(waiting, "first")
    assert turn(waiting) is Turn.NOT_TAKEN
    assert Operation.objects.filter(pk=waiting.pk).wake() == []
    assert found.looks == 1


@pytest.fixture
def scheduled(monkeypatch) -> list[Any]:
    """The wake-ups that the queue was asked for: which operation, and in how many seconds."""
    scheduled: list[Any] = []
    monkeypatch.setattr(tasks.run_operation, "schedule", lambda args, delay: scheduled.append((*args, delay)))
    return scheduled


def test_a_worker_schedules_its_next_look(waiting, scheduled, settings):
    let_it_be_time(waiting)
    tasks.run_operation.call_local(waiting.pk)
    assert scheduled == [(waiting.pk, settings.FLEET["POLL"])]


def test_what_others_wake_is_not_scheduled(make_kind, request_operation, scheduled, settings):
    settings.FLEET = settings.FLEET | {"GLANCE": 30}
    make_kind(one=lambda run: run.wait_for("it", lambda: None, 60, sight=lambda: ("there", "as it was")) or "")
    operation = request_operation()
    tasks.run_operation.call_local(operation.pk)
    operation.refresh_from_db()
    assert (scheduled, operation.wake_on, operation.wake_unless) == ([], "there", "as it was")
    assert timedelta(seconds=28) < operation.wake_at - timezone.now() <= timedelta(seconds=31)


def test_a_queue_that_fails_costs_no_operation(waiting, monkeypatch):
    def fail(args, delay):
        raise ConnectionError

    monkeypatch.setattr(tasks.run_operation, "schedule", fail)
    let_it_be_time(waiting)
    tasks.run_operation.call_local(waiting.pk)
    assert (state(waiting), waiting.is_waiting) == (State.RUNNING, True)


def test_a_wake_up_that_got_lost_is_repeated(waiting, monkeypatch):
    enqueued: list[int] = []
    monkeypatch.setattr(tasks, "run_operation", enqueued.append)
    tasks.enqueue_claimable.call_local()
    assert enqueued == []
    let_it_be_time(waiting)
    tasks.enqueue_claimable.call_local()
    tasks.enqueue_due()
    assert enqueued == [waiting.pk, waiting.pk]


# --- as safe as before ---


def test_a_worker_that_dies_in_a_later_turn_leaves_it_to_another_with_the_same_time(waiting, found):
    until = waiting.awaits_until
    let_it_be_time(waiting)
    assert claim(waiting, "dies")
    let_time_pass(waiting, 300)
    assert turn(waiting) is Turn.WAITS
    waiting.refresh_from_db()
    assert waiting.awaits_until == until


def test_a_worker_that_was_only_asleep_does_not_let_it_wait_again(make_kind, request_operation):
    def act(run):
        take_away(run.operation)
        return run.wait_for("it", lambda: None, 60, every=5) or ""

    make_kind(one=act)
    operation = request_operation()
    assert turn(operation) is Turn.ENDED
    operation.refresh_from_db()
    assert (operation.worker, operation.wake_at, operation.awaits) == ("another", None, "")


def test_a_cancel_wakes_it(waiting, found, monkeypatch, django_capture_on_commit_callbacks):
    Operation.objects.filter(pk=waiting.pk).update(wake_at=timezone.now() + timedelta(seconds=30))
    enqueued: list[int] = []
    monkeypatch.setattr(tasks, "run_operation", enqueued.append)
    with django_capture_on_commit_callbacks(execute=True):
        operation_cancel(waiting)
    assert enqueued == [waiting.pk]
    assert turn(waiting) is Turn.ENDED
    assert (state(waiting), found.looks) == (State.CANCELLED, 1)


def test_a_cancel_in_the_moment_in_which_it_begins_to_wait_is_not_slept_through(make_kind, request_operation):
    def look() -> None:
        Operation.objects.update(cancel_requested=True)

    make_kind(one=lambda run: run.wait_for("it", look, 60, every=30) or "")
    operation = request_operation()
    assert turn(operation) is Turn.WAITS
    assert turn(operation) is Turn.ENDED
    assert state(operation) == State.CANCELLED


def test_what_supersedes_it_starts_at_once(waiting, make_kind, request_operation):
    make_kind("stop", one=done, supersedes=lambda kind: True)
    stop = request_operation("stop")
    tasks.run_operation.call_local(waiting.pk)
    assert [state(waiting), state(stop)] == [State.CANCELLED, State.SUCCEEDED]


@pytest.fixture
def outage(make_kind, request_operation, found) -> Callable[..., Operation]:
    """Make an operation that asks its server before it waits, and wake it while the server is out of reach."""

    def make(**changes: Any) -> Operation:
        answers: list[bool] = []

        def act(run):
            answers.append(True)
            if len(answers) == 2:
                raise ServerUnreachable("no route")
            return run.wait_for("the bot", found.look, 60) or ""

        make_kind(one=act)
        operation = request_operation()
        assert turn(operation) is Turn.WAITS
        operation.refresh_from_db()
        for name, value in changes.items():
            setattr(operation, name, value)
        operation.save()
        let_it_be_time(operation)
        return operation

    return make


def test_an_outage_when_it_comes_back_to_its_wait_does_not_end_it(outage, found):
    operation = outage()
    until = operation.awaits_until
    assert turn(operation) is Turn.WAITS
    operation.refresh_from_db()
    assert (operation.is_waiting, operation.awaits, operation.awaits_until) == (True, "the bot", until)
    found.it = "found"
    let_it_be_time(operation)
    assert turn(operation) is Turn.ENDED
    assert (state(operation), operation.summary) == (State.SUCCEEDED, "found")


@pytest.mark.parametrize(
    "changes", [{"checkpoint": {"waits": {"the bot": [0, 0]}}}, {"cancel_requested": True}], ids=["late", "canceled"]
)
def test_an_outage_ends_what_has_waited_long_enough_or_is_cancelled(changes, outage):
    operation = outage(**changes)
    assert turn(operation) is Turn.ENDED
    assert (state(operation), operation.error_code) == (State.FAILED, "server_unreachable")


def test_an_outage_after_its_wait_ends_it(make_kind, request_operation, found):
    def act(run):
        run.wait_for("the bot", found.look, 60)
        raise ServerUnreachable("no route")

    make_kind(one=act)
    operation = request_operation()
    assert turn(operation) is Turn.WAITS
    found.it = "found"
    let_it_be_time(operation)
    assert turn(operation) is Turn.ENDED
    assert state(operation) == State.FAILED


# --- waiting for what another one has ---


@pytest.fixture
def sharing(make_kind, request_operation) -> Callable[..., Operation]:
    """Make an operation that has a resource to itself while it calls something."""

    def make(name: str, act: Callable[[], object] = lambda: None) -> Operation:
        def use(run):
            with run.exclusive("profile"):
                act()
            return "used"

        make_kind(name, lock=name, one=use)
        return request_operation(name)

    return make


def test_what_waits_for_a_resource_is_woken_when_it_is_given_back(sharing):
    turns = []
    second = sharing("second")
    first = sharing("first", lambda: turns.append(turn(second)))
    assert turn(first) is Turn.ENDED
    assert turns == [Turn.WAITS]
    second.refresh_from_db()
    assert (second.wake_on, second.wake_at <= timezone.now()) == ("profile", True)
    assert turn(second) is Turn.ENDED


def test_others_are_woken_as_soon_as_it_is_given_back(sharing):
    enqueued: list[int] = []
    others = [sharing(f"other{number}") for number in range(3)]
    first = sharing("first", lambda: [turn(other) for other in others])
    runner.take_turn(first.pk, enqueue=enqueued.append)
    assert enqueued == [other.pk for other in others]


def test_the_worker_that_gave_it_back_goes_on_with_what_waited(sharing):
    others = [sharing(f"other{number}") for number in range(3)]
    first = sharing("first", lambda: [turn(other) for other in others])
    tasks.run_operation.call_local(first.pk)
    assert {state(operation) for operation in (first, *others)} == {State.SUCCEEDED}


# --- whose turn it is ---


def test_urgent_ones_come_first_then_what_has_begun_then_the_oldest(make_kind, request_operation, found):
    make_kind("begun", lock="begun", one=lambda run: run.wait_for("it", found.look, 60) or "")
    for name in ("old", "new"):
        make_kind(name, lock=name, one=done)
    type(make_kind("stop", lock="stop", one=done)).urgent = True
    old, begun, new, stop = (request_operation(name) for name in ("old", "begun", "new", "stop"))
    turn(begun)
    let_it_be_time(begun)
    assert list(Operation.objects.claimable().by_turn()) == [stop, begun, old, new]


def test_a_stop_does_not_wait_behind_other_urgent_ones_that_a_server_may_be_too_busy_for(make_kind, request_operation):
    for number in range(3):
        type(make_kind(f"archive{number}", lock=f"{number}", concurrency_group="server:1", one=done)).urgent = True
    type(make_kind("stop", lock="stop", one=done)).urgent = True
    archives = [request_operation(f"archive{number}") for number in range(3)]
    stop = request_operation("stop")
    assert list(Operation.objects.claimable().by_turn()) == [stop, *archives]


def test_clients_take_turns(make_kind, request_operation):
    for number in range(6):
        kind = make_kind(f"test{number}", lock=f"lock{number}", one=done)
        type(kind).on_behalf_of = lambda self, subject, owner=("a", "a", "a", "a", "b", "b")[number]: owner
    operations = [request_operation(f"test{number}") for number in range(6)]
    taken = []
    for _ in operations:
        following = Operation.objects.claimable().by_turn().first()
        claim(following)
        taken.append(following.on_behalf_of)
    assert taken == ["a", "b", "a", "b", "a", "a"]
