"""What nobody wants to run is not started by a restart policy: how a person ends one, and an emergency stop does."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import Bot, BotState, EmergencyStop, OrphanedOrders, RestartPolicy, StopScope
from bots.monitoring.evidence import STOPPED_LINE
from bots.monitoring.poll import poll_server
from bots.operations.restarts import AUTOMATIC, restart_crashed
from notifications.kinds import IncidentKind
from notifications.models import Incident
from notifications.watching.detection import detect
from operations import kinds, runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.bots.operations.test_restarts import MINUTE, look, make_crashed, now, starts, wish  # noqa: F401
from tests.conftest import valid_client
from tests.controlpanel.conftest import operate_url, text_of


def is_started(at):
    """Whether the policy starts a bot within an hour that nobody touches."""
    for minutes in range(0, 60, 15):
        look(at + minutes * MINUTE)
    return Operation.objects.active().filter(kind__in=["start", "recover"]).exists()


@pytest.mark.parametrize("then", [State.CANCELLED, State.FAILED, State.SUCCEEDED])
def test_it_does_not_go_by_what_was_pruned(then, make_crashed, now):  # noqa: F811
    bot = make_crashed()
    wish(bot, "stop", State.FAILED)
    wish(bot, "stop", then)
    Operation.objects.prune(now + timedelta(days=1))
    assert not is_started(now)


@pytest.mark.parametrize("kind", ["recover", "stop"])
def test_nor_is_a_forgotten_cancel_of_its_restart_undone(kind, make_crashed, now):  # noqa: F811
    bot = make_crashed()
    wish(bot, kind, State.CANCELLED, AUTOMATIC)
    wish(bot, kind, State.CANCELLED)
    Operation.objects.prune(now + timedelta(days=1))
    assert not is_started(now)


# --- stopped while its restart is near ---

NEAR = {
    "it was recovered for that": ("recover", State.SUCCEEDED, AUTOMATIC),
    "a start failed halfway": ("start", State.FAILED, AUTOMATIC),
    "a recovery failed": ("recover", State.FAILED, AUTOMATIC),
    "it was stopped as that had failed": ("stop", State.SUCCEEDED, AUTOMATIC),
}
FAR = {
    "a person stopped it": ("stop", State.SUCCEEDED, {}),
    "a person recovered it": ("recover", State.SUCCEEDED, {}),
    "a person canceled its restart": ("start", State.CANCELLED, AUTOMATIC),
    "it stopped on its own": ("start", State.SUCCEEDED, AUTOMATIC),
}
#: Which were recorded as failed, and then the bot ran, and stopped.
LATE = {name: what for name, what in NEAR.items() if what[1] == State.FAILED}


@pytest.fixture
def make_stopped(make_crashed, now):  # noqa: F811
    def make(kind, state, options):
        bot = make_crashed(observed_state=BotState.STOPPED, stopped_at=now, exposed_since=None, observed_at=now)
        wish(bot, kind, state, options)
        return bot

    return make


@pytest.mark.parametrize("near", NEAR)
def test_a_bot_that_is_about_to_be_started_again_can_be_stopped_and_stays_so(near, make_stopped, now, admin_client):  # noqa: F811
    bot = make_stopped(*NEAR[near])
    page = admin_client.get(operate_url(bot, "stop"))
    assert "about to start it again. Stop prevents that." in text_of(page)
    assert admin_client.post(operate_url(bot, "stop"), {"answered": "yes"}).status_code == 302
    Operation.objects.filter(kind="stop").update(state=State.SUCCEEDED)
    assert not is_started(now)


@pytest.mark.parametrize("far", FAR)
def test_one_that_stays_stopped_anyway_needs_no_stop(far, make_stopped, now):  # noqa: F811
    bot = make_stopped(*FAR[far])
    assert "is already stopped" in kinds.get("stop").blocker(bot).message
    assert not is_started(now)


@pytest.mark.parametrize(
    "facts",
    [{"restart_policy": RestartPolicy.NEVER}, {"restarts_exhausted_at": timezone.now()}],
    ids=["off", "given up"],
)
def test_nor_does_one_whose_policy_does_nothing(facts, make_stopped):
    bot = make_stopped(*NEAR["a start failed halfway"])
    Bot.objects.update(**facts)
    bot.refresh_from_db()
    assert "is already stopped" in kinds.get("stop").blocker(bot).message


@pytest.mark.parametrize("late", LATE)
def test_one_that_came_up_late_and_stopped_on_its_own_stays_so(late, make_stopped, now):  # noqa: F811
    bot = make_stopped(*LATE[late])
    bot.deployment.update(stopped_at=now + MINUTE)
    bot.refresh_from_db()
    assert "is already stopped" in kinds.get("stop").blocker(bot).message
    assert not is_started(now + 2 * MINUTE)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_one_that_its_policy_recovers_can_be_stopped(state, make_crashed, now, admin_client):  # noqa: F811
    bot = make_crashed()
    recovery = operation_request(kind="recover", subject=bot, options=AUTOMATIC)
    Operation.objects.filter(pk=recovery.pk).update(state=state, started_at=now, lease_until=now + 60 * MINUTE)
    assert admin_client.post(operate_url(bot, "stop"), {"answered": "yes"}).status_code == 302
    recovery.refresh_from_db()
    assert recovery.cancel_requested or recovery.state == State.CANCELLED
    assert recovery.successors.get().kind == "stop"


def test_what_a_person_recovers_is_not_interrupted_by_a_stop(make_crashed, now, admin_client):  # noqa: F811
    bot = make_crashed()
    recovery = operation_request(kind="recover", subject=bot)
    Operation.objects.filter(pk=recovery.pk).update(state=State.RUNNING, started_at=now, lease_until=now + 60 * MINUTE)
    assert admin_client.post(operate_url(bot, "stop"), {"answered": "yes"}).status_code == 302
    recovery.refresh_from_db()
    assert not recovery.cancel_requested and not recovery.successors.exists()


@pytest.mark.parametrize("kind", ["start", "redeploy"])
@pytest.mark.parametrize("options", [{}, AUTOMATIC], ids=["by a person", "by its policy"])
def test_one_that_is_being_started_can_be_stopped(kind, options, make_stopped, admin_client):
    bot = make_stopped(*NEAR["it was recovered for that"])
    active = operation_request(kind=kind, subject=bot, options=options)
    assert kinds.get("stop").blocker(bot) is None
    assert admin_client.post(operate_url(bot, "stop"), {"answered": "yes"}).status_code == 302
    active.refresh_from_db()
    assert active.state == State.CANCELLED


def test_a_stop_between_an_automatic_recovery_and_its_start_is_kept(bot, perform, sandbox, server):
    Bot.objects.filter(pk=bot.pk).update(restart_policy=RestartPolicy.AFTER_CRASH)
    perform("deploy", bot)
    sandbox.world.clock.advance(60)
    sandbox.world.crash(bot.deployment.instance_name)
    poll_server(server)
    assert runner.run(operation_request(kind="recover", subject=bot, options=AUTOMATIC).pk)
    bot.refresh_from_db()
    assert kinds.get("stop").blocker(bot) is None
    stop = perform("stop", bot)
    assert stop.state == State.SUCCEEDED, stop.error_message
    poll_server(server)
    restart_crashed()
    restart_crashed(timezone.now() + timedelta(minutes=5))
    assert not starts()


# --- what was cancelled ---


@pytest.mark.parametrize("before", ["deploy", "redeploy", "start"])
@pytest.mark.parametrize("cancelled", ["start", "deploy"])
def test_a_start_that_a_person_requested_and_canceled_is_not_made_up_for(cancelled, before, make_crashed, now):  # noqa: F811
    wish(make_crashed(last=before), cancelled, State.CANCELLED)
    assert not is_started(now)


@pytest.mark.parametrize("cancelled", ["stop", "pause", "redeploy", "archive"])
def test_what_else_was_cancelled_leaves_the_bot_wanted(cancelled, make_crashed, now):  # noqa: F811
    wish(make_crashed(), cancelled, State.CANCELLED)
    assert is_started(now)


@pytest.mark.parametrize("kind", ["deploy", "redeploy"])
def test_a_deploy_that_was_cancelled_too_late_is_one(kind, make_crashed, now):  # noqa: F811
    bot = make_crashed(last="stop")
    late = wish(bot, kind, State.CANCELLED)
    bot.deployment.update(operation=late)
    assert is_started(now)


def test_a_start_that_was_cancelled_too_late_is_one(make_crashed, now):  # noqa: F811
    late = wish(make_crashed(), "start", State.CANCELLED)
    Operation.objects.filter(pk=late.pk).update(checkpoint={"begun": True})
    assert is_started(now)


def test_a_restart_that_was_cancelled_late_is_not_repeated(make_crashed, now):  # noqa: F811
    late = wish(make_crashed(), "start", State.CANCELLED, AUTOMATIC)
    Operation.objects.filter(pk=late.pk).update(checkpoint={"begun": True})
    assert not is_started(now)


def test_a_stop_that_failed_is_not_undone_by_a_start_that_was_cancelled(make_crashed, now):  # noqa: F811
    bot = make_crashed()
    wish(bot, "stop", State.FAILED)
    wish(bot, "redeploy", State.CANCELLED)
    assert not is_started(now)


# --- after an emergency stop ---

DOWN = {
    "crashed": {},
    "crashed with nothing open": {"exposed_since": None},
    "recovered": {"observed_state": BotState.STOPPED, "exposed_since": None, "stopped_at": timezone.now()},
}


def lifted(**what):
    stop, _ = EmergencyStop.objects.declare(requested_by=None, **what)
    assert stop.lift(None, "")
    return stop


@pytest.mark.parametrize("scope", StopScope)
@pytest.mark.parametrize("down", DOWN)
def test_a_lifted_emergency_stop_starts_nothing_that_was_down(down, scope, make_crashed, now, client_sharp, server):  # noqa: F811
    bot = make_crashed(**DOWN[down])
    if down == "recovered":
        wish(bot, "recover", options=AUTOMATIC)
    what = {"client": {"client": client_sharp}, "server": {"server": server}}.get(scope, {})
    lifted(scope=scope, **what)
    assert not is_started(now)


@pytest.mark.parametrize("near", NEAR)
def test_what_it_keeps_down_is_not_said_to_be_started(near, make_stopped):
    bot = make_stopped(*NEAR[near])
    lifted(scope=StopScope.EVERYTHING)
    assert "is already stopped" in kinds.get("stop").blocker(bot).message


def test_until_somebody_wants_it_again(make_crashed, now):  # noqa: F811
    bot = make_crashed()
    lifted(scope=StopScope.EVERYTHING)
    wish(bot, "start")
    assert is_started(now)


def test_one_that_did_not_concern_the_bot_changes_nothing(make_crashed, now, server):  # noqa: F811
    make_crashed()
    lifted(scope=StopScope.CLIENT, client=valid_client("Other", server))
    assert is_started(now)


def test_a_hold_stopped_nothing_and_so_ends_no_policy(make_crashed, now):  # noqa: F811
    make_crashed()
    EmergencyStop.objects.hold("The panel was restored.")
    assert not is_started(now)
    EmergencyStop.objects.get().lift(None, "")
    assert is_started(now)


def test_an_emergency_stop_that_a_restore_made_a_hold_still_is_one(make_crashed, now, client_sharp):  # noqa: F811
    make_crashed()
    stop, _ = EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=client_sharp, requested_by=None)
    EmergencyStop.objects.hold("The panel was restored.")
    for active in EmergencyStop.objects.active():
        assert active.only_blocks and active.lift(None, "")
    assert not is_started(now)
    assert stop.reason == EmergencyStop.objects.get(only_blocks=False).reason


# --- stopped by another tool ---

ENDS = {
    "its container is stopped": lambda sandbox, api, name: api.docker.stop(name),
    "it crashes": lambda sandbox, api, name: sandbox.world.crash(name),
    "its container is killed": lambda sandbox, api, name: sandbox.world.crash(name, 137),
}


@pytest.mark.parametrize("looked", ["meanwhile", "only afterwards"])
@pytest.mark.parametrize("end", ENDS)
def test_a_bot_that_another_tool_stopped_stays_down(end, looked, bot, perform, sandbox, server):
    Bot.objects.filter(pk=bot.pk).update(restart_policy=RestartPolicy.AFTER_CRASH)
    perform("deploy", bot)
    sandbox.world.clock.advance(60)
    poll_server(server)
    instance = Bot.objects.get(pk=bot.pk).deployment
    with server.api() as api:
        api.bots.stop(instance.instance_name)
        sandbox.world.clock.advance(5)
        if looked == "meanwhile":
            poll_server(server)

        ENDS[end](sandbox, api, instance.instance_name)
    sandbox.world.clock.advance(5)
    poll_server(server)

    instance.refresh_from_db()
    assert instance.state == BotState.CRASHED
    assert instance.log_lines.filter(message=STOPPED_LINE).exists()
    assert not is_started(timezone.now())


def test_what_it_logged_in_an_earlier_run_says_nothing_about_its_crash(bot, perform, sandbox, server):
    Bot.objects.filter(pk=bot.pk).update(restart_policy=RestartPolicy.AFTER_CRASH)
    for kind in ("deploy", "stop", "start"):
        assert perform(kind, bot).state == State.SUCCEEDED
    sandbox.world.crash(Bot.objects.get(pk=bot.pk).deployment.instance_name)
    sandbox.world.clock.advance(5)
    poll_server(server)
    assert is_started(timezone.now())


def stopped_by_another_tool(bot, sandbox, server, *, cancels=True):
    """Stop a bot that runs, and end its container before the panel has looked."""
    (live,) = (it for it in sandbox.world.live() if it.name == Bot.objects.get(pk=bot.pk).deployment.instance_name)
    live.stop_cancels, live.stopped_at = cancels, live.clock.now()
    sandbox.world.clock.advance(5)
    sandbox.world.crash(live.name)


@pytest.fixture
def two(make_bot, key, perform, sandbox, server):
    """Two bots of a client in one market, which run."""
    bots = [make_bot(name=name) for name in ("First", "Second")]
    for bot in bots:
        assert perform("deploy", bot).state == State.SUCCEEDED
    Bot.objects.update(restart_policy=RestartPolicy.AFTER_CRASH)
    sandbox.world.clock.advance(60)
    poll_server(server)
    return bots


def test_nor_does_it_keep_another_bot_of_the_market_down(two, sandbox, server):
    first, second = two
    stopped_by_another_tool(first, sandbox, server)
    sandbox.world.crash(Bot.objects.get(pk=second.pk).deployment.instance_name)
    sandbox.world.clock.advance(5)
    poll_server(server)

    for minutes in range(0, 20, 2):
        look(timezone.now() + minutes * MINUTE)
        for operation in Operation.objects.active():
            runner.run(operation.pk)

    states = [Bot.objects.get(pk=bot.pk).deployment.state for bot in two]
    assert states == [BotState.CRASHED, BotState.RUNNING]


def test_what_it_left_open_is_recorded(bot, perform, sandbox, server):
    perform("deploy", bot)
    sandbox.world.clock.advance(60)
    stopped_by_another_tool(bot, sandbox, server, cancels=False)
    sandbox.world.clock.advance(5)
    poll_server(server)
    (record,) = OrphanedOrders.objects.unresolved()
    assert len(record.orders) == 2


@pytest.mark.parametrize(
    "ended",
    [{"restart_policy": RestartPolicy.NEVER}, {"restarts_exhausted_at": timezone.now()}],
    ids=["off", "given up"],
)
def test_a_crash_is_not_over_before_its_bot_runs_again(ended, two, sandbox, server):
    first, second = two
    Bot.objects.filter(pk=first.pk).update(restart_policy=RestartPolicy.NEVER)
    for bot in two:
        sandbox.world.crash(Bot.objects.get(pk=bot.pk).deployment.instance_name)
    sandbox.world.clock.advance(5)
    poll_server(server)
    detect(timezone.now())
    for minutes in range(0, 20, 2):
        look(timezone.now() + minutes * MINUTE)
        for operation in Operation.objects.active():
            runner.run(operation.pk)
        detect(timezone.now())

    assert Bot.objects.get(pk=second.pk).deployment.state == BotState.STOPPED  # it waits for the other one
    crashed = Incident.objects.current().filter(kind=IncidentKind.BOT_CRASHED)
    assert {incident.subject for incident in crashed} == set(two)

    # Unless it is not to run again: then it is stopped, and nobody stopped it.
    Bot.objects.filter(pk=second.pk).update(**ended)
    for _ in range(3):
        poll_server(server)
        detect(timezone.now())
    assert {incident.subject for incident in crashed.all()} == {first}
    assert Incident.objects.current().filter(kind=IncidentKind.BOT_STOPPED).get().subject == second
