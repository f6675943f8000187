"""Restart policy: what crashed and should run is recovered and started again, exactly once, and not too often."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Client
from bots.models import Bot, BotState, Deployment, EmergencyStop, RestartPolicy, StopScope
from bots.monitoring.poll import poll_server
from bots.operations import restarts
from bots.operations.restarts import AUTOMATIC, BACKOFF, restart_crashed
from notifications.kinds import IncidentKind, Severity
from notifications.models import Incident
from operations import runner
from operations.batches import batch_request, batch_retry
from operations.models import Batch, Operation, State
from operations.services import operation_request, operation_retry
from tests.conftest import count_queries
from tests.notifications.conftest import polls

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def make_crashed(make_bot, key):
    """A bot that was deployed by a person, ran, and crashed; as the poll has stored it."""

    def make(name="Sharp Spread", policy=RestartPolicy.AFTER_CRASH, last="deploy", **facts):
        bot = make_bot(name=name, restart_policy=policy)
        wish(bot, last)
        values = {"sent_at": timezone.now(), "verified_at": timezone.now(), "exposed_since": timezone.now()}
        deployment = bot.plan_deployment()
        for field, value in (values | {"observed_state": BotState.CRASHED} | facts).items():
            setattr(deployment, field, value)
        deployment.instance_name = f"{bot.instance_name}-20261122-105939"
        deployment.save()
        Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
        bot.refresh_from_db()
        return bot

    return make


def wish(bot, kind, state=State.SUCCEEDED, options=None):
    """Have somebody requested this, which has ended."""
    operation = operation_request(kind="refresh", subject=bot)
    now = timezone.now()
    facts = {"kind": kind, "state": state, "finished_at": now, "started_at": now, "options": options or {}}
    Operation.objects.filter(pk=operation.pk).update(**facts)
    return operation


def look(at):
    """Look at that time, when the poll has just shown the same."""
    Deployment.objects.update(observed_at=at)
    restart_crashed(at)


def starts():
    return list(Operation.objects.filter(kind="start", options__has_key="automatic").order_by("pk"))


def end(operation, state, at):
    facts = {"state": state, "requested_at": at, "started_at": at, "finished_at": at}
    Operation.objects.filter(pk=operation.pk).update(**facts)


# --- starts again ---


def test_a_crashed_bot_is_started_after_a_minute(make_crashed, now):
    bot = make_crashed()
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at == now + MINUTE and not starts()
    look(now + MINUTE / 2)
    assert not starts()
    look(now + MINUTE)
    (start,) = starts()
    assert (start.subject, start.requested_by, start.batch) == (bot, None, None)
    bot.refresh_from_db()
    assert bot.restart_due_at is None


def test_what_it_left_open_is_cancelled_before_it_trades_again(bot, perform, sandbox, server):
    Bot.objects.filter(pk=bot.pk).update(restart_policy=RestartPolicy.AFTER_CRASH)
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(60)
    sandbox.world.crash(bot.deployment.instance_name)
    poll_server(server)
    look(timezone.now())
    look(timezone.now() + MINUTE)
    (start,) = starts()
    assert runner.run(start.pk)
    start.refresh_from_db()
    assert start.state == State.SUCCEEDED, start.error_message
    assert "orders" in start.steps.get(key="recover").detail
    poll_server(server)
    bot.deployment.refresh_from_db()
    assert bot.deployment.state == BotState.RUNNING


def test_bots_of_a_host_that_was_rebooted_come_back_in_one_batch(make_crashed, now):
    bots = [make_crashed(f"Bot {number}", trading_pair=f"C{number}-USDT") for number in range(4)]
    look(now)
    look(now + MINUTE)
    batch = Batch.objects.get()
    assert (batch.kind, batch.reason) == ("start", "Sandbox: restart after a crash")
    assert {operation.subject for operation in batch.operations.all()} == set(bots)


def test_bots_in_one_market_are_all_recovered_before_one_of_them_is_started(make_crashed, now):
    bots = [make_crashed(f"Bot {number}") for number in range(2)]
    look(now)
    look(now + MINUTE)
    recoveries = Batch.objects.get()
    assert (recoveries.kind, recoveries.operations.count()) == ("recover", 2)
    for operation, bot in zip(recoveries.operations.order_by("pk"), bots, strict=True):
        end(operation, State.SUCCEEDED, now)
        bot.deployment.update(observed_state=BotState.STOPPED, stopped_at=now, exposed_since=None)
    look(now + MINUTE)
    look(now + MINUTE)
    batch = Batch.objects.get(kind="start")
    assert {operation.subject for operation in batch.operations.all()} == set(bots)


def test_a_bot_waits_for_a_neighbor_whose_orders_are_in_doubt(make_crashed, now):
    bot = make_crashed(exposed_since=None)
    make_crashed("Neighbor", policy=RestartPolicy.NEVER)
    for minutes in range(5):
        look(now + minutes * MINUTE)
    bot.refresh_from_db()
    assert not starts() and not Batch.objects.exists() and bot.restart_due_at == now + MINUTE


def test_a_recovery_by_a_person_is_not_followed_by_a_start(make_crashed, now):
    bot = make_crashed(last="recover", stopped_at=now, observed_state=BotState.STOPPED, exposed_since=None)
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is None


def test_a_bot_that_stopped_on_its_own_after_a_restart_is_left_alone(make_crashed, now):
    bot = make_crashed()
    wish(bot, "start", options={"automatic": True})
    bot.deployment.update(observed_state=BotState.STOPPED, stopped_at=now)
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is None


def test_several_workers_start_it_once(make_crashed, now, monkeypatch):
    make_crashed()
    look(now)
    seen_by_both = restarts._crashed(now + MINUTE / 4)
    monkeypatch.setattr(restarts, "_crashed", lambda at, **among: seen_by_both)
    look(now + MINUTE)
    Operation.objects.filter(kind="start").update(state=State.FAILED)  # so that no lock hides a second one
    look(now + MINUTE)
    assert len(starts()) == 1


def test_a_worker_that_dies_after_its_claim_leaves_the_bot_due(make_crashed, now, monkeypatch):
    bot = make_crashed()
    look(now)

    def die(**request):
        raise KeyboardInterrupt

    monkeypatch.setattr(restarts, "operation_request", die)
    with pytest.raises(KeyboardInterrupt):
        look(now + MINUTE)
    bot.refresh_from_db()
    assert bot.restart_due_at == now + MINUTE and not starts()
    monkeypatch.undo()
    look(now + MINUTE)
    assert len(starts()) == 1


def test_a_start_that_failed_halfway_is_tried_again(make_crashed, now):
    bot = make_crashed()
    wish(bot, "start", State.FAILED, options={"automatic": True})
    bot.deployment.update(observed_state=BotState.STOPPED, stopped_at=now, exposed_since=None)
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at


# --- leaves alone ---


def test_a_restart_that_a_person_cancelled_is_not_repeated(make_crashed, now):
    bot = make_crashed()
    wish(bot, "start", State.CANCELLED, options=AUTOMATIC)
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is None


def test_what_a_person_retries_is_that_persons_wish(make_crashed, now, admin_user):
    bot = make_crashed()
    recover = wish(bot, "recover", State.FAILED, options=AUTOMATIC)
    recover.refresh_from_db()
    again = operation_retry(operation=recover, requested_by=admin_user)
    end(again, State.SUCCEEDED, now)
    bot.deployment.update(observed_state=BotState.STOPPED, stopped_at=now, exposed_since=None)
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is None, "a recovery by a person is not followed by a start"


def test_what_a_person_retries_of_a_batch_is_that_persons_wish(make_crashed, admin_user):
    batch = batch_request(kind="start", subjects=[make_crashed(exposed_since=None)], options=AUTOMATIC)
    batch.operations.update(state=State.FAILED)
    (again,) = batch_retry(batch, admin_user).operations.all()
    assert (again.requested_by, again.options) == (admin_user, {})


@pytest.mark.parametrize("last", ["stop", "pause", "recover", "archive"])
def test_what_a_person_stopped_is_not_started(last, make_crashed, now):
    make_crashed(last=last)
    look(now)
    look(now + MINUTE)
    assert not starts()


@pytest.mark.parametrize(
    "facts",
    [
        {"policy": RestartPolicy.NEVER},
        {"paused_at": timezone.now()},
        {"live_config": {"manual_kill_switch": True}},
        {"stopped_at": timezone.now()},
        {"verified_at": None},
        {"observed_state": BotState.RUNNING},
        {"observed_state": BotState.UNRESPONSIVE},
        {"observed_state": BotState.NOT_LISTED},
        {"ended_at": timezone.now()},
    ],
    ids=lambda facts: f"{next(iter(facts))} {facts.get('observed_state', '')}".strip(),
)
def test_what_should_not_run_or_did_not_crash_is_not_started(facts, make_crashed, now):
    make_crashed(**facts)
    look(now)
    look(now + MINUTE)
    assert not starts()


def test_a_crash_that_was_not_seen_lately_is_none(make_crashed, now):
    make_crashed()
    Deployment.objects.update(observed_at=now - timedelta(hours=1))
    restart_crashed(now)
    assert not Bot.objects.filter(restart_due_at__isnull=False).exists()


def test_an_offboarded_clients_bot_orders_in_doubt_and_an_emergency_stop_keep_it_down(make_crashed, now, client_sharp):
    bot = make_crashed()
    type(client_sharp).objects.filter(pk=client_sharp.pk).update(status="offboarded")
    look(now)
    type(client_sharp).objects.filter(pk=client_sharp.pk).update(status="active")
    orders = bot.deployment.orphaned_orders.create(reason="They may be open.")
    look(now)
    orders.delete()
    stop, _ = EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=client_sharp, requested_by=None)
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is None
    stop.lift(None, "")
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is None, "it stays as it is until somebody starts it"
    wish(bot, "start")
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at is not None


def test_what_happens_before_it_is_due_is_respected(make_crashed, now, client_sharp):
    bot = make_crashed()
    look(now)
    EmergencyStop.objects.declare(scope=StopScope.EVERYTHING, requested_by=None)
    look(now + MINUTE)
    bot.refresh_from_db()
    assert bot.restart_due_at is None and not starts()


def test_a_bot_that_somebody_works_on_is_left_to_them(make_crashed, now):
    bot = make_crashed()
    operation_request(kind="redeploy", subject=bot)
    look(now)
    look(now + MINUTE)
    assert not starts()


# --- what happens between its look and its request ---


def stop_by_emergency(bot):
    EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=bot.client, requested_by=None)


MEANWHILE = {
    "stopped": lambda bot: wish(bot, "stop"),
    "stopped in vain": lambda bot: wish(bot, "stop", State.FAILED),
    "recovered": lambda bot: wish(bot, "recover"),
    "paused": lambda bot: wish(bot, "pause"),
    "archived": lambda bot: wish(bot, "archive"),
    "being stopped": lambda bot: operation_request(kind="stop", subject=bot),
    "its restart was canceled": lambda bot: wish(bot, "start", State.CANCELLED, options=AUTOMATIC),
    "its policy is off": lambda bot: Bot.objects.filter(pk=bot.pk).update(restart_policy=RestartPolicy.NEVER),
    "an emergency stop": stop_by_emergency,
    "its client is offboarded": lambda bot: Client.objects.filter(pk=bot.client_id).update(status="offboarded"),
    "its orders are in doubt": lambda bot: bot.deployment.orphaned_orders.create(reason="They may be open."),
}


@pytest.fixture
def meanwhile(monkeypatch):
    """Do something right before a function of the restarts is called for the first time."""

    def arrange(seam, act):
        acts, original = [act], getattr(restarts, seam)

        def call(*args, **facts):
            while acts:
                acts.pop()()
            return original(*args, **facts)

        monkeypatch.setattr(restarts, seam, call)

    return arrange


@pytest.mark.parametrize("seam", ["_next_kind", "_claim", "operation_request"])
@pytest.mark.parametrize("event", MEANWHILE)
def test_what_somebody_did_since_the_look_is_respected(event, seam, make_crashed, now, meanwhile):
    bot = make_crashed()
    look(now)
    meanwhile(seam, lambda: MEANWHILE[event](bot))
    look(now + MINUTE)
    assert not Operation.objects.active().filter(kind="start").exists()


@pytest.mark.parametrize("seam", ["_next_kind", "_claim", "batch_request"])
@pytest.mark.parametrize("event", [event for event in MEANWHILE if event[:2] not in {"an", "it"}])
def test_of_a_host_only_what_somebody_acted_on_stays_down(event, seam, make_crashed, now, meanwhile):
    bots = [make_crashed(f"Bot {number}", trading_pair=f"C{number}-USDT") for number in range(4)]
    look(now)
    meanwhile(seam, lambda: MEANWHILE[event](bots[1]))
    look(now + MINUTE)
    assert [start.subject for start in starts()] == [bots[0], *bots[2:]]
    assert Batch.objects.get().size == 3


def test_a_recovery_before_a_restart_is_not_requested_either(make_crashed, now, meanwhile):
    bots = [make_crashed(f"Bot {number}") for number in range(2)]
    look(now)
    meanwhile("batch_request", lambda: [wish(bot, "stop") for bot in bots])
    look(now + MINUTE)
    assert not Operation.objects.filter(options__has_key="automatic").exists() and not Batch.objects.exists()


@pytest.mark.parametrize("kind", ["refresh", "check_bot"])
def test_looking_at_a_bot_meanwhile_is_no_reason_to_leave_it_down(kind, make_crashed, now, meanwhile):
    bot = make_crashed()
    look(now)
    meanwhile("_claim", lambda: wish(bot, kind))
    look(now + MINUTE)
    assert len(starts()) == 1


# --- not too often ---


def crash_again(bot, at):
    """Let the restart succeed and the bot crash again."""
    end(starts()[-1], State.SUCCEEDED, at)
    bot.deployment.update(observed_state=BotState.CRASHED, stopped_at=None)


def test_each_restart_within_an_hour_comes_later_than_the_one_before(make_crashed, now):
    bot = make_crashed()
    Bot.objects.update(max_restarts_per_hour=5)
    at, waited = now, []
    for _ in range(5):
        look(at)
        bot.refresh_from_db()
        waited.append(bot.restart_due_at - at)
        at = bot.restart_due_at
        look(at)
        crash_again(bot, at)
    assert waited == [*BACKOFF, BACKOFF[-1]]


def test_after_so_many_restarts_within_an_hour_it_gives_up_with_an_incident_until_somebody_acts(make_crashed, now):
    bot = make_crashed()
    at = now
    for _ in range(bot.max_restarts_per_hour):
        look(at)
        bot.refresh_from_db()
        at = bot.restart_due_at
        look(at)
        crash_again(bot, at)
    look(at)
    bot.refresh_from_db()
    assert (bot.restart_due_at, bot.restarts_exhausted_at) == (None, at)
    (incident,) = [incident for incident in polls() if incident.kind == IncidentKind.RESTARTS_EXHAUSTED]
    assert incident.severity == Severity.CRITICAL
    assert "was restarted 3 times within an hour and crashed again. The panel gave up." in incident.sentence
    look(at + timedelta(hours=3))
    assert len(starts()) == 3, "also when the hour is over"
    Bot.objects.update(restarts_exhausted_at=timezone.now() - MINUTE)
    wish(bot, "start")
    look(timezone.now())
    bot.refresh_from_db()
    assert bot.restarts_exhausted_at is None and bot.restart_due_at, "with all its restarts again"
    polls()
    incident.refresh_from_db()
    assert incident.resolution == "Somebody acted on the bot, or it runs."


def test_a_restart_an_hour_ago_does_not_count(make_crashed, now):
    bot = make_crashed()
    for _ in range(3):
        end(wish(bot, "start", options={"automatic": True}), State.SUCCEEDED, now - timedelta(hours=2))
    look(now)
    bot.refresh_from_db()
    assert bot.restart_due_at == now + BACKOFF[0]


def test_turning_the_policy_off_ends_the_incident(make_crashed, now):
    make_crashed()
    Bot.objects.update(restarts_exhausted_at=now)
    assert IncidentKind.RESTARTS_EXHAUSTED in {incident.kind for incident in polls()}
    Bot.objects.update(restart_policy=RestartPolicy.NEVER)
    look(now)
    assert IncidentKind.RESTARTS_EXHAUSTED not in {incident.kind for incident in polls()}
    assert Incident.objects.filter(kind=IncidentKind.RESTARTS_EXHAUSTED).exists()


# --- how it is set, and what it costs ---


def test_saving_a_bot_keeps_what_was_observed_of_its_restarts(make_crashed, now):
    bot = make_crashed()
    look(now)
    bot.name = "Renamed"
    bot.save()
    bot.refresh_from_db()
    assert bot.restart_due_at == now + MINUTE


def test_a_look_takes_the_same_number_of_queries_for_any_number_of_bots(make_crashed, now):
    def looks():
        Bot.objects.update(restart_due_at=now + MINUTE)
        return count_queries(lambda: restart_crashed(now))

    make_crashed("First")
    few = looks()
    for number in range(6):
        make_crashed(f"Bot {number}")
    assert looks() == few
