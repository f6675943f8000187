"""A deploy with an unknown outcome."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import pytest

from accounts.models import Server
from bots.models import Bot, BotState, Deployment
from bots.operations.steps import deploy
from operations import runner
from operations.models import State
from operations.problems import OperationActive
from operations.services import operation_request
from sandbox import Sandbox
from sandbox.instance import Instance
from tests.bots.deploying.test_deploying import DEPLOY, assert_one_running, deploys_sent, ended, impatient
from tests.conftest import PLANTED_PASSWORD
from tests.duplicates import record_duplicate


def test_an_unanswered_deploy_is_not_sent_again_while_its_instance_may_still_appear(
    bot, perform, sandbox, retry, settings
):
    settings.FLEET = settings.FLEET | {"UNCONFIRMED": 900}
    sandbox.faults.add("server_error", path=DEPLOY, times=1)
    failed = perform("deploy", bot)
    for operation in (retry(failed), perform("deploy", bot), perform("redeploy", bot)):
        assert ended(operation) == (State.FAILED, "deploy_unconfirmed")
        assert "may appear until" in operation.error_message
    for kind in ("archive", "stop", "start"):
        assert ended(perform(kind, bot)) == (State.FAILED, "deploy_unconfirmed")
        assert bot.deployment.state == BotState.UNCONFIRMED
    assert deploys_sent(sandbox) == 1
    assert perform("deploy", bot, gone=True).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


def test_a_base_url_of_another_host_creates_no_second_bot_there(bot, perform, sandbox):
    assert perform("deploy", bot).state == State.SUCCEEDED
    with Sandbox(password=PLANTED_PASSWORD, speed=200).serve() as other_host:
        Server.objects.update(base_url=other_host.url)
        for kind in ("deploy", "redeploy", "archive", "stop", "start"):
            bot.refresh_from_db()
            assert ended(perform(kind, bot)) == (State.FAILED, "instance_unknown_here")
            assert bot.deployment.state != BotState.NOT_LISTED
        assert not other_host.world.instances
    assert len(sandbox.world.live()) == 1
    bot.refresh_from_db()
    assert bot.deployment.is_open


def test_a_redeploy_stops_when_the_previous_instance_may_have_left_orders_open(bot, perform, sandbox, monkeypatch):
    assert perform("deploy", bot).state == State.SUCCEEDED
    monkeypatch.setattr(Instance, "listed", False)
    operation = perform("redeploy", bot)
    assert ended(operation) == (State.FAILED, "orders_may_be_open")
    assert "cancel any open orders" in operation.error_remedy
    assert all(order.exchange_order_id in operation.error_message for order in sandbox.world.open_orders())
    assert not sandbox.world.live()


def test_a_container_from_before_the_deploy_is_never_its_instance(bot, perform, sandbox, server, impatient):
    assert perform("deploy", bot).state == State.SUCCEEDED
    with server.api() as api:
        unmanaged = api.bots.deploy_script(**bot.deployment.order())
    sandbox.world.crash(unmanaged)
    assert perform("archive", bot).state == State.SUCCEEDED
    sandbox.faults.add("time_out_before", path=DEPLOY, times=1)
    assert ended(perform("deploy", bot)) == (State.FAILED, "deploy_unconfirmed")
    assert bot.deployment.instance_name == ""


def test_nothing_is_sent_for_a_bot_that_was_deleted_meanwhile(bot, perform, sandbox, monkeypatch):
    send = deploy._mark_as_sent

    def delete_and_send(run, api, deployment):
        Deployment.objects.all().delete()
        Bot.objects.all().delete()
        send(run, api, deployment)

    monkeypatch.setattr(deploy, "_mark_as_sent", delete_and_send)
    operation = operation_request(kind="deploy", subject=bot)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (State.FAILED, "subject_gone")
    assert not sandbox.world.live()


def test_a_bot_that_is_about_to_be_deployed_cannot_be_deleted(bot):
    operation = operation_request(kind="deploy", subject=bot)
    with pytest.raises(OperationActive):
        bot.remove()
    operation.cancel()
    bot.remove()
    assert not Bot.objects.exists()


def test_a_definition_that_is_saved_during_a_deploy_does_not_lose_the_instance(bot, perform):
    opened = Bot.objects.get(pk=bot.pk)
    assert perform("deploy", bot).state == State.SUCCEEDED
    record_duplicate("another")
    opened.settings = opened.settings | {"order_amount": 1800}
    opened.save()
    bot.refresh_from_db()
    assert (bot.open_deployment, bot.duplicate_names) == (bot.deployments.get(), "another")
    assert bot.settings["order_amount"] == 1800
