"""A deploy that finds the instance of an earlier one, which nobody has seen connected: it keeps the instance only if
that is what it would make itself, and says so before.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import Bot, Deployment
from bots.monitoring.poll import poll_server
from bots.operations.steps import prepare
from operations import kinds, runner
from operations.models import Operation, State
from operations.runner import Turn
from operations.services import operation_request
from tests.bots.deploying.test_deploying import DEPLOY, assert_one_running, deploys_sent, ended
from tests.conftest import PLANTED


def says(bot: Bot) -> str:
    bot = Bot.objects.get(pk=bot.pk)
    return kinds.get("deploy").consequence(bot, {})


@pytest.fixture
def unconnected(make_bot, key, perform, sandbox, settings) -> Bot:
    """A bot that can't connect, with its container up, which would connect from now on."""
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 0.3}
    bot = make_bot(headless=False)
    assert ended(perform("deploy", bot)) == (State.FAILED, "bot_never_connected")
    Deployment.objects.update(headless=True)
    Bot.objects.update(headless=True)
    (instance,) = sandbox.world.live()
    instance.headless = True
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 3}
    return Bot.objects.get()


def amount(bot, key):
    bot.settings = bot.settings | {"order_amount": 800}


def pair(bot, key):
    bot.trading_pair = "BTC-USDT"
    bot.settings = bot.settings | {"order_amount": 1}


def image(bot, key):
    bot.image = "hummingbot/hummingbot:version-2.10.0"


def rotated(bot, key):
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()


def headless(bot, key):
    Deployment.objects.update(headless=False)


@pytest.mark.parametrize("change", [amount, pair, image, rotated, headless])
def test_an_instance_that_is_another_than_wanted_now_is_archived(change, unconnected, key, perform, sandbox):
    (old,) = sandbox.world.live()
    change(unconnected, key)
    unconnected.full_clean()
    unconnected.save()
    words = says(unconnected)
    assert "Then the instance is archived." in words
    assert "Then a new instance starts" in words
    operation = perform("deploy", unconnected)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert not Deployment.objects.open().filter(instance_name=old.name).exists()
    assert_one_running(unconnected, sandbox, made=2)
    instance, deployment = sandbox.world.live()[0], unconnected.deployment
    assert instance.name != old.name
    assert deployment.trading_pair == unconnected.trading_pair
    assert deployment.config["order_amount"] == unconnected.settings["order_amount"]
    assert instance.connectors["bitmart"] == key.read_values()
    assert deployment.trading_pair in words


def test_one_with_the_same_definition_and_key_is_kept(unconnected, perform, sandbox):
    words = says(unconnected)
    assert "it is kept" in words
    assert "Then" not in words
    operation = perform("deploy", unconnected)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert deploys_sent(sandbox) == 1
    assert_one_running(unconnected, sandbox)


def test_one_that_has_exited_is_archived(unconnected, perform, sandbox, server):
    (old,) = sandbox.world.live()
    sandbox.world.crash(old.name)
    poll_server(server)
    assert "Then the instance is archived." in says(unconnected)
    operation = perform("deploy", unconnected)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert_one_running(unconnected, sandbox, made=2)


@pytest.mark.parametrize("kind", ["stop", "recover"])
def test_one_that_a_person_has_stopped_is_archived(kind, unconnected, perform, sandbox):
    assert perform(kind, unconnected).state == State.SUCCEEDED
    assert "Then the instance is archived." in says(unconnected)
    operation = perform("deploy", unconnected)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert_one_running(unconnected, sandbox, made=2)


def test_one_that_a_worker_before_has_kept_stays_kept_whatever_is_entered(unconnected, key, perform, sandbox):
    deploy = operation_request(kind="deploy", subject=unconnected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "require_no_duplicates", killed)
        with pytest.raises(SystemExit):
            runner.take_turn(deploy.pk)
    rotated(unconnected, key)
    Operation.objects.filter(pk=deploy.pk).update(lease_until=timezone.now() - timedelta(minutes=1))
    runner.run(deploy.pk)
    deploy.refresh_from_db()
    assert deploy.state == State.SUCCEEDED, deploy.error_message
    assert "It is adopted" in deploy.steps.get(key="look").detail
    assert_one_running(unconnected, sandbox)


def killed(*_: object, **__: object) -> None:
    raise SystemExit


@pytest.fixture
def stop_wanted(bot, perform, sandbox, settings, monkeypatch) -> Bot:
    """A bot whose deploy was not answered, and that somebody stopped before its instance was there."""
    settings.FLEET = settings.FLEET | {"UNCONFIRMED": 900}
    sandbox.faults.add("time_out_after", path=DEPLOY, times=1)
    monkeypatch.setattr(Deployment, "find_instance", lambda deployment, names: "")
    assert ended(perform("deploy", bot)) == (State.FAILED, "deploy_unconfirmed")
    assert ended(perform("stop", bot)) == (State.FAILED, "deploy_unconfirmed")
    assert bot.deployment.stop_wanted_at is not None
    return bot


def test_a_deploy_that_was_cancelled_before_it_found_one_leaves_it_to_be_stopped(
    stop_wanted, sandbox, server, monkeypatch
):
    deploy = operation_request(kind="deploy", subject=stop_wanted)
    assert runner.take_turn(deploy.pk)[0] == Turn.WAITS
    deploy.refresh_from_db()
    deploy.cancel()
    runner.run(deploy.pk)
    deploy.refresh_from_db()
    assert deploy.state == State.CANCELLED
    monkeypatch.undo()
    sandbox.world.clock.advance(60)
    poll_server(server)
    assert [operation.kind for operation in Operation.objects.active()] == ["stop"]


def test_one_that_found_it_wants_it_to_run(stop_wanted, perform, sandbox, server, monkeypatch):
    monkeypatch.undo()
    assert perform("deploy", stop_wanted).state == State.SUCCEEDED
    poll_server(server)
    assert not Operation.objects.active()
    assert_one_running(stop_wanted, sandbox)
