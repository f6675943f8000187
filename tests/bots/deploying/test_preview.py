"""What a deployment sends is shown before it is sent, and an old one can be sent again."""

import pytest
from django.urls import reverse

from bots.configuration.preview import preview
from bots.configuration.trading_rules import save_warnings
from bots.models import Bot
from bots.strategies.bundled import BUNDLED
from bots.strategies.comparison import describe_settings
from tests.conftest import PLANTED


@pytest.fixture
def deployed(bot: Bot, perform):
    perform("check_server", bot.server)
    assert perform("deploy", bot).state == "succeeded"
    return bot


def parts_of(bot: Bot) -> dict:
    return {part.title: part for part in preview(bot.plan_deployment(), bot.deployment)}


def test_the_preview_holds_what_the_server_then_gets(deployed, sandbox):
    parts = parts_of(deployed)
    sent = {request.path: request.json for request in sandbox.requests if request.method == "POST"}
    assert (
        sent["/bot-orchestration/deploy-v2-script"].items()
        >= {
            "instance_name": "hummingbot-client_sharp-sharp-spread",
            "script_config": "hummingbot-client_sharp-sharp-spread.yml",
        }.items()
    )
    assert '"script_config": "hummingbot-client_sharp-sharp-spread.yml"' in parts["Deploy request"].content
    assert '"bid_spread": 0.003' in parts["Configuration"].content
    assert parts["Script"].content == deployed.strategy.source


def test_the_key_is_shown_by_its_fields_only(deployed):
    content = parts_of(deployed)["Exchange key"].content
    assert "bitmart_memo" in content
    assert not [value for value in PLANTED.values() if value in content]


def test_an_unchanged_definition_has_no_changes(deployed):
    assert not any(part.changes or part.is_new for part in parts_of(deployed).values())


def test_a_changed_setting_is_shown_as_a_difference(deployed):
    deployed.settings = deployed.settings | {"bid_spread": 0.005}
    changes = parts_of(deployed)["Configuration"].changes
    assert '-  "bid_spread": 0.003,' in changes
    assert '+  "bid_spread": 0.005,' in changes


def test_the_settings_come_first_and_as_text(deployed):
    settings, *others = preview(deployed.plan_deployment(), deployed.deployment)
    assert (settings.title, settings.is_open, {part.is_open for part in others}) == ("Settings", True, {False})
    assert settings.content.splitlines() == [
        "Exchange: bitmart",
        "Trading pair: SHARP-USDT",
        "Bid spread (fraction): 0.003 (0.3 %)",
        "Ask spread (fraction): 0.003 (0.3 %)",
        "Order amount (base asset): 1600 (about 20 USDT)",
        "Order refresh time (seconds): 60",
    ]


def test_a_spread_in_percent_is_questioned_when_saved_and_before_a_deploy(bot, admin_client):
    bot.settings |= {"ask_spread": 0.3}
    bot.save()
    doubt = "30 % of the price is so wide that the orders may never fill. Did you mean 0.3 %?"
    assert f"ask_spread: {doubt}" in save_warnings(bot)
    page = admin_client.get(reverse("admin:bots_bot_operate", args=[bot.pk, "deploy"]))
    assert doubt in page.content.decode()


def test_the_confirmation_page_shows_the_difference(deployed, admin_client):
    deployed.settings |= {"bid_spread": 0.005}
    deployed.save()
    page = admin_client.get(reverse("admin:bots_bot_operate", args=[deployed.pk, "redeploy"])).content.decode()
    assert "+  &quot;bid_spread&quot;: 0.005," in page


def test_an_old_deployment_is_deployed_again_as_it_was(deployed, perform, sandbox):
    old = deployed.deployment
    deployed.settings |= {"bid_spread": 0.005}
    deployed.save()
    assert perform("redeploy", deployed).state == "succeeded"
    assert perform("redeploy", deployed, like=old.pk).state == "succeeded"
    first, second, third = (instance.config for instance in sandbox.world.instances.values())
    assert second["bid_spread"] == 0.005
    assert third == first
    assert len(sandbox.world.live()) == 1


def test_the_page_of_a_deployment_leads_to_repeating_it(deployed, admin_client):
    page = admin_client.get(deployed.deployment.get_absolute_url()).content.decode()
    again = f"{reverse('admin:bots_bot_operate', args=[deployed.pk, 'redeploy'])}?like={deployed.deployment.pk}"
    assert again in page
    assert f'name="like" value="{deployed.deployment.pk}"' in admin_client.get(again).content.decode()


def test_a_number_that_no_deployment_has_repeats_none(deployed, admin_client):
    page = reverse("admin:bots_bot_operate", args=[deployed.pk, "redeploy"])
    assert admin_client.get(page, {"like": "9" * 5000}).status_code == 200


def test_another_bots_deployment_is_not_repeated(deployed, make_bot, perform):
    other = make_bot(name="Other")
    operation = perform("deploy", other, like=deployed.deployment.pk)
    assert (operation.state, operation.error_code) == ("failed", "definition_invalid")


def test_a_special_value_is_shown_by_its_meaning():
    schema = BUNDLED["pmm_v1"]["schema"]
    lines = list(describe_settings(schema, {"price_ceiling": -1, "price_floor": 0.5}))
    assert lines == ["Price ceiling (quote asset): off", "Price floor (quote asset): 0.5"]
