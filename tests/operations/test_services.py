"""Submitting operations, canceling and retrying them."""

import pytest
from django.db import IntegrityError, transaction

from operations import runner, tasks
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_retry


def fine(run) -> str:
    return "done"


@pytest.fixture
def enqueued(monkeypatch) -> list[int]:
    enqueued: list[int] = []
    monkeypatch.setattr(tasks, "run_operation", enqueued.append)
    return enqueued


def test_an_operation_is_recorded_with_its_requester_and_enqueued_after_commit(
    make_kind, request_operation, enqueued, admin_user, django_capture_on_commit_callbacks
):
    make_kind(concurrency_group="server:7", one=fine)
    with django_capture_on_commit_callbacks() as callbacks:
        operation = request_operation(requested_by=admin_user, options={"force": True})
    assert enqueued == []
    for callback in callbacks:
        callback()
    assert enqueued == [operation.pk]
    operation.refresh_from_db()
    assert (operation.state, operation.requested_by, operation.concurrency_group) == (
        State.QUEUED,
        admin_user,
        "server:7",
    )
    assert (operation.options, operation.subject_label) == ({"force": True}, "Nowhere")


def test_an_operation_whose_transaction_is_rolled_back_is_never_rung_for(
    make_kind, request_operation, enqueued, django_capture_on_commit_callbacks
):
    make_kind(one=fine)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        request_operation()
        transaction.set_rollback(True)
    assert (enqueued, Operation.objects.count()) == ([], 0)


def test_a_queue_that_fails_does_not_lose_the_operation(
    make_kind, request_operation, monkeypatch, caplog, django_capture_on_commit_callbacks
):
    def fail(pk):
        raise ConnectionError("the queue is down")

    monkeypatch.setattr(tasks, "run_operation", fail)
    make_kind(one=fine)
    with django_capture_on_commit_callbacks(execute=True):
        operation = request_operation()
    assert "It will be enqueued again" in caplog.text
    assert runner.run(operation.pk)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_a_second_operation_on_the_same_thing_is_refused_and_names_the_first(state, make_kind, request_operation):
    make_kind(one=fine)
    first = request_operation()
    Operation.objects.filter(pk=first.pk).update(state=state)
    with pytest.raises(OperationActive) as refusal:
        request_operation()
    assert refusal.value.operation_id == first.pk
    assert refusal.value.state == state
    assert (refusal.value.code, refusal.value.retryable) == ("operation_active", True)
    assert Operation.objects.count() == 1


def test_the_database_itself_holds_one_active_operation_per_lock(make_kind, request_operation, subject):
    make_kind(one=fine)
    first = request_operation()
    first.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        first.save(force_insert=True)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_an_ended_operation_makes_way_for_another(state, make_kind, request_operation):
    make_kind(one=fine)
    Operation.objects.filter(pk=request_operation().pk).update(state=state)
    assert request_operation().state == State.QUEUED


def test_kinds_with_different_locks_do_not_hinder_each_other(make_kind, request_operation):
    make_kind("one", lock="a", step=fine)
    make_kind("two", lock="b", step=fine)
    assert request_operation("one").is_active
    assert request_operation("two").is_active


def test_a_queued_operation_is_cancelled_at_once(make_kind, request_operation):
    make_kind(one=fine)
    operation = request_operation()
    operation.cancel()
    operation.refresh_from_db()
    assert (operation.state, operation.summary) == (State.CANCELLED, "Cancelled before it started.")
    assert operation.finished_at is not None
    assert not runner.run(operation.pk)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
def test_cancelling_what_has_ended_changes_nothing(state, make_kind, request_operation):
    make_kind(one=fine)
    operation = request_operation()
    Operation.objects.filter(pk=operation.pk).update(state=state)
    operation.cancel()
    operation.refresh_from_db()
    assert (operation.state, operation.cancel_requested) == (state, False)


def test_a_retry_is_an_operation_of_its_own_with_the_same_options(make_kind, request_operation, admin_user):
    make_kind(one=fine)
    first = request_operation(options={"force": True})
    Operation.objects.filter(pk=first.pk).update(state=State.FAILED)
    first.refresh_from_db()
    again = operation_retry(operation=first, requested_by=admin_user)
    assert (again.retry_of, again.options, again.requested_by) == (first, {"force": True}, admin_user)
    assert again.state == State.QUEUED
    first.refresh_from_db()
    assert first.state == State.FAILED


def test_a_retry_is_refused_while_another_operation_is_active(make_kind, request_operation):
    make_kind(one=fine)
    first = request_operation()
    Operation.objects.filter(pk=first.pk).update(state=State.FAILED)
    second = request_operation()
    with pytest.raises(OperationActive) as refusal:
        operation_retry(operation=first)
    assert refusal.value.operation_id == second.pk


def test_operations_are_visible_only_to_users_who_see_their_subject(
    make_kind, request_operation, subject, django_user_model
):
    make_kind(one=fine)
    operation = request_operation()
    manager = django_user_model.objects.create_user("manager")
    other = django_user_model.objects.create_user("other")
    subject.clients.create(name="Sharp", account_name="client_sharp", account_manager=manager)
    assert list(Operation.objects.visible_to(manager)) == [operation]
    assert list(Operation.objects.visible_to(other)) == []
    assert list(Operation.objects.of(subject)) == [operation]
