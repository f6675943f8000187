"""Who may work on an operation, and what is recorded however its steps end."""

import logging
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Server
from core.problems.server import problem_class
from hummingbot_api.errors import ServerUnreachable
from operations import runner
from operations.kinds import NotDone
from operations.models import Operation, State, StepState

FACTS = ("state", "error_code", "summary")


def done(run) -> str:
    return "done"


def claim(operation: Operation, worker: str = "worker") -> bool:
    return Operation.objects.claim(operation.pk, worker)


def let_time_pass(operation: Operation, seconds: float) -> None:
    """Let time pass, as far as the operation's lease is concerned."""
    operation.refresh_from_db()
    earlier = operation.lease_until - timedelta(seconds=seconds)
    Operation.objects.filter(pk=operation.pk).update(lease_until=earlier)


def facts(operation: Operation) -> tuple[str, ...]:
    operation.refresh_from_db()
    return tuple(getattr(operation, name) for name in FACTS)


def take_away(operation: Operation) -> None:
    """As another worker does when the lease has run out."""
    Operation.objects.filter(pk=operation.pk).update(worker="another")


def test_a_claim_is_one_update_whose_own_condition_holds_the_state(make_kind, request_operation):
    make_kind(one=done)
    operation = request_operation()
    with CaptureQueriesContext(connection) as queries:
        assert claim(operation)
    (query,) = queries
    condition = query["sql"].partition(" WHERE ")[2]
    # Not "id IN (SELECT ...)": two such statements at the same instant would both win on PostgreSQL.
    assert condition.startswith(f'("operations_operation"."id" = {operation.pk} AND (')
    before_any_select = condition.partition("SELECT")[0]
    assert """"operations_operation"."state" = 'queued'""" in before_any_select
    assert """"operations_operation"."lease_until" <""" in before_any_select


def test_of_two_claims_one_wins(make_kind, request_operation):
    make_kind(one=done)
    operation = request_operation()
    assert [claim(operation, "first"), claim(operation, "second")] == [True, False]
    operation.refresh_from_db()
    assert (operation.worker, operation.state) == ("first", State.RUNNING)


def test_an_operation_is_claimed_again_only_when_its_lease_has_run_out(make_kind, request_operation):
    make_kind(one=done)
    operation = request_operation()
    assert claim(operation, "first")
    operation.refresh_from_db()
    started_at = operation.started_at
    assert timezone.now() - started_at < timedelta(seconds=5)
    let_time_pass(operation, settings.OPERATIONS["LEASE"] - 5)
    assert not claim(operation, "second")
    let_time_pass(operation, 6)
    assert claim(operation, "second")
    operation.refresh_from_db()
    assert (operation.worker, operation.started_at) == ("second", started_at)


@pytest.mark.parametrize("ahead", [90, 3600, -90])
def test_a_worker_with_a_wrong_clock_claims_nothing_that_a_live_one_holds(
    ahead, make_kind, request_operation, monkeypatch
):
    make_kind(one=done)
    operation = request_operation()
    assert claim(operation, "live")
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=ahead))
    assert not claim(operation, "wrong clock")
    assert not Operation.objects.claimable().exists()
    lease = runner.Lease(operation.pk, "live")
    lease.renew()
    operation.refresh_from_db()
    assert abs(operation.lease_until - now() - timedelta(seconds=settings.OPERATIONS["LEASE"])) < timedelta(seconds=5)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_an_ended_operation_is_never_claimed(state, make_kind, request_operation):
    make_kind(one=done)
    operation = request_operation()
    Operation.objects.filter(pk=operation.pk).update(state=state)
    assert not claim(operation)
    assert not runner.run(operation.pk)


@pytest.mark.parametrize(("concurrency_group", "wins"), [("server:1", 2), ("", 4)])
def test_a_concurrency_group_limits_how_many_run(concurrency_group, wins, make_kind, request_operation, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 2}
    for number in range(4):
        make_kind(f"test{number}", lock=f"lock{number}", concurrency_group=concurrency_group, one=done)
    operations = [request_operation(f"test{number}") for number in range(4)]
    assert [claim(operation) for operation in operations] == [True] * wins + [False] * (4 - wins)
    operations[-1].refresh_from_db()
    assert operations[-1].waits_for_capacity == bool(concurrency_group)


def test_an_abandoned_operation_does_not_count_in_its_concurrency_group(make_kind, request_operation, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    for number in range(2):
        make_kind(f"test{number}", lock=f"lock{number}", concurrency_group="server:1", one=done)
    first, second = (request_operation(f"test{number}") for number in range(2))
    assert claim(first)
    assert not claim(second)
    Operation.objects.filter(pk=first.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert claim(second)
    assert not claim(first)


def test_what_one_operation_has_to_itself_another_one_waits_for(make_kind, request_operation, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"EXCLUSIVE_TIMEOUT": 0}
    order = []

    def second(run):
        with run.exclusive("profile"):
            order.append("second")
        return "done"

    def first(run):
        with run.exclusive("profile"):
            order.append("first")
            runner.run(waiting.pk)
        runner.run(other.pk)
        return "done"

    for number, act in enumerate((first, second, second)):
        make_kind(f"test{number}", lock=f"lock{number}", one=act)
    operation, waiting, other = (request_operation(f"test{number}") for number in range(3))
    assert runner.run(operation.pk)
    assert order == ["first", "second"]
    assert facts(waiting)[:2] == (State.FAILED, "operation_active")
    assert "is running. Only one operation can run at a time" in facts(waiting)[2]
    assert facts(other)[0] == facts(operation)[0] == State.SUCCEEDED


def test_a_dead_workers_exclusive_resource_passes_to_the_next_worker(make_kind, request_operation, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"EXCLUSIVE_TIMEOUT": 0}
    dying = [True]

    def act(run):
        with run.exclusive("profile"):
            if dying:
                take_away(run.operation)  # and what it does on leaving is not recorded any more
        return "done"

    for number in range(2):
        make_kind(f"test{number}", lock=f"lock{number}", one=act)
    operation, other = (request_operation(f"test{number}") for number in range(2))
    assert runner.run(operation.pk)
    dying.clear()
    assert runner.run(other.pk)
    assert facts(other)[1] == "operation_active"
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert runner.run(operation.pk)
    assert facts(operation)[0] == State.SUCCEEDED


def test_what_a_failed_operation_had_to_itself_is_free(make_kind, request_operation):
    def act(run):
        with run.exclusive("profile"):
            raise ServerUnreachable

    make_kind("test0", lock="0", one=act)
    make_kind("test1", lock="1", one=act)
    for kind in ("test0", "test1"):
        operation = request_operation(kind)
        runner.run(operation.pk)
        assert facts(operation)[1] == "server_unreachable"


def test_steps_are_written_before_they_act_and_after_they_were_answered(make_kind, request_operation):
    seen = []

    def look(run):
        seen.append({step.key: (step.state, step.attempts) for step in run.operation.steps.all()})
        return f"look {len(seen)}"

    make_kind(one=look, two=look)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert seen == [
        {"one": ("running", 1), "two": ("waiting", 0)},
        {"one": ("done", 1), "two": ("running", 1)},
    ]
    assert facts(operation) == (State.SUCCEEDED, "", "look 2")
    assert [step.detail for step in operation.steps.all()] == ["look 1", "look 2"]
    assert (operation.lease_until, operation.finished_at is None) == (None, False)


def test_a_done_step_is_not_repeated_by_the_next_worker(make_kind, request_operation):
    acted, resumed = [], []

    def act(run):
        acted.append(1)
        return "done"

    def die(run):
        resumed.append(run.resumed)
        if len(resumed) == 1:
            raise SystemExit  # no Exception, so nothing is recorded: as good as a kill
        return "done"

    make_kind(one=act, two=die)
    operation = request_operation()
    with pytest.raises(SystemExit):
        runner.run(operation.pk)
    assert not runner.run(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert runner.run(operation.pk)
    assert (len(acted), resumed) == (1, [False, True])
    assert facts(operation)[0] == State.SUCCEEDED
    assert [step.attempts for step in operation.steps.all()] == [1, 2]


def test_a_checkpoint_reaches_the_next_worker(make_kind, request_operation):
    def note(run):
        run.save(found="it")
        return ""

    make_kind(one=note, two=lambda run: run.operation.checkpoint["found"])
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[2] == "it"


def test_each_step_is_reported_when_it_starts_and_when_it_ends(make_kind, request_operation):
    make_kind(one=done, two=done)
    reported = []
    runner.run(request_operation().pk, on_step=lambda step: reported.append((step.key, step.state)))
    assert reported == [("one", "running"), ("one", "done"), ("two", "running"), ("two", "done")]


def test_a_problem_ends_the_operation_with_its_code_sentence_and_remedy(make_kind, request_operation):
    failures = []

    def fail(run):
        raise problem_class(ServerUnreachable)("It is gone.", remedy="Fetch it.")

    make_kind(one=done, two=fail, three=done, failed=lambda run: failures.append(run.operation.pk))
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation) == (State.FAILED, "server_unreachable", "It is gone.")
    assert (operation.error_message, operation.error_remedy) == ("It is gone.", "Fetch it.")
    assert operation.error_retryable
    assert [step.state for step in operation.steps.all()] == ["done", "failed", "waiting"]
    assert failures == [operation.pk]


def tells_at_length(resolution):
    def act(run):
        if resolution == "ill":
            raise ServerUnreachable("x" * 2000)
        return "x" * 2000

    return act


@pytest.mark.parametrize("resolution", ["well", "ill"])
def test_a_long_outcome_is_cut_for_the_summary_and_whole_in_its_step(resolution, make_kind, request_operation):
    make_kind(one=tells_at_length(resolution))
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[0] == (State.SUCCEEDED if resolution == "well" else State.FAILED)
    assert facts(operation)[2] == "x" * 499 + "…"
    assert operation.steps.get().detail == "x" * 2000


def test_a_worker_on_a_host_with_a_long_name_can_claim(make_kind, request_operation, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "h" * 64)
    monkeypatch.setattr("os.getpid", lambda: 4_194_303)
    make_kind(one=done)
    assert runner.run(request_operation().pk)


@pytest.mark.parametrize("resolution", ["well", "ill"])
def test_an_operation_whose_end_cannot_be_recorded_ends_anyway(resolution, make_kind, request_operation, monkeypatch):
    monkeypatch.setattr(runner, "MAX_SUMMARY", 5000)  # the column has no room for that

    make_kind(one=tells_at_length(resolution))
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[:2] == (State.FAILED, "panel_fault")
    assert (operation.finished_at is None, operation.error_retryable) == (False, True)
    assert operation.steps.get().state == (StepState.DONE if resolution == "well" else StepState.FAILED)


@pytest.mark.parametrize("text", ["It is gone.", "no text for a database: \0"])
def test_an_operation_whose_subject_rejects_its_failure_ends_anyway(text, make_kind, request_operation):
    def fail(run):
        raise ServerUnreachable(text)

    def failed(run):
        raise ZeroDivisionError("planted-text")

    make_kind(one=fail, failed=failed)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[:2] == (State.FAILED, "panel_fault")
    assert "planted-text" not in operation.error_message
    assert operation.steps.get().state == StepState.FAILED
    assert request_operation().state == State.QUEUED  # its lock is free


def test_an_unexpected_error_is_a_panel_fault_without_its_text(make_kind, request_operation, caplog):
    def fail(run):
        raise ZeroDivisionError("planted-text")

    make_kind(one=fail)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation)[:2] == (State.FAILED, "panel_fault")
    assert "ZeroDivisionError" in operation.error_message
    everything = [operation.summary, operation.error_message, *operation.steps.values_list("detail", flat=True)]
    assert not any("planted-text" in text for text in everything)
    assert any(record.levelno == logging.ERROR and record.exc_info for record in caplog.records)


def test_a_subject_that_was_deleted_meanwhile_ends_the_operation(make_kind, request_operation, subject):
    make_kind(one=lambda run: run.subject.name)
    operation = request_operation()
    Server.objects.filter(pk=subject.pk).delete()
    assert runner.run(operation.pk)
    assert facts(operation)[:2] == (State.FAILED, "subject_gone")
    assert operation.subject_label == "Nowhere"


def test_an_operation_of_a_kind_that_this_release_does_not_have_ends_with_a_word_on_it(make_kind, request_operation):
    make_kind(one=done)
    operation = request_operation()
    Operation.objects.filter(pk=operation.pk).update(kind="conjure")
    assert runner.run(operation.pk)
    assert facts(operation)[:2] == (State.FAILED, "operation_type_removed")
    assert "“conjure”" in operation.summary
    assert not operation.can_be_retried


def test_a_step_that_could_not_do_its_part_is_not_shown_as_done_and_hinders_no_other(make_kind, request_operation):
    make_kind(one=lambda run: NotDone("The rules could not be had."), two=done)
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation) == (State.SUCCEEDED, "", "The rules could not be had. done")
    assert [step.state for step in operation.steps.all()] == [StepState.SKIPPED, StepState.DONE]


def test_it_is_reported_once_where_it_is_the_last_one(make_kind, request_operation):
    make_kind(one=done, two=lambda run: NotDone("Nothing to read."))
    operation = request_operation()
    assert runner.run(operation.pk)
    assert facts(operation) == (State.SUCCEEDED, "", "Nothing to read.")


def test_the_next_worker_does_not_try_it_again(make_kind, request_operation):
    tried = []
    make_kind(one=lambda run: NotDone(f"try {tried.append(1) or len(tried)}"), two=done)
    operation = request_operation()
    assert runner.run(operation.pk)
    operation.steps.filter(key="two").update(state=StepState.WAITING)
    Operation.objects.filter(pk=operation.pk).update(state=State.QUEUED)
    assert runner.run(operation.pk)
    assert len(tried) == 1
