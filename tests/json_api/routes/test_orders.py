"""Orders that a bot may have left open, over the JSON API and in a terminal."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from bots.models import Bot, Deployment, OrphanedOrders

ORDER = {
    "client_order_id": "B1",
    "side": "BUY",
    "price": "0.012462",
    "amount": "1600",
    "trading_pair": "SHARP-USDT",
    "exchange_order_id": "1795925816268",
}


@pytest.fixture
def orphaned(bot: Bot) -> OrphanedOrders:
    deployment = Deployment.objects.create(
        bot=bot,
        server=bot.server,
        requested_name="x",
        instance_name="hummingbot-x-20261129-010101",
        config_name="x",
        connector="bitmart",
        trading_pair="SHARP-USDT",
    )
    return deployment.orphaned_orders.create(reason="The bot has stopped.", orders=[ORDER])


def test_they_are_listed_with_all_that_is_known(bot, orphaned, tool):
    (listed,) = tool.get(f"/bots/{bot.pk}/orphaned-orders").json()
    assert (listed["instance"], listed["connector"], listed["pair"]) == (
        "hummingbot-x-20261129-010101",
        "bitmart",
        "SHARP-USDT",
    )
    assert listed["orders"] == [ORDER]


def test_a_confirmation_names_what_was_listed(bot, orphaned, tool):
    path = f"/bots/{bot.pk}/orphaned-orders/resolve"
    assert tool.post(path, {}).status_code == 422
    (listed,) = tool.get(f"/bots/{bot.pk}/orphaned-orders").json()
    orphaned.orders = [ORDER, ORDER | {"client_order_id": "S2"}]  # found since
    orphaned.save()
    assert tool.post(path, {"versions": [listed["version"]]}).json() == []
    (listed,) = tool.get(f"/bots/{bot.pk}/orphaned-orders").json()
    (confirmed,) = tool.post(path, {"versions": [listed["version"]]}).json()
    assert confirmed["version"] == listed["version"]
    assert tool.get(f"/bots/{bot.pk}/orphaned-orders").json() == []
    assert not OrphanedOrders.objects.unresolved().exists()


def test_a_deploy_and_a_start_are_refused_until_then(bot, orphaned, tool):
    answer = tool.post(f"/bots/{bot.pk}/deploy", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "orders_may_be_open")
    assert "1795925816268" in answer.json()["detail"]
    assert tool.post(f"/bots/{bot.pk}/deploy?wait=0", {"open_orders": True}).status_code == 202


@pytest.mark.parametrize("action", ["stop", "archive", "pause"])
def test_only_what_makes_a_bot_quote_takes_that_decision(action, bot, tool):
    answer = tool.post(f"/bots/{bot.pk}/{action}", {"open_orders": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid")


def test_a_terminal_names_them_and_takes_the_confirmation(bot, orphaned):
    def run(*words: str) -> str:
        out = StringIO()
        call_command("bot", "orphaned_orders", str(bot.pk), *words, stdout=out)
        return out.getvalue()

    assert "buy 1600 SHARP-USDT at 0.012462 (exchange order 1795925816268)" in run()
    assert json.loads(run("--json"))[0]["orders"] == [ORDER]
    assert "The orders are marked as resolved." in run("--resolve")
    assert "It has no known open orders." in run()
