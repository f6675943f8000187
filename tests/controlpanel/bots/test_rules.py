"""An order that the exchange would refuse is found before the bot runs: on saving, by a check, by a deployment."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from bots.admin.forms import field_name
from bots.definitions import bot_check
from bots.models import Bot, Strategy, TradingRules
from bots.models.trading_rules import PRICE_MAX_AGE
from json_api.error_handlers import model_errors
from operations.models import State, StepState
from sandbox.markets import MARKETS
from tests.controlpanel.conftest import BOT, operate_url, prefilled, text_of, url_of

#: 16 USDT at the sandbox's price; it requires 5.
ENOUGH, TOO_LITTLE = 1280, 160


@pytest.fixture
def read(server):
    """What an earlier check has stored, about the pair of the story."""

    def read(connector="bitmart", **changes):
        facts = {"min_order_size": 1, "min_notional_size": 5, "min_price_increment": 0.00001, "price": 0.0125}
        return TradingRules.objects.create(
            **{"server": server, "connector": connector, "trading_pair": "SHARP-USDT", "read_at": timezone.now()}
            | facts
            | changes
        )

    return read


@pytest.fixture
def save(client_sharp, admin_client):
    def save(strategy="spread", connector="bitmart", bot=None, **settings):
        strategy = Strategy.objects.get(name=strategy)
        facts = {
            "client": client_sharp.pk,
            "name": "Sharp Spread",
            "strategy": strategy.pk,
            "connector": connector,
            "trading_pair": "sharp/usdt",
            "image": "hummingbot/hummingbot:latest",
            "headless": "on",
        }
        page = url_of(bot) if bot else reverse(f"{BOT}_add")
        return admin_client.post(page, facts | prefilled(strategy, **settings), follow=True)

    return save


def errors_of(response):
    context = response.context or {}
    return context["adminform"].form.errors if "adminform" in context else {}


def output(response):
    return [str(message) for message in response.context["messages"]]


# --- on saving ---


@pytest.mark.parametrize(
    ("strategy", "setting", "settings"),
    [
        ("spread", "order_amount", {"order_amount": 0.5}),
        ("spread", "order_amount", {"order_amount": TOO_LITTLE}),
        ("pmm_simple", "total_amount_quote", {"total_amount_quote": 8}),
        ("grid_strike", "total_amount_quote", {"start_price": 1, "end_price": 2, "limit_price": 0.5}),
    ],
)
def test_an_order_that_the_exchange_would_refuse_is_an_error_on_the_field(strategy, setting, settings, read, save):
    read()
    response = save(strategy, **{"total_amount_quote": 4} | settings if strategy == "grid_strike" else settings)
    field = field_name(Strategy.objects.get(name=strategy).pk, setting)
    assert errors_of(response).keys() == {field}
    assert "The exchange requires at least" in errors_of(response)[field][0]
    assert "Rules as of" in errors_of(response)[field][0]


def test_the_json_api_says_it_in_the_same_words(read, save, make_bot, admin_user):
    bot = make_bot()
    rules = read()
    bot.settings |= {"order_amount": TOO_LITTLE}
    with pytest.raises(ValidationError) as refused:
        bot_check(bot, user=admin_user)
    (in_the_form,) = errors_of(save(bot=bot, order_amount=TOO_LITTLE)).values()
    assert model_errors(refused.value) == {"config.order_amount": list(in_the_form)}
    assert in_the_form[0].endswith(f"(Rules as of {date_format(rules.read_at, 'j M Y')}.)")


def test_what_the_exchange_takes_is_saved_without_a_word(read, save):
    read()
    response = save(order_amount=ENOUGH)
    assert not errors_of(response)
    assert [message for message in output(response) if "was added" not in message] == []


def test_saving_asks_no_server(read, save, sandbox):
    read()
    save(order_amount=TOO_LITTLE)
    save(order_amount=ENOUGH)
    assert not sandbox.requests


def test_without_stored_rules_a_warning_says_how_to_get_them(save):
    (warning,) = [message for message in output(save(order_amount=TOO_LITTLE)) if "not checked" in message]
    assert "bitmart's trading rules for SHARP-USDT have not been read yet" in warning
    assert "Use “Check”" in warning


def test_rules_that_could_not_be_had_say_why(read, save):
    read(min_order_size=None, min_notional_size=None, problem="bitmart does not list SHARP-USDT.")
    assert any("bitmart does not list SHARP-USDT." in message for message in output(save(order_amount=1)))


def test_the_rules_of_another_market_are_not_taken(read, save):
    read(connector="kucoin")
    assert any("not checked" in message for message in output(save(order_amount=TOO_LITTLE)))


def test_an_old_price_is_ignored_and_the_rules_are_not(read, save):
    read(read_at=timezone.now() - PRICE_MAX_AGE - timedelta(minutes=1))
    assert not errors_of(save(order_amount=TOO_LITTLE))


def test_paper_trade_is_held_to_the_exchange_that_it_simulates(read, save):
    read(connector="kucoin")
    assert errors_of(save(connector="kucoin_paper_trade", order_amount=TOO_LITTLE))


def test_a_spread_below_one_price_step_is_a_warning_and_no_error(read, save):
    read(min_price_increment=0.0001)
    response = save(order_amount=ENOUGH)
    assert not errors_of(response)
    assert any(message.startswith("bid_spread: 0.003 of the price is less") for message in output(response))


def test_a_strategy_that_names_no_amounts_is_saved_without_a_warning(save, db):
    Strategy.objects.create(
        name="mine",
        kind="controller",
        controller_type="generic",
        schema={"properties": {"order_amount": {"type": "number", "default": 0.1}}},
    )
    assert not any("not checked" in message for message in output(save("mine")))


# --- Check ---


def test_a_check_reads_the_rules_and_keeps_them_for_the_form(bot, perform, server, admin_client):
    assert "Not read yet" in text_of(admin_client.get(url_of(bot)))
    operation = perform("check_bot", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "The amounts comply with the rules of SHARP-USDT on bitmart." in operation.summary
    rules, market = bot.trading_rules, MARKETS["SHARP-USDT"]
    assert (rules.min_order_size, rules.min_notional_size) == (market.min_order_size, market.min_notional_size)
    assert (rules.min_price_increment, rules.price) == (market.min_price_increment, market.price)
    page = text_of(admin_client.get(url_of(bot)))
    assert "Minimum order value" in page
    assert "5 USDT" in page


def test_a_check_changes_nothing_on_the_server(bot, make_bot, perform, sandbox):
    controller = make_bot(name="C", strategy=Strategy.objects.get(name="pmm_v1"), settings={"order_amount": ENOUGH})
    before = dict(sandbox.world.accounts), dict(sandbox.world.scripts), dict(sandbox.world.controller_configs)
    for checked in (bot, controller):
        assert perform("check_bot", checked).state == State.SUCCEEDED
    assert (sandbox.world.accounts, sandbox.world.scripts, sandbox.world.controller_configs) == before
    assert not sandbox.world.instances


def test_a_check_names_the_amount_that_the_exchange_refuses(make_bot, perform):
    bot = make_bot(settings={"order_amount": TOO_LITTLE})
    operation = perform("check_bot", bot)
    assert (operation.state, operation.error_code) == (State.FAILED, "trading_rule_broken")
    assert "order_amount: An order is worth 2 USDT at a price of 0.0125." in operation.error_message
    assert "Increase the amount" in operation.error_remedy
    assert bot.trading_rules.min_notional_size == 5


def test_a_check_asks_the_controller_for_its_word_on_the_settings(make_bot, perform):
    pmm = Strategy.objects.get(name="pmm_v1")
    pmm.schema, pmm.default_settings = {}, {"no_such_setting": 1}
    pmm.save()
    operation = perform("check_bot", make_bot(strategy=pmm, settings={}))
    assert (operation.state, operation.error_code) == (State.FAILED, "config_invalid")
    assert "no_such_setting" in operation.error_message


def test_a_check_of_a_definition_that_became_invalid_says_what_is_wrong(bot, perform):
    bot.settings["bid_spread"] = 2
    bot.save()
    operation = perform("check_bot", bot)
    assert operation.error_code == "definition_invalid"
    # The rules are there for the form, whatever else is wrong.
    assert bot.trading_rules is not None


# --- unreadable rules are a note and no failure ---


@pytest.mark.parametrize("kind", ["check_bot", "deploy"])
def test_unreadable_rules_are_a_note(kind, make_bot, key, perform, sandbox):
    bot = make_bot(settings={"order_amount": 0.1})
    sandbox.faults.add("exchange_unreachable")
    operation = perform(kind, bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    note = operation.steps.get(key="amounts" if kind == "check_bot" else "rules").detail
    assert "were not checked" in note
    assert "can't reach the exchange" in note
    assert "can't reach the exchange" in bot.trading_rules.problem


@pytest.mark.parametrize(("kind", "step"), [("check_bot", "rules"), ("check_bot", "amounts"), ("deploy", "rules")])
def test_rules_that_cannot_be_had_are_not_called_read(kind, step, bot, perform, sandbox):
    sandbox.faults.add("exchange_unreachable")
    operation = perform(kind, bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    states = dict(operation.steps.values_list("key", "state"))
    assert states[step] == StepState.SKIPPED, states


def test_a_connector_that_the_route_does_not_know_is_a_note(make_bot, perform, server):
    server.contact_succeeded(connectors={"moon": []})
    bot = make_bot(connector="moon")
    operation = perform("check_bot", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "does not know this connector" in operation.summary


def test_rules_without_a_price_are_checked_as_far_as_they_go(bot, perform, sandbox):
    sandbox.faults.add("server_error", path="/market-data")
    operation = perform("check_bot", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "No price was available" in operation.summary


def test_paper_trade_requests_the_rules_of_the_simulated_exchange(make_bot, perform, sandbox, admin_client):
    bot = make_bot(connector="kucoin_paper_trade")
    operation = perform("check_bot", bot)
    assert "SHARP-USDT on kucoin" in operation.summary
    assert "the rules of kucoin, which kucoin_paper_trade simulates" in text_of(admin_client.get(url_of(bot)))


# --- a deployment ---


def test_a_deployment_whose_orders_would_be_refused_sends_nothing(make_bot, key, perform, sandbox):
    bot = make_bot(settings={"order_amount": TOO_LITTLE})
    operation = perform("deploy", bot)
    assert (operation.state, operation.error_code) == (State.FAILED, "trading_rule_broken")
    assert not [r for r in sandbox.requests if r.method != "GET" and not r.path.startswith("/market-data")]
    assert bot.deployment is None


@pytest.mark.parametrize("kind", ["check_bot", "deploy"])
def test_a_pair_that_the_exchange_does_not_list_is_refused_before_anything_is_sent(
    kind, make_bot, key, perform, sandbox
):
    bot = make_bot(trading_pair="BLUNT-USDT")
    operation = perform(kind, bot)
    assert (operation.state, operation.error_code) == (State.FAILED, "pair_not_listed")
    assert "bitmart does not list BLUNT-USDT" in operation.error_message
    assert not [request for request in sandbox.requests if request.method != "GET"]


def test_it_is_deployed_anyway_on_confirmation(make_bot, key, perform, admin_client):
    bot = make_bot(trading_pair="BLUNT-USDT")
    page = operate_url(bot, "deploy")
    assert "Deploy anyway" not in text_of(admin_client.get(page))
    perform("deploy", bot)
    assert "Deploy anyway" in text_of(admin_client.get(page))
    operation = perform("deploy", bot, unlisted=True)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "were not checked" in operation.steps.get(key="rules").detail


@pytest.mark.parametrize("kind", ["check_bot", "deploy"])
@pytest.mark.parametrize(
    ("entered", "listed"),
    [
        ("kPEPE-USD", "kPEPE-USD"),
        ("sAVAX/AVAX", "sAVAX-AVAX"),
        ("USD.b-XRP", "USD.b-XRP"),
        ("$NUT-USDT", "$NUT-USDT"),
        ("Sharp-Usdt", "SHARP-USDT"),
        ("kPEPE-usd", "kPEPE-USD"),
        ("$Nut-usdt", "$NUT-USDT"),
    ],
)
def test_a_pair_is_traded_as_the_exchange_spells_it(kind, entered, listed, make_bot, key, perform):
    bot = make_bot(trading_pair=entered, settings={"order_amount": 5000, "bid_spread": 0.01, "ask_spread": 0.01})
    operation = perform(kind, bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert bot.trading_pair == listed
    assert TradingRules.objects.get().trading_pair == listed
    if kind == "deploy":
        assert bot.deployment.trading_pair == bot.deployment.config["trading_pair"] == listed
        assert not bot.has_unsent_changes
    elif entered.replace("/", "-") != listed:
        assert f"The bot's pair was {entered}" in operation.steps.get(key="rules").detail


def test_settings_that_name_the_pair_are_corrected_with_it(make_pmm, key, perform):
    bot = make_pmm(trading_pair="Sharp-Usdt")
    Bot.objects.update(settings=bot.settings | {"candles_pair": "Sharp-Usdt"})
    bot.refresh_from_db()
    deployment = bot.plan_deployment()
    deployment.save()
    deployment.take_spelling("SHARP-USDT")
    bot.refresh_from_db()
    assert bot.settings["candles_pair"] == deployment.config["candles_pair"] == "SHARP-USDT"


def test_another_pair_that_was_chosen_meanwhile_stays(make_bot, key):
    bot = make_bot(trading_pair="Sharp-Usdt")
    Bot.objects.update(trading_pair="BTC-USDT")
    bot.take_spelling("SHARP-USDT")
    bot.refresh_from_db()
    assert bot.trading_pair == "BTC-USDT"


def test_lower_case_that_the_exchange_lists_can_be_entered_once_upper_case_was_not_listed(make_bot, key, perform):
    bot = make_bot(trading_pair="purr-usdc")
    assert bot.trading_pair == "PURR-USDC"
    operation = perform("check_bot", bot)
    assert operation.error_code == "pair_not_listed"
    assert "It is case-sensitive" in operation.error_message
    bot.trading_pair = "purr-usdc"
    bot.full_clean()
    bot.save()
    assert perform("check_bot", bot).state == State.SUCCEEDED
    assert bot.trading_pair == "purr-usdc"


def test_a_deployment_reads_the_rules_again(make_bot, key, perform, read):
    read(min_notional_size=1000)
    operation = perform("deploy", make_bot())
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert TradingRules.objects.get().min_notional_size == 5


def test_a_deployment_that_is_repeated_is_checked_by_the_settings_that_it_had(make_bot, key, perform):
    bot = make_bot()
    assert perform("deploy", bot).state == State.SUCCEEDED
    previous = bot.deployment
    perform("archive", bot)
    bot.settings["order_amount"] = TOO_LITTLE
    bot.save()
    again = perform("deploy", bot, like=previous.pk)
    assert again.state == State.SUCCEEDED, again.error_message
