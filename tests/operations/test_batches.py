"""Batches: one operation for many subjects, all recorded; what can't be started is kept with its reason."""

from datetime import timedelta

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters
import pytest
from django.db import connection
from django.utils import timezone

from audit.models import AuditEvent
from bots.models import Bot
from core.acting import Actor, Door, acting
from operations import runner, tasks
from operations.batches import batch_cancel, batch_request, batch_retry
from operations.models import NOT_STARTED, Batch, Operation, State
from operations.problems import NotPossibleNow
from operations.services import operation_request
from tests.conftest import count_queries, valid_client
from tests.controlpanel.conftest import make_user, second_client


@pytest.fixture
def bots(make_bot, key):
    return [make_bot(name=f"Bot {number}") for number in range(3)]


def ended(operation, state, minutes=1, **facts):
    now = timezone.now()
    values = {"state": state, "started_at": now - timedelta(minutes=minutes), "finished_at": now}
    Operation.objects.filter(pk=operation.pk).update(**values | facts)


def counts_of(batch, user):
    return {name: count for name, count in batch.progress(user).counts.items() if count}


def test_a_batch_has_an_operation_for_each_subject(bots, admin_user):
    batch = batch_request(kind="deploy", subjects=bots, requested_by=admin_user, options={"unlisted": True})
    assert str(batch) == "Deploy 3 bots"
    operations = list(batch.operations.order_by("pk"))
    assert [operation.subject for operation in operations] == bots
    assert {(o.kind, o.requested_by, o.options["unlisted"]) for o in operations} == {("deploy", admin_user, True)}


def test_workers_are_woken_by_one_message_for_all(bots, monkeypatch, django_capture_on_commit_callbacks):
    woken, one_by_one = [], []
    monkeypatch.setattr(tasks, "enqueue_claimable", lambda: woken.append(True))
    monkeypatch.setattr(tasks, "run_operation", one_by_one.append)
    with django_capture_on_commit_callbacks(execute=True):
        batch_request(kind="deploy", subjects=bots)
    assert (woken, one_by_one) == ([True], [])


def test_what_a_worker_takes_up_while_a_batch_is_cancelled_ends_too(bots, admin_user):
    batch = batch_request(kind="deploy", subjects=bots)
    first, *others = batch.operations.order_by("pk")
    claimed = []

    def claim_after_the_first_write(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and not claimed:
            claimed.append(True)
            claimed.append(Operation.objects.claim(others[0].pk, "worker"))
        return result

    assert Operation.objects.claim(first.pk, "worker")
    with connection.execute_wrapper(claim_after_the_first_write):
        batch_cancel(batch, admin_user)
    assert claimed
    active = batch.operations.active()
    assert set(active.values_list("cancel_requested", flat=True)) == {True}


def test_a_queue_that_fails_does_not_lose_the_batch(bots, monkeypatch, caplog, django_capture_on_commit_callbacks):
    def fail():
        raise ConnectionError("the queue is down")

    monkeypatch.setattr(tasks, "enqueue_claimable", fail)
    with django_capture_on_commit_callbacks(execute=True):
        batch = batch_request(kind="deploy", subjects=bots)
    assert batch.operations.count() == 3
    assert "could not be notified of a batch" in caplog.text


def test_what_cannot_be_started_is_recorded_with_its_reason_and_remedy(bots, admin_user):
    active = operation_request(kind="deploy", subject=bots[0])
    other = valid_client("Left", bots[0].server)
    Bot.objects.filter(pk=bots[1].pk).update(client=other)
    type(other).objects.filter(pk=other.pk).update(status="offboarded")
    batch = batch_request(kind="deploy", subjects=Bot.objects.order_by("name"), requested_by=admin_user)
    assert counts_of(batch, admin_user) == {State.QUEUED: 1, NOT_STARTED: 2}
    rows = {row.subject: row for row in batch.not_started.all()}
    assert rows[bots[0]].error_code == "operation_active" and str(active) in rows[bots[0]].error_message
    left_out = rows[Bot.objects.get(pk=bots[1].pk)]
    assert left_out.error_code == "client_offboarded" and "status to active" in left_out.error_remedy
    assert {reason.code: reason.count for reason in batch.obstacles(admin_user)} == {
        "operation_active": 1,
        "client_offboarded": 1,
    }


def test_a_double_click_submits_nothing_twice(bots, admin_user):
    batch_request(kind="deploy", subjects=bots)
    second = batch_request(kind="deploy", subjects=bots)
    assert counts_of(second, admin_user) == {NOT_STARTED: 3}
    assert Operation.objects.count() == 3


def test_an_error_halfway_leaves_nothing_behind(bots, monkeypatch):
    monkeypatch.setattr(Bot, "__str__", lambda bot: 1 / 0 if bot == bots[2] else bot.name)
    with pytest.raises(ZeroDivisionError):
        batch_request(kind="deploy", subjects=bots)
    assert not Batch.objects.exists() and not Operation.objects.exists()


def test_the_rate_and_the_time_left_come_from_what_ended_and_are_unknown_before(bots, admin_user):
    batch = batch_request(kind="deploy", subjects=bots)
    progress = batch.progress(admin_user)
    assert (progress.per_minute, progress.left, progress.active) == (None, None, 3)
    first, second, third = batch.operations.order_by("pk")
    third.cancel()
    assert batch.progress(admin_user).per_minute is None, "what was canceled in the queue says nothing"
    ended(first, State.SUCCEEDED, minutes=2)
    progress = batch.progress(admin_user)
    assert progress.per_minute == pytest.approx(0.5, rel=0.05)
    assert progress.left.total_seconds() == pytest.approx(120, rel=0.05)
    ended(second, State.FAILED, minutes=2)
    progress = batch.progress(admin_user)
    assert (progress.left, progress.active, progress.ended) == (None, 0, 3)
    assert progress.per_minute == pytest.approx(1, rel=0.05)


def test_failures_are_grouped_by_reason_with_some_examples(make_bot, key, admin_user):
    batch = batch_request(kind="deploy", subjects=[make_bot(name=f"Bot {number}") for number in range(8)])
    for number, operation in enumerate(batch.operations.order_by("pk")):
        code, remedy = ("server_unreachable", "Start it.") if number else ("container_exited", "")
        ended(operation, State.FAILED, error_code=code, error_message=f"Failure {number}", error_remedy=remedy)
    first, second = batch.failures(admin_user)
    assert (first.code, first.count, len(first.rows), first.more) == ("server_unreachable", 7, 5, 2)
    assert first.remedy == "Start it."
    assert (second.code, second.count) == ("container_exited", 1)
    assert "docker logs" in second.remedy, "as in the catalog"


def test_progress_and_failures_take_the_same_number_of_queries_for_any_size(make_bot, key, admin_user):
    def look(batch):
        batch.progress(admin_user)
        batch.failures(admin_user)
        batch.obstacles(admin_user)

    small = batch_request(kind="deploy", subjects=[make_bot(name="One")])
    large = batch_request(kind="deploy", subjects=[make_bot(name=f"Bot {number}") for number in range(12)])
    Operation.objects.update(state=State.FAILED, error_code="container_exited")
    assert count_queries(lambda: look(small)) == count_queries(lambda: look(large)) == 6


def test_submitting_takes_a_bounded_number_of_queries_per_subject(make_bot, key):
    def submit(count, prefix):
        bots = [make_bot(name=f"{prefix} {number}").pk for number in range(count)]
        rows = Bot.objects.filter(pk__in=bots).select_related("client", "server", "strategy", "deployment")
        return count_queries(lambda: batch_request(kind="deploy", subjects=rows))

    submit(1, "warm")
    few, many = submit(2, "few"), submit(12, "many")
    assert (many - few) / 10 <= 9, "one of them for the trail"


def test_cancel_ends_what_is_queued_and_asks_what_runs_to_end_in_one_go(bots, admin_user):
    batch = batch_request(kind="deploy", subjects=bots)
    running, done, _ = batch.operations.order_by("pk")
    Operation.objects.filter(pk=running.pk).update(state=State.RUNNING)
    ended(done, State.SUCCEEDED)
    assert batch_cancel(batch, admin_user) == 2
    assert counts_of(batch, admin_user) == {State.RUNNING: 1, State.SUCCEEDED: 1, State.CANCELLED: 1}
    running.refresh_from_db()
    assert running.cancel_requested
    assert batch_cancel(batch, admin_user) == 0


def test_a_retry_is_a_batch_of_its_own_with_what_failed(bots, admin_user):
    batch = batch_request(kind="deploy", subjects=bots, options={"unlisted": True})
    failed, fine, _ = batch.operations.order_by("pk")
    ended(failed, State.FAILED, error_code="container_exited")
    ended(fine, State.SUCCEEDED)
    again = batch_retry(batch, admin_user)
    assert (again.retry_of, again.options, again.requested_by) == (batch, {"unlisted": True}, admin_user)
    assert [operation.subject for operation in again.operations.all()] == [bots[0]]


def test_a_retry_leaves_out_what_was_requested_since_or_deleted(bots, admin_user):
    batch = batch_request(kind="deploy", subjects=bots)
    for operation in batch.operations.all():
        ended(operation, State.FAILED, error_code="container_exited")
    operation_request(kind="deploy", subject=bots[0])
    bots[1].delete()
    again = batch_retry(batch, admin_user)
    assert [operation.subject for operation in again.operations.all()] == [bots[2]]
    assert {row.subject_label: row.error_code for row in again.not_started.all()} == {
        "Sharp · Bot 0": "newer_operation",
        "Sharp · Bot 1": "subject_gone",
    }


def test_a_retry_repeats_what_was_not_started_unless_its_state_was_the_reason(bots, admin_user):
    active = operation_request(kind="deploy", subject=bots[0])
    batch = batch_request(kind="redeploy", subjects=bots)
    assert {row.error_code for row in batch.not_started.all()} == {"not_possible_now"}
    with pytest.raises(NotPossibleNow):
        batch_retry(batch, admin_user)
    second = batch_request(kind="deploy", subjects=bots[:1])
    active.cancel()
    assert [operation.subject for operation in batch_retry(second, admin_user).operations.all()] == [bots[0]]


def test_users_see_the_batches_that_they_requested_and_of_these_what_is_theirs(
    bots, second_client, make_user, make_bot, client_sharp
):
    manager, colleague = make_user("manager"), make_user("colleague")
    client_sharp.account_manager = manager
    client_sharp.save()
    foreign = make_bot(client=second_client, name="Blunt bot")
    batch = batch_request(kind="deploy", subjects=[*bots, foreign], requested_by=manager)
    automatic = batch_request(kind="refresh", subjects=bots)
    assert list(Batch.objects.visible_to(manager)) == [batch]
    assert not Batch.objects.visible_to(colleague).exists()
    assert sum(batch.progress(manager).counts.values()) == 3
    everyone = make_user("operator", {"accounts.view_every_client"})
    assert set(Batch.objects.visible_to(everyone)) == {batch, automatic}


def test_the_trail_names_the_batch_and_each_operation_of_it(bots, admin_user):
    with acting(Actor(Door.TERMINAL)):
        batch = batch_request(kind="deploy", subjects=bots, requested_by=admin_user)
    of_batch = AuditEvent.objects.get(subject_label="Deploy 3 bots")
    assert (of_batch.verb, of_batch.subject_url(admin_user)) == ("deploy", batch.get_absolute_url())
    assert {event.detail for event in AuditEvent.objects.exclude(pk=of_batch.pk)} == {"Part of “Deploy 3 bots”."}


def test_old_batches_are_pruned_unless_they_are_active(bots):
    old = timezone.now() - timedelta(days=400)
    active = batch_request(kind="deploy", subjects=bots[:1])
    done = batch_request(kind="deploy", subjects=bots[1:])
    Operation.objects.filter(batch=done).update(state=State.SUCCEEDED, finished_at=old)
    Batch.objects.update(requested_at=old)
    Batch.objects.prune(timezone.now() - timedelta(days=365))
    assert list(Batch.objects.all()) == [active]
    assert Operation.objects.count() == 3


def test_a_batch_is_worked_off_like_any_operations(bots, sandbox, admin_user):
    batch = batch_request(kind="check_bot", subjects=bots)
    for pk in batch.operations.values_list("pk", flat=True):
        runner.run(pk)
    assert counts_of(batch, admin_user) == {State.SUCCEEDED: 3}
