"""What the onboarding finds out before the launch: a key's test, an exchange's pairs, the check, doubtful settings."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ExchangeKey
from bots.models import Bot, MarketListing, TradingRules
from controlpanel.onboarding.market_price import price_of
from markets.models import BookSample, QuoteState
from operations.models import Operation, State
from tests.conftest import PLANTED, count_queries, stored_key
from tests.controlpanel.clients.test_onboarding_pages import bot_facts, page, run_next
from tests.controlpanel.conftest import text_of, url_of


@pytest.fixture
def manager(make_user) -> User:
    return make_user("anna")


@pytest.fixture
def browser(manager, browse) -> Browser:
    return browse(manager)


@pytest.fixture
def own(client_sharp, manager) -> Client:
    client_sharp.account_manager = manager
    client_sharp.save()
    return client_sharp


def of_key(name: str, key: ExchangeKey) -> str:
    return reverse(f"onboard_{name}", args=[key.client_id, key.pk])


# --- the exchange ---


def test_no_exchange_is_chosen_for_a_user_who_has_not_chosen_one(own, browser):
    chosen = browser.get(page("bot", own)).context["adminform"].form["connector"].value()
    assert chosen is None
    refused = browser.post(page("bot", own), bot_facts(own, connector=""))
    assert refused.context["adminform"].form.errors == {"connector": ["Choose an exchange."]}


def test_a_skipped_key_is_not_shown_as_done(own, browser):
    assert '"is-skipped"' in text_of(browser.get(page("bot", own)))
    stored_key(own)
    shown = text_of(browser.get(page("bot", own)))
    assert '"is-skipped"' not in shown and '"is-past"' in shown


def test_the_bots_exchanges_begin_with_those_that_have_a_key(own, key, browser):
    field = browser.get(page("bot", own)).context["adminform"].form.fields["connector"]
    (first, with_key), (second, paper), (third, others) = field.choices
    assert (first, with_key) == ("Exchanges with a key", [("bitmart", "BitMart")])
    assert second == "Paper trade (simulated money, no key)" and ("binance_paper_trade", "Binance") in paper
    assert third == "Other exchanges (a key is needed first)" and ("kucoin", "KuCoin") in others
    shown = text_of(browser.get(page("bot", own)))
    assert f"Key …{key.hint}" in shown


def test_with_one_key_its_exchange_is_chosen(own, key, browser):
    assert browser.get(page("bot", own)).context["adminform"].form["connector"].value() == "bitmart"


def test_an_exchange_without_scripts_is_chosen_by_a_button(own, browser):
    shown = text_of(browser.get(page("key", own)))
    assert '<noscript><button type="submit" name="_choose"' in shown
    chosen = browser.post(page("key", own), {"client": own.pk, "connector": "bitmart", "_choose": "1"}, follow=True)
    assert set(PLANTED) <= set(chosen.context["adminform"].form.fields)
    assert not ExchangeKey.objects.exists()


def test_a_refused_form_names_its_fields_with_links(own, browser):
    shown = text_of(browser.post(page("bot", own), bot_facts(own, name="", trading_pair="nonsense")))
    assert "2 fields need attention" in shown
    for field in ("name", "trading_pair"):
        assert f'href="#id_{field}"' in shown and f'id="id_{field}"' in shown


# --- the addresses that a key allows ---


def test_the_outbound_address_is_shown_wherever_a_key_is_entered(own, key, browser):
    own.server.outbound_addresses = "8.8.4.4, 2001:4860:4860::8844"
    own.server.save()
    for address in (f"{page('key', own)}?connector=kucoin", url_of(key, "rotate")):
        shown = text_of(browser.get(address))
        assert "Allow only these IPs" in shown
        assert "<code>8.8.4.4</code>" in shown and "<code>2001:4860:4860::8844</code>" in shown


def test_an_unknown_outbound_address_is_asked_of_those_who_may_enter_it(own, browser, admin_client):
    address = f"{page('key', own)}?connector=kucoin"
    assert "It is unknown: ask your administrator." in text_of(browser.get(address))
    shown = text_of(admin_client.get(address))
    assert f'href="{url_of(own.server)}#id_outbound_addresses"' in shown


@pytest.mark.parametrize("typed", ["10.0.0.5", "127.0.0.1", "example.com", "8.8.8.8; 8.8.4.4", "224.0.0.1"])
def test_an_outbound_address_is_a_public_one(typed, server, admin_client):
    facts = {"name": server.name, "base_url": server.base_url, "username": "admin", "outbound_addresses": typed}
    refused = admin_client.post(url_of(server), facts)
    assert "Enter public IP addresses" in str(refused.context["adminform"].form.errors["outbound_addresses"])


# --- the test of a key ---


def test_a_key_is_saved_and_tested_in_its_step(own, browser, manager, sandbox):
    facts = {"client": own.pk, "connector": "bitmart", **PLANTED, "_test": "1"}
    sent = browser.post(page("key", own), facts)
    assert sent["Location"] == page("key", own)
    assert not sandbox.requests, "a form sends nothing itself"
    operation = Operation.objects.get()
    assert (operation.kind, operation.requested_by) == ("test_key", manager)
    key = ExchangeKey.objects.get()
    waiting = text_of(browser.get(page("key", own)))
    assert f'hx-get="{of_key("key_live", key)}"' in waiting

    run_next()
    shown = text_of(browser.get(of_key("key_live", key)))
    assert "BitMart accepts this key." in shown
    assert "USDT" in shown and "Balance:" in shown
    assert "hx-get" not in shown
    assert "The server does not say what else the key may do." in shown
    assert not [secret for secret in PLANTED.values() if secret in shown]


def test_a_rejected_key_says_why_and_is_entered_again_in_the_same_step(own, key, browser, sandbox):
    sandbox.faults.add("exchange_refuses_key")
    assert browser.post(of_key("test_key", key))["Location"] == page("key", own)
    assert run_next().error_code == "key_refused"
    shown = text_of(browser.get(page("key", own)))
    assert "The exchange rejected" in shown
    assert f'href="{page("key", own)}?connector=bitmart">Enter a new key' in shown
    again = browser.get(f"{page('key', own)}?connector=bitmart")
    assert "New API key" in text_of(again)


def test_an_exchange_that_can_not_be_reached_does_not_make_the_key_look_wrong(own, key, browser, sandbox):
    sandbox.faults.add("exchange_refuses_key")
    browser.post(of_key("test_key", key))
    run_next()
    sandbox.faults.clear()
    key.refresh_from_db()
    key.set_values(PLANTED | {"bitmart_memo": "another"})
    key.save()
    assert "Saved, not tested at the exchange yet." in text_of(browser.get(of_key("key_live", key)))


def test_balances_that_the_server_does_not_report_are_not_invented(own, key, browser, perform, monkeypatch):
    monkeypatch.setattr("hummingbot_api.resources.portfolio.Portfolio.state", lambda self, accounts: {})
    operation = perform("test_key", key)
    assert operation.steps.get(key="balances").state == "skipped"
    shown = text_of(browser.get(of_key("key_live", key)))
    assert "BitMart accepts this key." in shown and "Balance:" not in shown


def test_the_key_step_reads_no_more_with_more_keys(own, key, browser, perform):
    perform("test_key", key)
    before = count_queries(lambda: browser.get(page("key", own)))
    for connector in ("kucoin", "okx", "mexc"):
        stored_key(own, connector)
        perform("test_key", ExchangeKey.objects.get(connector=connector))
    assert count_queries(lambda: browser.get(page("key", own))) == before


# --- the market ---


def load(browser: Browser, client: Client, **typed: str):
    return browser.post(page("market", client), {"connector": "bitmart", "trading_pair": "", **typed})


def test_the_exchanges_pairs_and_a_price_are_loaded_by_a_button(own, key, browser, sandbox):
    assert "have not been loaded yet" in text_of(browser.get(page("bot", own)))
    asked = text_of(load(browser, own, trading_pair="sharp/usdt"))
    assert not sandbox.requests and 'hx-trigger="every 1s"' in asked
    assert run_next().state == State.SUCCEEDED
    shown = text_of(browser.get(page("market_live", own), {"connector": "bitmart", "trading_pair": "sharp/usdt"}))
    assert '<option value="SHARP-USDT">' in shown and "SHARP-USDT: 0.0125 USDT" in shown
    assert 'data-price="0.0125"' in shown and 'data-pair="SHARP-USDT"' in shown
    assert "mid price, " in shown


@pytest.mark.parametrize(
    ("book_age", "kind", "recent"),
    [(timedelta(0), "mid price", True), (timedelta(hours=2), "last price", True), (None, "last price", True)],
)
def test_the_price_is_the_mid_price_unless_only_a_last_price_is_newer(book_age, kind, recent, server):
    now = timezone.now()
    rules = TradingRules.objects.create(
        server=server, connector="bitmart", trading_pair="SHARP-USDT", price=0.0126, read_at=now - timedelta(minutes=5)
    )
    assert price_of(server, "bitmart", None, now) is None
    if book_age is not None:
        BookSample.objects.create(
            server=server,
            connector="bitmart",
            trading_pair="SHARP-USDT",
            taken_at=now - book_age,
            best_bid="0.0124",
            best_ask="0.0126",
        )
    found = price_of(server, "bitmart", rules, now)
    assert (found.kind, found.value, found.is_recent) == (kind, 0.0125 if kind == "mid price" else 0.0126, recent)


def test_an_old_price_is_shown_and_not_reckoned_with(server):
    now = timezone.now()
    rules = TradingRules.objects.create(
        server=server, connector="bitmart", trading_pair="SHARP-USDT", price=0.0126, read_at=now - timedelta(hours=2)
    )
    assert not price_of(server, "bitmart", rules, now).is_recent


def test_a_pair_that_the_exchange_does_not_list_is_refused_with_a_guess(own, key, browser):
    load(browser, own)
    run_next()
    refused = browser.post(page("bot", own), bot_facts(own, trading_pair="SHRAP-USDT"))
    sentence = "BitMart does not list SHRAP-USDT. Did you mean SHARP-USDT?"
    assert refused.context["adminform"].form.errors == {"trading_pair": [sentence]}
    assert browser.post(page("bot", own), bot_facts(own, trading_pair="sharp/usdt")).status_code == 302


def test_without_a_recent_list_no_pair_is_refused(own, key, browser, server):
    assert browser.post(page("bot", own), bot_facts(own, trading_pair="SHRAP-USDT")).status_code == 302
    assert Bot.objects.get().trading_pair == "SHRAP-USDT"


def test_an_exchange_that_can_not_be_read_says_so_and_keeps_the_last_list(own, key, browser, sandbox):
    sandbox.faults.add("exchange_unreachable")
    load(browser, own)
    failed = run_next()
    shown = text_of(browser.get(page("market_live", own), {"connector": "bitmart"}))
    assert failed.state == State.FAILED and failed.error_message in shown
    assert not MarketListing.objects.exists() and not TradingRules.objects.exists()


def test_without_scripts_loading_keeps_what_was_typed(own, key, browser):
    sent = browser.post(page("bot", own), bot_facts(own, name="Half done", _load="1"))
    assert sent["Location"] == page("bot", own)
    assert Operation.objects.get().kind == "load_markets"
    assert browser.get(page("bot", own)).context["adminform"].form["name"].value() == "Half done"
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"connector": ""}, "Choose an exchange first."),
        ({"connector": "../evil"}, "Choose an exchange first."),
        ({"trading_pair": "nonsense"}, "Enter a pair such as SHARP-USDT"),
    ],
)
def test_nothing_is_loaded_for_a_market_that_is_none(typed, words, own, browser):
    assert words in text_of(load(browser, own, **typed))
    assert not Operation.objects.exists()


# --- the check ---


def test_the_check_runs_inside_the_review(own, key, make_bot, browser, sandbox):
    make_bot()
    assert "Not checked with the server and the exchange yet." in text_of(browser.get(page("review", own)))
    assert browser.post(page("check", own))["Location"] == page("review", own)
    assert not sandbox.requests
    assert f'hx-get="{page("check_live", own)}"' in text_of(browser.get(page("review", own)))
    run_next()
    assert "The server and the exchange accept this bot." in text_of(browser.get(page("review", own)))


def test_what_the_check_found_wrong_leads_back_into_a_step(own, key, make_bot, browser):
    bot = make_bot(trading_pair="SHRAP-USDT")
    browser.post(page("check", own))
    failed = run_next()
    assert failed.state == State.FAILED
    assert failed.steps.get(key="rules").state == "skipped", "what could not be read is not shown as done"
    shown = text_of(browser.get(page("review", own)))
    assert "does not list SHRAP-USDT" in shown
    assert f'href="{page("bot", own)}">Correct the bot' in shown
    browser.post(page("bot", own), bot_facts(own, name=bot.name))
    shown = text_of(browser.get(page("review", own)))
    assert "SHRAP" not in shown and "Not checked" in shown, "a corrected mistake is no longer warned of"


def test_a_check_that_could_not_read_the_rules_is_not_shown_as_green(own, key, make_bot, browser, sandbox):
    make_bot()
    sandbox.faults.add("exchange_unreachable")
    browser.post(page("check", own))
    checked = run_next()
    assert checked.steps.get(key="rules").state == "skipped"
    shown = text_of(browser.get(page("review", own)))
    assert "Checked in part." in shown and "accept this bot" not in shown


def test_a_doubtful_setting_is_confirmed_before_the_launch(own, key, make_bot, browser):
    settings = {"bid_spread": 0.3, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60}
    make_bot(settings=settings)
    review = text_of(browser.get(page("review", own)))
    assert "30 % of the price is so wide that the orders may never fill. Did you mean 0.3 %?" in review
    assert 'name="confirmed"' in review
    browser.post(page("review", own))
    assert not Operation.objects.exists()
    browser.post(page("review", own), {"confirmed": "yes"})
    assert Operation.objects.get().kind == "deploy"


def test_what_changed_since_the_review_is_not_launched(own, key, make_bot, browser):
    bot = make_bot()
    sent = dict([browser.get(page("review", own)).context["confirms"]])
    Bot.objects.filter(pk=bot.pk).update(settings=bot.settings | {"order_amount": 4800})
    again = browser.post(page("review", own), sent, follow=True)
    assert "has changed since you opened it" in text_of(again) and "4800" in text_of(again)
    assert not Operation.objects.exists()
    browser.post(page("review", own), dict([again.context["confirms"]]))
    Bot.objects.filter(pk=bot.pk).update(settings=bot.settings | {"order_amount": 9900})
    assert run_next().error_code == "changed_since_confirmed"


# --- after the launch ---


def test_after_the_launch_the_bots_quotes_are_shown(own, key, make_bot, browser, perform):
    bot = make_bot()
    perform("deploy", bot)
    waiting = text_of(browser.get(page("live", own)))
    assert "Sharp Spread is running, and has not reported quotes yet." in waiting
    assert 'hx-trigger="every 5s"' in waiting
    bot.refresh_from_db()
    orders = [
        {"client_order_id": side, "side": side, "price": price, "amount": "1600", "created_at": None}
        for side, price in (("buy", "0.01246"), ("sell", "0.01254"))
    ]
    QuoteState.objects.create(deployment=bot.deployment, source="report", read_at=bot.deployment.sent_at, orders=orders)
    shown = text_of(browser.get(page("live", own)))
    assert "Sharp Spread is quoting: bid 0.01246 / ask 0.01254" in shown
    assert "hx-trigger" not in shown


# --- who may ---


@pytest.mark.parametrize("name", ["market", "check"])
def test_only_users_who_may_check_a_server_have_it_read(name, own, key, make_bot, make_user, browse):
    make_bot()
    looks = browse(make_user("viewer", {"accounts.view_client", "bots.view_bot", "accounts.view_every_client"}))
    assert looks.post(page(name, own), {"connector": "bitmart"}).status_code == 403
    assert looks.post(of_key("test_key", key)).status_code == 403
    assert not Operation.objects.exists()


def test_another_managers_client_is_not_found(own, key, make_bot, make_user, browse):
    make_bot()
    other = browse(make_user("ben"))
    for name in ("market", "check"):
        assert other.post(page(name, own), {"connector": "bitmart"}).status_code == 404
    for name in ("market_live", "check_live"):
        assert other.get(page(name, own)).status_code == 404
    assert other.post(of_key("test_key", key)).status_code == 404
    assert other.get(of_key("key_live", key)).status_code == 404
