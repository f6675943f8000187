"""The account type is shown wherever a connector is named, so that no one trades real money by mistake."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import ExchangeKey
from bots.models import Bot
from operations.services import operation_request
from tests.controlpanel.conftest import BOT, KEY, operate_url, text_of, url_of


def badge(account_type: str, words: str) -> str:
    return f'<span class="panel-badge is-{account_type}">{words}</span>'


REAL, PAPER, TESTNET = badge("real", "live"), badge("paper", "paper"), badge("testnet", "testnet")


@pytest.mark.parametrize(
    ("connector", "shown"), [("bitmart", REAL), ("binance_paper_trade", PAPER), ("bybit_testnet", TESTNET)]
)
def test_a_bots_account_type_is_shown_in_lists_on_pages_and_before_a_deploy(connector, shown, make_bot, admin_client):
    bot = make_bot(connector=connector, trading_pair="BTC-USDT")
    for page in (
        reverse(f"{BOT}_changelist"),
        url_of(bot, "now"),
        bot.client.get_absolute_url(),
        operate_url(bot, "deploy"),
    ):
        text = text_of(admin_client.get(page))
        assert [b for b in (REAL, PAPER, TESTNET) if b in text] == [shown], page


def test_a_bot_that_was_edited_to_paper_trade_is_shown_as_what_it_still_trades(bot, perform, admin_client):
    perform("deploy", bot)
    bot.connector = "binance_paper_trade"
    bot.save()
    for page in (
        reverse(f"{BOT}_changelist"),
        operate_url(bot, "stop"),
        reverse("admin:bots_deployment_changelist"),
        url_of(bot.deployment),
    ):
        text = text_of(admin_client.get(page))
        assert REAL in text and PAPER not in text, page
    page = text_of(admin_client.get(url_of(bot, "now")))
    assert page.index(REAL) < page.index("It will then trade on") < page.index(PAPER)
    assert PAPER in text_of(admin_client.get(operate_url(bot, "redeploy")))


@pytest.mark.parametrize(
    ("connector", "shown"), [("bitmart", REAL), ("binance_paper_trade", PAPER), ("bybit_testnet", TESTNET)]
)
def test_an_operations_account_type_is_shown_on_its_page_and_in_lists(connector, shown, make_bot, admin_client):
    bot = make_bot(connector=connector, trading_pair="BTC-USDT")
    operation = operation_request(kind="deploy", subject=bot)
    Bot.objects.update(connector="okx")
    for page in (operation.get_absolute_url(), reverse("admin:operations_operation_changelist")):
        text = text_of(admin_client.get(page))
        assert [b for b in (REAL, PAPER, TESTNET) if b in text] == [shown], page
    assert shown in text_of(admin_client.get("/admin/")).partition("Recent activity")[2]


@pytest.mark.parametrize("page", ["now", "change", "logs", "performance", "runs"])
def test_each_of_a_bots_pages_shows_its_account_type(page, bot, admin_client):
    assert REAL in text_of(admin_client.get(url_of(bot, page)))


def test_an_operation_on_many_connectors_has_no_badge(server, admin_client):
    operation = operation_request(kind="check_server", subject=server)
    text = text_of(admin_client.get(operation.get_absolute_url()))
    assert not [b for b in (REAL, PAPER, TESTNET) if b in text]


def test_a_keys_account_type_is_shown_in_lists_on_pages_and_before_a_push(key, admin_client):
    for page in (
        reverse(f"{KEY}_changelist"),
        url_of(key),
        reverse("client_keys", args=[key.client.pk]),
        operate_url(key, "test_key"),
    ):
        assert REAL in text_of(admin_client.get(page)), page


def test_the_bots_form_says_with_each_suggestion_what_it_trades_with(client_sharp, admin_client):
    form = text_of(admin_client.get(reverse(f"{BOT}_add")))
    assert '<option value="binance_paper_trade" label="Binance, paper">' in form
    assert '<option value="binance" label="Binance, live">' in form


def test_a_key_that_is_due_says_so_on_its_page_and_its_clients_and_is_found_in_the_list(key, admin_client):
    def found(renewal: str) -> int:
        page = admin_client.get(reverse(f"{KEY}_changelist"), {"renewal": renewal})
        return int(page.context["cl"].result_count)

    badge = '<span class="panel-state is-due">due for rotation</span>'
    for age, due in ((10, False), (100, True)):
        ExchangeKey.objects.update(changed_at=timezone.now() - timedelta(days=age))
        assert (found("due"), found("not_due"), found("expired")) == (due, not due, 0)
        for page in (url_of(key), reverse("client_keys", args=[key.client.pk])):
            assert (badge in text_of(admin_client.get(page))) == due, page
