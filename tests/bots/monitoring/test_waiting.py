"""One look at a server serves all operations that wait for something on it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Server
from bots import tasks
from bots.models import Bot
from bots.monitoring.waiting import servers_waited_for, wake_by_sight
from operations import runner
from operations.models import Operation, State
from operations.runner import Turn
from operations.services import operation_request

#: Sandbox seconds after which a bot has connected.
CONNECTED = 21
LATER = timedelta(seconds=30)


@pytest.fixture
def starting(sandbox, make_bot, key) -> Callable[..., Operation]:
    """Deploy a bot that does not connect before the sandbox's clock is moved."""

    def deploy(**changes: object) -> Operation:
        sandbox.world.clock.stop()
        operation = operation_request(kind="deploy", subject=make_bot(**changes))
        assert runner.take_turn(operation.pk)[0] is Turn.WAITS
        Operation.objects.filter(pk=operation.pk).update(wake_at=timezone.now() + LATER)
        return operation

    return deploy


def is_due(operation: Operation) -> bool:
    return Operation.objects.claimable().filter(pk=operation.pk).exists()


def test_a_deploy_that_waits_for_its_bot_is_woken_when_the_bot_has_connected(starting, sandbox, server):
    operation = starting()
    assert wake_by_sight(server) == []
    assert not is_due(operation)
    sandbox.world.clock.advance(CONNECTED)
    assert wake_by_sight(server) == [operation.pk]
    assert runner.take_turn(operation.pk)[0] is Turn.ENDED
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED


def test_it_is_woken_when_its_container_has_exited(starting, sandbox, server):
    operation = starting()
    sandbox.world.crash(next(iter(sandbox.world.instances)))
    assert wake_by_sight(server) == [operation.pk]
    assert runner.take_turn(operation.pk)[0] is Turn.ENDED
    operation.refresh_from_db()
    assert operation.error_code == "container_exited"


def test_many_cost_the_server_what_one_costs(starting, sandbox, server):
    def requests() -> list[str]:
        sandbox.requests.clear()
        wake_by_sight(server)
        return [request.path for request in sandbox.requests]

    starting()
    of_one = requests()
    for number in range(5):
        starting(name=f"Another {number}")
    assert requests() == of_one
    assert len(of_one) == 3


def test_those_whose_instances_look_as_before_are_left_waiting(starting, sandbox, server):
    first = starting()
    sandbox.world.clock.advance(CONNECTED)
    second = starting(name="Later")
    assert wake_by_sight(server) == [first.pk]
    assert not is_due(second)


def test_a_name_that_begins_like_another_one_is_another_instance(starting, sandbox, server):
    first = starting(name="Sharp")
    sandbox.world.clock.advance(CONNECTED)
    starting(name="Sharp 2")
    assert wake_by_sight(server) == [first.pk]


def test_a_server_on_which_nothing_waits_is_not_asked(sandbox, server):
    sandbox.requests.clear()
    assert wake_by_sight(server) == []
    assert not sandbox.requests


def test_what_is_looked_at_for_it_does_not_look_by_itself_until_its_time_is_over(starting, server, settings):
    settings.FLEET = settings.FLEET | {"GLANCE": 40}
    long, short = starting(), starting(name="Another")
    Operation.objects.filter(pk=long.pk).update(awaits_until=timezone.now() + 3 * LATER)
    before = Operation.objects.in_bulk()
    wake_by_sight(server)
    after = Operation.objects.in_bulk()
    assert after[long.pk].wake_at > before[long.pk].wake_at
    assert after[short.pk].wake_at == before[short.pk].wake_at


def test_a_cancel_that_no_worker_has_taken_up_yet_is_not_put_off(starting, server, settings):
    settings.FLEET = settings.FLEET | {"GLANCE": 40}
    operation = starting()
    Operation.objects.filter(pk=operation.pk).update(awaits_until=timezone.now() + 3 * LATER)
    operation.cancel()
    assert is_due(operation)
    wake_by_sight(server)
    assert is_due(operation)


def test_servers_are_looked_at_only_while_somebody_waits_there(starting, server, bot, sandbox):
    Server.objects.create(name="Idle", base_url="http://127.0.0.1:9", password="x")
    assert servers_waited_for() == set()
    starting(name="Waits")
    assert servers_waited_for() == {server.pk}


def test_a_server_that_does_not_answer_wakes_nobody_and_holds_no_worker_again(starting, sandbox, server):
    starting()
    sandbox.faults.add("refused_connection")
    assert wake_by_sight(server) == []
    Server.objects.filter(pk=server.pk).update(reachable=False)
    assert servers_waited_for() == set()


def test_two_workers_look_at_a_server_once(starting, sandbox, server, monkeypatch):
    monkeypatch.setattr(tasks, "run_operation", lambda pk: None)
    starting()
    sandbox.requests.clear()
    look = replace(tasks.LOOK, every=LATER)
    for _ in range(2):
        look.run_if_due(server.pk)
    assert len(sandbox.requests) == 3


def test_the_page_says_what_a_bot_waits_for(starting, admin_client):
    operation = starting()
    for page in (operation.get_absolute_url(), Bot.objects.get().get_absolute_url()):
        assert "Waiting for the bot to connect, at the latest until" in admin_client.get(page).content.decode()


# --- keys of many bots of one client ---


def test_bots_of_one_client_that_are_deployed_at_once_push_its_key_once(starting, sandbox, key):
    for number in range(4):
        starting(name=f"Bot {number}")
    pushes = [request.path for request in sandbox.requests if "/add-credential/" in request.path]
    assert pushes == ["/accounts/add-credential/client_sharp/bitmart"]


def test_a_key_that_is_pushed_is_compared_without_having_the_profile_to_oneself(starting, sandbox, key):
    starting()
    holder = Operation.objects.get()
    Operation.objects.filter(pk=holder.pk).update(exclusive_resource=f"profile:{key.client.server_id}:client_sharp")
    starting(name="Another")  # it did not wait for the profile
    assert Operation.objects.get(subject_label__contains="Another").awaits == "the bot to connect"


@pytest.mark.parametrize("change", ["other values", "deleted on the server"])
def test_a_key_that_is_not_as_pushed_is_pushed_again(change, starting, sandbox, key):
    starting()
    if change == "other values":
        type(key).objects.filter(pk=key.pk).update(fingerprint="another")
    else:
        sandbox.world.accounts["client_sharp"].clear()
    sandbox.requests.clear()
    starting(name="Another")
    assert [request.path for request in sandbox.requests if "/add-credential/" in request.path]


def test_a_key_that_the_server_does_not_use_is_pushed_again(starting, sandbox, make_bot, perform):
    starting()
    sandbox.world.unreadable.add("client_sharp")
    operation = perform("deploy", make_bot(name="Another"))
    assert operation.error_code == "server_keys_unreadable"
