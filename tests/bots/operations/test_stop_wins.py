"""A stop waits for nothing: whatever else is being done to the bot ends at its next safe point."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import Bot, OrphanedOrders, RestartPolicy
from bots.monitoring.poll import poll_server
from bots.operations.restarts import AUTOMATIC, restart_crashed
from bots.operations.steps import instances
from operations import kinds, runner
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_request


@pytest.fixture
def stop_amid(monkeypatch):
    """Submit a stop when the bot is first polled after its deploy, or its start."""

    def arm(bot: Bot) -> list[Operation]:
        asked: list[Operation] = []
        take = instances.Snapshot.take

        def take_and_ask(*args, **options):
            if not asked:
                asked.append(operation_request(kind="stop", subject=bot))
            return take(*args, **options)

        monkeypatch.setattr(instances.Snapshot, "take", take_and_ask)
        return asked

    return arm


@pytest.mark.parametrize("kind", ["deploy", "redeploy", "start"])
def test_a_stop_supersedes_the_operation_in_progress(kind, bot, perform, sandbox, stop_amid):
    sandbox.reset(speed=20)  # or else, on a busy machine, it could be there at the first poll
    if kind != "deploy":
        assert perform("deploy", bot).state == State.SUCCEEDED
    if kind == "start":
        assert perform("stop", bot).state == State.SUCCEEDED
    asked = stop_amid(bot)
    previous = perform(kind, bot)
    assert previous.state == State.CANCELLED
    assert "Ended for “Stop Sharp · Sharp Spread”" in previous.summary
    (stop,) = asked
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert stop.state == State.SUCCEEDED, stop.error_message
    sandbox.world.clock.advance(60)
    assert sandbox.world.open_orders() == []
    assert {instance.strategy for instance in sandbox.world.live()} == {"stopped"}


def test_a_stop_ends_a_recovery_of_the_policy_and_what_it_would_start(bot, perform, sandbox, server):
    Bot.objects.filter(pk=bot.pk).update(restart_policy=RestartPolicy.AFTER_CRASH)
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(60)
    sandbox.world.crash(bot.deployment.instance_name)
    poll_server(server)
    recovery = operation_request(kind="recover", subject=bot, options=AUTOMATIC)
    assert runner.take_turn(recovery.pk)[0] is runner.Turn.WAITS
    stop = operation_request(kind="stop", subject=bot)
    assert runner.run(recovery.pk)
    recovery.refresh_from_db()
    assert recovery.state == State.CANCELLED
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert stop.state == State.SUCCEEDED, stop.error_message
    sandbox.world.clock.advance(60)
    assert sandbox.world.open_orders() == [] and not OrphanedOrders.objects.unresolved().exists()
    poll_server(server)
    for minutes in range(5):
        restart_crashed(timezone.now() + timedelta(minutes=minutes))
    assert not Operation.objects.active().exists()


def test_the_confirmation_of_a_stop_names_what_it_ends(bot):
    output = kinds.get("stop").consequence(bot, {})
    assert "is running now" not in output
    operation_request(kind="refresh", subject=bot)
    assert kinds.get("stop").consequence(bot, {}) == output
    operation_request(kind="deploy", subject=bot)
    assert "“Deploy” is running now. It ends at its next safe point." in kinds.get("stop").consequence(bot, {})


def test_a_stop_of_a_bot_that_is_about_to_be_deployed_ends_that(bot, sandbox):
    deploy = operation_request(kind="deploy", subject=bot)
    assert kinds.get("stop").blocker(bot) is None
    stop = operation_request(kind="stop", subject=bot)
    assert runner.run(stop.pk)
    for operation, state in ((deploy, State.CANCELLED), (stop, State.SUCCEEDED)):
        operation.refresh_from_db()
        assert operation.state == state
    assert "The bot has no instance on a server" in stop.summary
    assert not sandbox.world.instances


@pytest.mark.parametrize("kind", ["stop", "recover", "archive"])
def test_a_stop_waits_for_what_stops_the_bot_itself(kind, bot, perform):
    perform("deploy", bot)
    active = operation_request(kind=kind, subject=bot)
    assert Operation.objects.claim(active.pk, "worker")
    with pytest.raises(OperationActive) as refusal:
        operation_request(kind="stop", subject=bot)
    assert refusal.value.operation_id == active.pk
