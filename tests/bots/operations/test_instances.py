"""Stopping, starting, archiving and refreshing the instance that a bot has, whatever became of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import BotState
from bots.monitoring.guards import OBSERVING_OPERATIONS
from bots.monitoring.poll import poll_server
from bots.operations.steps import instances, lifecycle
from bots.problems import InstanceMissing
from core.problems import Problem
from hummingbot_api.errors import (
    DockerDown,
    NotFound,
    ServerFailed,
    ServerTimedOut,
    ServerUnreachable,
    TLSFailed,
    TunnelOffline,
    UnexpectedAnswer,
    WrongPassword,
)
from operations import kinds
from operations.models import Operation, State
from operations.services import operation_request
from sandbox.instance import Instance
from tests.duplicates import record_duplicate


def ended(operation) -> tuple[str, str]:
    return operation.state, operation.error_code


@pytest.fixture
def live(bot, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


@pytest.fixture
def instance(live, sandbox) -> Instance:
    (instance,) = sandbox.world.live()
    return instance


@pytest.mark.parametrize("kind", ["stop", "start", "archive", "refresh"])
def test_a_bot_that_was_never_deployed_has_nothing_to_act_upon(kind, bot, perform):
    assert ended(perform(kind, bot)) == (State.FAILED, "not_deployed")


def look_that_meets(problem: Problem):
    def look() -> None:
        raise problem

    return instances.tolerating_outages(look)


@pytest.mark.parametrize(
    "kind", [ServerUnreachable, TLSFailed, TunnelOffline, ServerTimedOut, UnexpectedAnswer, ServerFailed]
)
def test_a_waiting_step_keeps_waiting_while_the_server_is_out_of_reach(kind):
    assert look_that_meets(kind())() is None


@pytest.mark.parametrize("kind", [WrongPassword, DockerDown, NotFound, InstanceMissing])
def test_a_waiting_step_fails_at_once_if_waiting_does_not_help(kind):
    with pytest.raises(kind):
        look_that_meets(kind())()


# --- archive ---


def test_an_unresponsive_bot_is_archived(live, instance, perform, sandbox):
    sandbox.world.silence(instance.name)
    sandbox.world.clock.advance(60)
    operation = perform("archive", live)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert (instance.container, live.deployment.state) == ("removed", BotState.ARCHIVED)


def test_a_bot_that_the_server_does_not_list_is_archived_by_force_and_its_orders_are_named(
    live, instance, perform, sandbox, monkeypatch
):
    monkeypatch.setattr(Instance, "listed", False)  # the server was restarted and it has not connected since
    operation = perform("archive", live)
    assert ended(operation) == (State.FAILED, "orders_may_be_open")
    left = sandbox.world.open_orders()
    assert len(left) == 2
    assert all(order.exchange_order_id in operation.error_message for order in left)
    assert instance.archived
    assert live.deployment.state == BotState.ARCHIVED


def test_a_healthy_bot_that_the_server_forgot_for_a_moment_is_archived_in_peace(live, perform, sandbox, monkeypatch):
    listed = Instance.listed
    forgotten_until = sandbox.world.clock.now() + 20  # the API was restarted a moment ago
    monkeypatch.setattr(
        Instance, "listed", property(lambda i: sandbox.world.clock.now() > forgotten_until and listed.fget(i))
    )
    operation = perform("archive", live)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "its log shows no open orders" in operation.summary
    paths = [request.path for request in sandbox.requests if request.method == "POST"]
    assert [path.split("/")[2] for path in paths[-3:]] == ["stop-bot", "stop-and-archive-bot", "stop-container"]


def test_a_crashed_bot_is_cleaned_up_by_its_archive(live, instance, perform, sandbox):
    sandbox.world.crash(instance.name)
    operation = perform("archive", live)
    assert operation.state == State.SUCCEEDED
    assert "its log shows no open orders" in operation.summary
    assert instance.archived
    assert sandbox.world.open_orders() == []


def test_a_removed_bot_counts_as_ended_and_its_last_known_orders_are_named(live, instance, perform, sandbox):
    sandbox.world.vanish(instance.name)
    operation = perform("archive", live)
    assert ended(operation) == (State.FAILED, "orders_may_be_open")
    assert "no longer exists on the server" in operation.error_message
    assert (live.deployment.is_open, live.deployment.state) == (False, BotState.GONE)


def test_the_retry_of_an_archive_that_took_place_unseen_succeeds_and_reaches_no_server(
    live, instance, perform, sandbox, retry
):
    remove = lifecycle._remove_container

    def remove_and_lose_sight(*args):
        remove(*args)
        sandbox.faults.add("docker_down")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle, "_remove_container", remove_and_lose_sight)
        failed = perform("archive", live)
    assert ended(failed) == (State.FAILED, "docker_down")
    sandbox.faults.clear()
    sandbox.world.clock.advance(60)
    poll_server(live.server)
    sandbox.requests.clear()
    again = retry(failed)
    assert again.state == State.SUCCEEDED, again.error_message
    assert sandbox.requests == []
    assert instance.archived


def test_an_archive_that_does_not_take_place_is_unconfirmed_and_works_when_it_is_retried(
    live, instance, perform, sandbox, settings
):
    settings.FLEET = settings.FLEET | {"ARCHIVED": 0.2}
    sandbox.faults.add("mqtt_down", path="/bot-orchestration/stop-and-archive-bot")
    assert ended(perform("archive", live)) == (State.FAILED, "archive_unconfirmed")
    assert live.deployment.is_open
    sandbox.faults.clear()
    settings.FLEET = settings.FLEET | {"ARCHIVED": 3}
    live.deployment.update(archive_sent_at=None)
    assert perform("archive", live).state == State.SUCCEEDED
    assert instance.archived


# --- stop ---


def test_a_removed_bot_cannot_be_stopped_and_is_shown_as_removed(live, instance, perform, sandbox):
    sandbox.world.vanish(instance.name)
    assert ended(perform("stop", live)) == (State.FAILED, "instance_missing")
    assert live.deployment.state == BotState.GONE


def test_a_stop_of_a_crashed_bot_brings_it_up_to_cancel_its_orders(live, instance, perform, sandbox):
    sandbox.world.crash(instance.name)
    operation = perform("stop", live)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert (live.deployment.state, instance.strategy) == (BotState.STOPPED, "stopped")
    assert sandbox.world.open_orders() == []


def test_a_stop_that_the_bots_log_does_not_confirm_is_not_called_stopped(live, perform, sandbox, settings, monkeypatch):
    settings.FLEET = settings.FLEET | {"STOPPED": 0.1}
    monkeypatch.setattr(Instance, "stop_strategy", lambda self, final_status, cancels: None)
    operation = perform("stop", live)
    assert ended(operation) == (State.FAILED, "stop_unconfirmed")
    assert "may still be trading" in operation.error_message
    assert live.deployment.state == BotState.RUNNING


def test_a_stop_without_mqtt_names_the_broker_and_leaves_the_bot_alone(live, instance, perform, sandbox):
    sandbox.faults.add("mqtt_down")
    operation = perform("stop", live)
    assert ended(operation) == (State.FAILED, "mqtt_down")
    assert "broker" in operation.error_remedy
    assert instance.live


# --- start ---


def test_a_start_of_a_running_bot_does_nothing(live, instance, perform, sandbox):
    sandbox.requests.clear()
    operation = perform("start", live)
    assert operation.state == State.SUCCEEDED
    assert {request.method for request in sandbox.requests} == {"GET"}


def test_a_bot_that_is_seen_running_is_not_started_and_one_that_is_seen_stopped_is_not_stopped(live):
    live.deployment.update(observed_state=BotState.RUNNING)
    assert "already running" in kinds.get("start").blocker(live).message
    assert kinds.get("stop").blocker(live) is None
    live.deployment.update(observed_state=BotState.STOPPED, exposed_since=None)
    assert "already stopped" in kinds.get("stop").blocker(live).message
    assert kinds.get("start").blocker(live) is None


@pytest.mark.parametrize("state", [BotState.UNRESPONSIVE, BotState.UNKNOWN, BotState.UNCONFIRMED, BotState.CRASHED])
def test_a_bot_of_which_anything_is_in_doubt_can_be_stopped(live, state):
    live.deployment.update(observed_state=state)
    assert kinds.get("stop").blocker(live) is None


def test_a_bot_that_was_seen_stopped_long_ago_or_beside_another_instance_can_be_stopped(live):
    live.deployment.update(observed_state=BotState.STOPPED, observed_at=timezone.now() - timedelta(hours=1))
    assert kinds.get("stop").blocker(live) is None
    live.deployment.update(observed_state=BotState.STOPPED, observed_at=timezone.now())
    record_duplicate("sharp-spread-20260101-120000")
    assert kinds.get("stop").blocker(live) is None


def test_a_start_of_a_crashed_bot_starts_the_same_container(live, instance, perform, sandbox):
    sandbox.world.crash(instance.name)
    operation = perform("start", live)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert instance.strategy == "running"
    assert len(sandbox.world.instances) == 1
    assert live.deployment.state == BotState.RUNNING


def test_a_start_of_a_removed_bot_fails(live, instance, perform, sandbox):
    sandbox.world.vanish(instance.name)
    assert ended(perform("start", live)) == (State.FAILED, "instance_missing")


def test_a_start_of_a_bot_whose_container_exits_again_fails_with_that(live, instance, perform, sandbox):
    assert perform("stop", live).state == State.SUCCEEDED
    instance.connectors.clear()
    assert ended(perform("start", live)) == (State.FAILED, "container_exited")
    assert live.deployment.state == BotState.CRASHED


# --- read-only operations block none that act ---


@pytest.mark.parametrize("kind", OBSERVING_OPERATIONS)
@pytest.mark.parametrize("urgent", ["stop", "archive"])
def test_a_bot_is_stopped_during_a_refresh(kind, urgent, live, perform, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    looking = operation_request(kind=kind, subject=live)
    assert Operation.objects.claim(looking.pk, "worker")
    assert perform(urgent, live).state == State.SUCCEEDED


def test_a_refresh_leaves_a_bot_to_the_operation_that_works_on_it(live, instance, perform):
    stop = operation_request(kind="stop", subject=live)
    assert Operation.objects.claim(stop.pk, "worker")
    instance.stop_strategy("{}")
    assert "Another operation on" in perform("refresh", live).summary
    assert live.deployment.state == BotState.RUNNING


def test_a_refresh_reads_again_when_the_bot_was_stopped_meanwhile(live, perform, monkeypatch, settings):
    settings.FLEET = settings.FLEET | {"SETTLE": 10}  # the stop may take longer than a refresh
    read, stops = instances.read_logs, ["stop"]

    def slow_read(api, deployment):
        logs = read(api, deployment)
        if stops:
            perform(stops.pop(), live)
        return logs

    monkeypatch.setattr(instances, "read_logs", slow_read)
    assert perform("refresh", live).summary == f"{live.deployment} is stopped."
    assert live.deployment.state == BotState.STOPPED


# --- refresh ---


def test_a_refresh_notices_a_stop_or_start_outside_the_panel(live, instance, perform):
    instance.stop_strategy("{}")
    assert perform("refresh", live).state == State.SUCCEEDED
    assert live.deployment.state == BotState.STOPPED
    assert live.deployment.stopped_at is not None
    instance.stopped_at = None
    perform("refresh", live)
    assert (live.deployment.state, live.deployment.stopped_at) == (BotState.RUNNING, None)


def test_a_refresh_keeps_the_newest_error_of_the_bots_log(live, instance, perform):
    instance.problem = "no script 'x'"
    perform("refresh", live)
    assert live.deployment.last_error.endswith(": no script 'x'")
