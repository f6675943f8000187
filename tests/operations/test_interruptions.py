"""An operation that loses its lease or is canceled while it runs."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import Server
from hummingbot_api.errors import ServerUnreachable
from operations import runner
from operations.models import State, StepState
from operations.run import LeaseLost
from tests.operations.test_runner import claim, done, facts, let_time_pass, take_away


@pytest.mark.parametrize("resolution", ["well", "problem", "fault", "note", "hold", "wait"])
def test_a_worker_that_lost_its_lease_writes_nothing(resolution, make_kind, request_operation):
    failures = []

    def act(run):
        take_away(run.operation)
        if resolution == "problem":
            raise ServerUnreachable
        if resolution == "fault":
            raise ZeroDivisionError
        if resolution == "note":
            run.save(wrong=True)
        if resolution == "hold":
            run.hold()
        if resolution == "wait":
            run.wait_for("it", lambda: "found", 5)
        return "done"

    make_kind(one=act, failed=lambda run: failures.append(run))
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation) == (State.RUNNING, "", "")
    assert (operation.worker, operation.checkpoint, operation.finished_at) == ("another", {}, None)
    assert operation.steps.get().state == StepState.RUNNING
    assert not failures


def test_what_a_failure_writes_about_its_subject_is_undone_when_the_lease_was_lost(
    make_kind, request_operation, subject
):
    def fail(run):
        raise ServerUnreachable

    def failed(run):
        Server.objects.filter(pk=subject.pk).update(name="Touched")
        take_away(run.operation)

    make_kind(one=fail, failed=failed)
    operation = request_operation()
    assert runner.run(operation.pk)
    subject.refresh_from_db()
    assert subject.name == "Nowhere"
    # The deletion was part of the transaction that was rolled back: only this worker had the row.
    assert facts(operation)[0] == State.RUNNING


def test_renewing_prolongs_the_lease_and_fails_once_it_is_anothers(make_kind, request_operation):
    make_kind(one=done)
    operation = request_operation()
    now = timezone.now()
    claim(operation, "me")
    let_time_pass(operation, 30)
    lease = runner.Lease(operation.pk, "me")
    lease.renew()
    operation.refresh_from_db()
    assert operation.lease_until >= now + timedelta(seconds=settings.OPERATIONS["LEASE"] - 1)
    take_away(operation)
    with pytest.raises(LeaseLost):
        lease.renew()


def test_a_running_operation_is_canceled_after_the_current_step(make_kind, request_operation):
    failures = []

    def act(run):
        run.operation.cancel()
        return "done"

    make_kind(one=act, two=done, failed=lambda run: failures.append(run))
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[0] == State.CANCELLED
    assert "Completed steps are not undone" in operation.summary
    assert [step.state for step in operation.steps.all()] == ["done", "waiting"]
    assert (operation.cancel_requested, len(failures)) == (False, 1)


def test_a_cancel_during_the_last_step_comes_too_late_for_what_is_done(make_kind, request_operation):
    def act(run):
        run.operation.cancel()
        return "done"

    make_kind(one=act)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation) == (State.SUCCEEDED, "", "done")
    assert not operation.cancel_requested


def test_a_waiting_step_is_cancelled_while_it_waits(make_kind, request_operation):
    def act(run):
        run.operation.cancel()
        run.wait_for("it", lambda: None, 60)
        return "never"

    make_kind(one=act)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[0] == State.CANCELLED
    assert (operation.steps.get().state, operation.steps.get().detail) == ("failed", "Cancelled in the panel.")


# --- what was confirmed, and changes before the first step has ended ---


@pytest.fixture
def confirmed(make_kind, request_operation):
    """Request an operation of these steps whose page said what the server is called."""

    def request(**acts):
        kind = make_kind(**acts)
        type(kind).confirm = True
        type(kind).consequence = lambda self, subject, options: subject.name
        return request_operation(confirmed=True)

    return request


def cut_off_once(then=done, before=lambda run: None):
    """A step whose first worker dies in it."""

    def act(run):
        if run.resumed:
            return then(run)
        before(run)
        Server.objects.update(name="Renamed")
        raise KeyboardInterrupt

    return act


def taken_over(operation):
    with pytest.raises(KeyboardInterrupt):
        runner.run(operation.pk)
    let_time_pass(operation, settings.OPERATIONS["LEASE"] + 1)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    return operation


def test_a_first_step_whose_worker_died_is_not_repeated_for_what_nobody_confirmed(confirmed):
    operation = taken_over(confirmed(one=cut_off_once(), two=done))
    assert (operation.state, operation.error_code) == (State.FAILED, "changed_since_confirmed")
    assert [step.state for step in operation.steps.all()] == [StepState.FAILED, StepState.WAITING]


def test_nor_is_one_that_has_waited(confirmed):
    def wait(run):
        Server.objects.update(name="Renamed")
        return run.wait_for("it", lambda: "found" if run.resumed else None, 5) or "nothing"

    operation = confirmed(one=wait)
    assert runner.run(operation.pk)
    assert facts(operation)[:2] == (State.FAILED, "changed_since_confirmed")


def test_one_that_has_sent_something_is_not_ended_in_its_middle(confirmed):
    operation = taken_over(confirmed(one=cut_off_once(before=lambda run: run.save(sent=True)), two=done))
    assert operation.state == State.SUCCEEDED, operation.error_message


def test_nor_is_an_operation_whose_first_step_has_ended(confirmed):
    operation = taken_over(confirmed(one=done, two=cut_off_once()))
    assert operation.state == State.SUCCEEDED, operation.error_message


def test_who_cancelled_it_is_told_that_it_was_cancelled_though_something_changed(confirmed):
    operation = confirmed(one=cut_off_once(before=lambda run: run.operation.cancel()))
    assert taken_over(operation).state == State.CANCELLED
