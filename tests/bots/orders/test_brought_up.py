"""A container that was brought up to stop its bot goes down again, whatever meets the operation while it waits."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from bots.models import Bot, BotState, EmergencyStop, RestartPolicy, StopScope
from bots.monitoring.poll import poll_server
from bots.operations.restarts import restart_crashed
from notifications.kinds import IncidentKind
from notifications.models import Incident
from notifications.watching.detection import detect
from operations import runner
from operations.models import Operation, State
from operations.runner import Turn
from operations.services import AUTOMATIC, operation_request

KINDS = ["stop", "recover", "archive", "start", "redeploy"]


def turn(operation: Operation) -> Turn:
    Operation.objects.filter(pk=operation.pk).wake()
    outcome = runner.take_turn(operation.pk)[0]
    operation.refresh_from_db()
    return outcome


@pytest.fixture
def waiting(bot, key, perform, sandbox) -> Callable[..., Operation]:
    """Have a bot crash that has open orders, and an operation bring it up, which waits for it to connect."""

    def make(kind: str, bot: Bot = bot) -> Operation:
        assert perform("deploy", bot).state == State.SUCCEEDED
        sandbox.world.clock.advance(60)
        sandbox.world.clock.stop()
        sandbox.world.crash(bot.deployment.instance_name)
        operation = operation_request(kind=kind, subject=bot, options={"open_orders": True})
        assert turn(operation) is Turn.WAITS
        assert operation.checkpoint["brought_up"] and sandbox.world.live()
        return operation

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_while_it_waits_does_not_leave_it_up(kind, waiting, sandbox):
    operation = waiting(kind)
    sandbox.faults.add("tunnel_offline")
    assert turn(operation) is Turn.WAITS
    sandbox.faults.clear()
    sandbox.world.clock.resume()
    sandbox.world.clock.advance(30)
    Operation.objects.filter(pk=operation.pk).wake()
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert not operation.checkpoint["brought_up"]
    assert operation.steps.get(key__in=["stop", "recover", "archive", "retire"]).state == "done"


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_stopped_before_anything_that_is_not_urgent_and_only_that_is_urgent(kind, waiting, sandbox):
    operation = waiting(kind)
    assert operation.urgent
    sandbox.world.clock.resume()
    sandbox.world.clock.advance(30)
    while operation.checkpoint["brought_up"]:
        turn(operation)
    assert operation.urgent == operation.definition.urgent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("why", ["canceled", "too late"])
def test_it_is_down_again_when_its_server_fails_at_the_end_of_the_wait(why, kind, waiting, sandbox):
    operation = waiting(kind)
    (brought_up,) = sandbox.world.live()
    if why == "canceled":
        operation.cancel()
    else:
        waits = {what: [0, 0] for what in operation.checkpoint["waits"]}
        Operation.objects.filter(pk=operation.pk).update(checkpoint=operation.checkpoint | {"waits": waits})
    sandbox.faults.add("tunnel_offline", path="/docker/active-containers", times=1)
    turn(operation)
    assert not operation.checkpoint["brought_up"]
    assert brought_up not in sandbox.world.live()


def test_one_that_cannot_be_brought_down_keeps_its_kill_switch_until_it_is(make_pmm, waiting, perform, sandbox):
    bot = make_pmm()
    operation = waiting("stop", bot)
    (instance,) = sandbox.world.live()
    operation.cancel()
    sandbox.faults.add("tunnel_offline", path="/docker/stop-container")
    assert turn(operation) is Turn.ENDED
    assert instance in sandbox.world.live() and instance.config[0]["manual_kill_switch"] is True
    sandbox.faults.clear()
    sandbox.world.clock.resume()
    assert perform("stop", bot).state == State.SUCCEEDED
    assert instance.config[0]["manual_kill_switch"] is False


def test_one_that_could_not_be_brought_down_is_stopped_once_its_server_answers(waiting, bot, server, sandbox):
    operation = waiting("start")
    operation.cancel()
    sandbox.faults.add("tunnel_offline")
    assert turn(operation) is Turn.ENDED
    assert sandbox.world.live()
    sandbox.faults.clear()
    sandbox.world.clock.resume()
    poll_server(server)
    stop = Operation.objects.active().get(kind="stop")
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert stop.state == State.SUCCEEDED, stop.error_message
    assert Bot.objects.get(pk=bot.pk).deployment.stop_wanted_at is None


@pytest.mark.parametrize("meanwhile", ["it is up", "it went down"])
def test_unless_a_person_has_started_it_meanwhile(meanwhile, waiting, bot, server, sandbox, perform):
    operation = waiting("recover")
    operation.cancel()
    sandbox.faults.add("tunnel_offline")
    turn(operation)
    poll_server(server)
    sandbox.faults.clear()
    sandbox.world.clock.resume()
    if meanwhile == "it went down":
        sandbox.world.crash(sandbox.world.live()[0].name)
    assert perform("start", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(30)
    poll_server(server)
    assert not Operation.objects.active().exists()
    assert Bot.objects.get(pk=bot.pk).deployment.state == BotState.RUNNING


@pytest.fixture
def left_up(bot, key, perform, sandbox, server) -> Callable[[str], Bot]:
    """Have the panel recover a bot that has crashed, to start it then, and its server fail when it is up."""

    def make(kind: str, meanwhile: Callable[[], object] = lambda: None) -> Bot:
        Bot.objects.update(restart_policy=RestartPolicy.AFTER_CRASH)
        assert perform("deploy", bot).state == State.SUCCEEDED
        sandbox.world.clock.advance(60)
        poll_server(server)
        sandbox.world.clock.stop()
        sandbox.world.crash(bot.deployment.instance_name)
        poll_server(server)
        detect(timezone.now())
        assert crash_is_told()
        operation = operation_request(kind=kind, subject=bot, options=AUTOMATIC)
        while not operation.checkpoint.get("brought_up"):
            assert turn(operation) is Turn.WAITS
        waits = {what: [0, 0] for what in operation.checkpoint["waits"]}
        Operation.objects.filter(pk=operation.pk).update(checkpoint=operation.checkpoint | {"waits": waits})
        sandbox.faults.add("tunnel_offline")
        assert turn(operation) is Turn.ENDED
        assert operation.state == State.FAILED and sandbox.world.live()
        meanwhile()
        sandbox.faults.clear()
        sandbox.world.clock.resume()
        sandbox.world.clock.advance(30)
        poll_server(server)
        detect(timezone.now())
        return Bot.objects.get(pk=bot.pk)

    return make


def crash_is_told() -> bool:
    return Incident.objects.current().filter(kind=IncidentKind.BOT_CRASHED).exists()


@pytest.mark.parametrize("kind", ["start", "recover"])
def test_one_that_the_panel_could_not_bring_down_is_started_as_its_policy_says(kind, left_up, server, sandbox):
    bot = left_up(kind)
    assert crash_is_told()
    stop = Operation.objects.active().get()
    assert (stop.kind, stop.requested_by) == ("stop", None)
    assert runner.run(stop.pk)
    poll_server(server)
    detect(timezone.now())
    assert crash_is_told()
    for _ in range(2):
        restart_crashed()
    start = Operation.objects.active().get(kind="start")
    assert runner.run(start.pk)
    poll_server(server)
    detect(timezone.now())
    assert not crash_is_told()
    bot.refresh_from_db()
    assert (bot.deployment.state, len(sandbox.world.live())) == (BotState.RUNNING, 1)


@pytest.mark.parametrize("kind", ["start", "recover"])
@pytest.mark.parametrize("how", ["stopped", "policy off", "cancelled"])
def test_but_not_if_a_person_wanted_otherwise_since(how, kind, left_up, server):
    bot = left_up(kind)
    stop = Operation.objects.active().get()
    if how == "stopped":
        operation_request(kind="stop", subject=bot, requested_by=None)
    elif how == "policy off":
        Bot.objects.update(restart_policy=RestartPolicy.NEVER)
    else:
        stop.cancel()
    for operation in Operation.objects.active().order_by("pk"):
        runner.run(operation.pk)
    poll_server(server)
    for _ in range(2):
        restart_crashed()
    assert not Operation.objects.active().filter(kind__in=("start", "recover")).exists()


@pytest.mark.parametrize("lifted", ["at once", "when it is stopped"])
def test_nor_after_an_emergency_stop_that_found_it_down(lifted, left_up, server, admin_user):
    def declare() -> None:
        EmergencyStop.objects.create(scope=StopScope.EVERYTHING, reason="test", requested_by=admin_user)
        if lifted == "at once":
            lift()

    def lift() -> None:
        EmergencyStop.objects.update(lifted_at=timezone.now())

    left_up("recover", declare)
    for operation in Operation.objects.active():
        runner.run(operation.pk)
    lift()
    poll_server(server)
    for _ in range(2):
        restart_crashed()
    assert not Operation.objects.active().exists()
