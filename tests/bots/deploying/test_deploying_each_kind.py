"""Deploys of scripts, of controllers, and of what the server can't run."""

from decimal import Decimal

import pytest

from bots.models import Bot, BotState, Deployment, Strategy
from bots.strategies.schema import schema_from
from hummingbot_api.resources import Scripts
from operations import runner
from operations.models import State
from operations.services import operation_request
from tests.bots.deploying.test_deploying import assert_one_running, deploys_sent, ended
from tests.conftest import PLANTED


def test_paper_trade_needs_no_key(make_bot, perform, sandbox):
    bot = make_bot(connector="binance_paper_trade", trading_pair="BTC-USDT")
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert not [request for request in sandbox.requests if "add-credential" in request.path]
    assert bot.deployment.key_fingerprint == ""
    assert_one_running(bot, sandbox)


def test_a_bot_without_a_key_is_not_deployed(make_bot, perform, sandbox):
    operation = perform("deploy", make_bot())
    assert ended(operation) == (State.FAILED, "key_missing")
    assert "client_sharp" not in sandbox.world.accounts


def test_a_key_that_only_the_server_knows_will_do(make_bot, perform, sandbox):
    sandbox.world.accounts["client_sharp"] = {"bitmart": PLANTED}
    bot = make_bot()
    assert ended(perform("deploy", bot)) == (State.FAILED, "profile_exists")
    perform("verify_profile", bot.client)
    assert perform("deploy", bot).state == State.SUCCEEDED
    assert bot.client.profiles.get().adopted
    assert_one_running(bot, sandbox)


def test_a_controller_is_deployed_with_its_settings_and_limits(make_bot, key, perform, sandbox):
    bot = make_bot(
        strategy=Strategy.objects.get(name="pmm_v1"),
        settings={"order_amount": 1600, "buy_spreads": [0.003, 0.006], "sell_spreads": [0.004]},
        max_global_drawdown_quote=Decimal("25.5"),
    )
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert_one_running(bot, sandbox)
    (instance,) = sandbox.world.live()
    assert instance.strategy_type == "controller"
    (sent,) = [r.json for r in sandbox.requests if r.path == "/bot-orchestration/deploy-v2-controllers"]
    assert (sent["max_global_drawdown_quote"], sent["max_controller_drawdown_quote"]) == (25.5, None)
    (config,) = instance.config
    assert config["buy_spreads"] == [0.003, 0.006]
    assert (config["connector_name"], config["trading_pair"]) == ("bitmart", "SHARP-USDT")


def test_a_controller_that_the_server_lacks_or_refuses_is_named(make_bot, key, perform, sandbox):
    strategy = Strategy.objects.create(name="pmm_9", kind="controller", controller_type="generic")
    operation = perform("deploy", make_bot(strategy=strategy, settings={}))
    assert ended(operation) == (State.FAILED, "controller_invalid")
    assert "generic/pmm_9" in operation.error_message
    pmm = Strategy.objects.get(name="pmm_v1")
    pmm.schema, pmm.default_settings = {}, {"no_such_setting": 1}
    pmm.save()
    operation = perform("deploy", make_bot(name="Other", strategy=pmm, settings={}))
    assert ended(operation) == (State.FAILED, "config_invalid")
    assert "no_such_setting" in operation.error_message
    assert not sandbox.world.instances


@pytest.mark.parametrize(
    ("source", "settings", "named"),
    [
        ("import os\n", {}, "configuration class"),
        ("import hummingbot.strategy.pure_market_making.pure_market_making_v2\n", {}, "configuration class"),
        (
            "class MyConfig(StrategyV2ConfigBase):\n    connector_name: str = ''\n    trading_pair: str = ''\n",
            {"spread": 1},
            "has no setting spread",
        ),
    ],
)
def test_a_script_that_the_server_cannot_use_is_named_before_anything_is_deployed(
    source, settings, named, make_bot, key, perform, sandbox
):
    # Its schema claims what its config class does not declare.
    strategy = Strategy.objects.create(name="mine", source=source, schema=schema_from(settings))
    operation = perform("deploy", make_bot(strategy=strategy, settings=settings))
    assert ended(operation) == (State.FAILED, "script_invalid")
    assert named in operation.error_message
    assert not deploys_sent(sandbox)


def test_a_configuration_that_the_server_holds_otherwise_than_sent_is_not_deployed(bot, perform, sandbox, monkeypatch):
    held = Scripts.get_config
    monkeypatch.setattr(Scripts, "get_config", lambda self, name: held(self, name) | {"order_amount": 16})
    operation = perform("deploy", bot)
    assert ended(operation) == (State.FAILED, "config_invalid")
    assert "order_amount" in operation.error_message
    assert not deploys_sent(sandbox)


def test_a_definition_that_became_invalid_is_not_deployed(bot, perform, sandbox):
    bot.settings["bid_spread"] = 2
    bot.save()
    operation = perform("deploy", bot)
    assert ended(operation) == (State.FAILED, "definition_invalid")
    assert "bid_spread" in operation.error_message
    assert not sandbox.requests
    assert not bot.deployments.exists()


@pytest.mark.parametrize(
    ("account", "name", "other_account", "other_name"),
    [
        ("b-sharp", "spread", "b", "Sharp Spread"),
        ("c-sharp-sharp", "spread", "c-sharp", "Sharp Spread"),
        ("a-", "x", "a", "x"),
        ("a--b", "c", "a", "b c"),
    ],
)
def test_two_bots_whose_names_could_be_joined_alike_both_run(
    account, name, other_account, other_name, perform, make_bot, server
):
    for account_name, bot_name in ((account, name), (other_account, other_name)):
        client = server.clients.create(name=account_name, account_name=account_name)
        bot = make_bot(client=client, name=bot_name, connector="binance_paper_trade")
        assert ended(perform("deploy", bot)) == (State.SUCCEEDED, "")
        assert bot.deployment.profile == account_name
    first, second = Deployment.objects.order_by("pk")
    assert first.requested_name != second.requested_name
    assert not first.is_instance(second.instance_name)
    assert not second.is_instance(first.instance_name)


def test_an_open_instance_with_a_similar_old_name_is_not_this_one(bot, perform, make_bot, server):
    other = server.clients.create(name="Other", account_name="client_sharp-sharp")
    namesake = make_bot(client=other, name="spread", connector="binance_paper_trade")
    perform("deploy", namesake)
    namesake.deployment.update(requested_name=bot.instance_name)
    assert ended(perform("deploy", bot)) == (State.FAILED, "instance_name_taken")
    namesake.deployment.end(BotState.ARCHIVED)
    assert ended(perform("deploy", bot)) == (State.SUCCEEDED, "")


def test_an_instance_deployed_under_a_previous_name_is_still_this_bots(perform, make_bot, server):
    client = server.clients.create(name="B", account_name="b-sharp")
    bot = make_bot(client=client, name="spread", connector="binance_paper_trade")
    previous = "hummingbot-b-sharp-spread"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bot, "instance_name", previous)
        assert ended(perform("deploy", bot)) == (State.SUCCEEDED, "")
    name = bot.deployment.instance_name
    assert name.startswith(f"{previous}-2")
    perform("refresh", bot)
    assert (bot.deployment.state, bot.duplicate_names) == (BotState.RUNNING, "")
    assert ended(perform("redeploy", bot)) == (State.SUCCEEDED, "")
    assert bot.deployment.instance_name.startswith("hummingbot-b-sharp--spread-2")


@pytest.mark.parametrize("key_of_step", ["server", "profile", "config"])
def test_a_deploy_that_is_cancelled_before_it_is_sent_leaves_no_deployment_open(key_of_step, bot, sandbox):
    operation = operation_request(kind="deploy", subject=bot)

    def cancel(step) -> None:
        if step.key == key_of_step and step.state == "running":
            operation.cancel()

    assert runner.run(operation.pk, on_step=cancel)
    operation.refresh_from_db()
    assert operation.state == State.CANCELLED
    assert [deployment.observed_state for deployment in bot.deployments.all()] == ["not_created"]
    assert not deploys_sent(sandbox)


def test_an_edit_during_the_deploy_does_not_mix_with_what_was_planned(bot, sandbox):
    operation = operation_request(kind="deploy", subject=bot)

    def edit(step) -> None:
        if step.key == "server" and step.state == "done":
            type(bot).objects.update(settings=bot.settings | {"bid_spread": 0.5})

    assert runner.run(operation.pk, on_step=edit)
    (instance,) = sandbox.world.live()
    assert instance.config["bid_spread"] == 0.003
