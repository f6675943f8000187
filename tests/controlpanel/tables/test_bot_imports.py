"""Bots from a table."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import pytest
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot, TradingRules
from tests.conftest import PLANTED
from tests.controlpanel.conftest import BOT, CLIENT, KEY, text_of
from tests.controlpanel.tables.test_imports import (
    BOT_HEADER,
    BOT_ROW,
    check,
    errors,
    result_of,
    save,
    send,
    sheet,
    states,
    table,
)


def test_a_bot_is_defined_with_its_settings(send, client_sharp, server):
    page = save(send, BOT, BOT_HEADER, BOT_ROW)
    bot = Bot.objects.get()
    assert (bot.trading_pair, bot.server, bot.headless) == ("SHARP-USDT", server, True)
    assert bot.settings == {"bid_spread": 0.003, "ask_spread": 0.004, "order_amount": 1600, "order_refresh_time": 60}
    assert "Next, open a bot and use “Deploy”" in text_of(page)


@pytest.mark.parametrize("word", ["after_crash", "After a crash"])
def test_the_restart_policy_is_imported_and_exported(word, send, client_sharp, admin_client):
    header = f"{BOT_HEADER},restart_policy,max_restarts_per_hour"
    save(send, BOT, header, f"{BOT_ROW},{word},5")
    bot = Bot.objects.get()
    assert (bot.restart_policy, bot.max_restarts_per_hour) == ("after_crash", 5)
    exported = admin_client.get(reverse(f"{BOT}_export", args=["csv"])).content
    assert states(result_of(send(BOT, exported)).outcomes) == [(2, "unchanged")]


@pytest.mark.parametrize("pair", ["kPEPE-USD", "sAVAX-AVAX", "USD.b-XRP", "$NUT-USDT", "=A(1)-USDT", "@B-USDT"])
def test_a_pair_is_imported_and_exported_as_its_exchange_spells_it(pair, send, client_sharp, admin_client):
    save(send, BOT, BOT_HEADER, BOT_ROW.replace("sharp/usdt", pair))
    assert Bot.objects.get().trading_pair == pair
    exported = admin_client.get(reverse(f"{BOT}_export", args=["csv"])).content
    assert states(result_of(send(BOT, exported)).outcomes) == [(2, "unchanged")]


def test_settings_of_every_kind_are_read_as_the_form_reads_them(send, client_sharp):
    save(
        send,
        BOT,
        sheet(
            ["client", "name", "strategy", "connector", "trading_pair", "total_amount_quote", "buy_spreads",
             "settings.sell_spreads", "stop_loss", "skip_rebalance", "position_mode", "start_price", "end_price",
             "limit_price", "side", "triple_barrier_config.take_profit", "max_global_drawdown_quote"],
            ["Sharp", "Levels", "pmm_simple", "bitmart", "SHARP-USDT", 500.0, "0.003, 0.006", 0.01, "none", False,
             "oneway", None, None, None, None, None, 20.5],
            ["Sharp", "Grid", "grid_strike", "bitmart", "SHARP-USDT", 500, None, None, None, None, None, 1, 2, 3,
             "sell", 0.002, None],
        ),
    )  # fmt: skip
    levels, grid = Bot.objects.get(name="Levels"), Bot.objects.get(name="Grid")
    assert {name: levels.settings[name] for name in ("buy_spreads", "sell_spreads", "stop_loss", "position_mode")} == {
        "buy_spreads": [0.003, 0.006],
        "sell_spreads": [0.01],
        "stop_loss": None,
        "position_mode": "ONEWAY",
    }
    assert levels.settings["skip_rebalance"] is False
    assert float(levels.max_global_drawdown_quote) == 20.5
    assert (grid.settings["side"], grid.settings["triple_barrier_config"]["take_profit"]) == (2, 0.002)


def test_only_the_settings_that_are_given_change(send, bot):
    outcomes = check(send, BOT, "client,name,bid_spread,ask_spread", "Sharp,Sharp Spread,0.005,")
    [outcome] = outcomes
    assert [(change.column, change.before, change.after) for change in outcome.changes] == [
        ("bid_spread", "0.003", "0.005")
    ]


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("bid_spread", "-0.003", "This must be more than 0. You entered -0.003."),
        ("settings.bid_spread", "x", "Enter a number with a decimal point: 0.003."),
        ("bid_spread", '"0,0,3"', "Enter a number with a decimal point: 0.003."),
        ("order_refresh_time", "0.5", "This must be a whole number."),
        ("bid_spread", "1e9999999", "Enter a number with a decimal point: 0.003."),
        ("bid_spread", "none", "Enter a number with a decimal point: 0.003."),
        ("strategy", "nothing", "The strategy “nothing” does not exist. Available strategies: "),
        ("server", "Nowhere", "The server “Nowhere” does not exist."),
        ("connector", "nowhere", "Sandbox has no connector “nowhere”."),
        ("trading_pair", "SHARP", "Enter a pair such as SHARP-USDT, with a dash"),
        ("headless", "perhaps", "Enter yes or no."),
        ("restart_policy", "always", "Enter never or after_crash."),
        ("max_restarts_per_hour", "x", "Enter a whole number."),
        ("max_restarts_per_hour", "21", "Ensure this value is less than or equal to 20."),
        ("image", "No Image", "This is not the name of a Docker image"),
        ("max_global_drawdown_quote", "20", "Drawdown limits apply to controllers only"),
        ("max_global_drawdown_quote", "much", "Enter a number with a decimal point: 250.5."),
        ("max_global_drawdown_quote", "NaN", "Enter a number with a decimal point: 250.5."),
        ("max_global_drawdown_quote", "1e9999999", "Ensure that there are no more than 20 digits in total."),
        ("max_global_drawdown_quote", "1e9999999999999999999", "Enter a number with a decimal point: 250.5."),
        ("max_controller_drawdown_quote", "-Infinity", "Enter a number with a decimal point: 250.5."),
        ("buy_spreads", "0.003", "This is not a setting of spread. Its settings are: bid_spread, ask_spread,"),
    ],
)
def test_errors_of_a_bot_are_reported_by_column(send, bot, column, value, sentence):
    [wrong] = errors(check(send, BOT, f"client,name,{column}", f"Sharp,Sharp Spread,{value}"))
    assert wrong[column].startswith(sentence)


def test_an_amount_that_the_exchange_would_refuse_is_wrong(send, bot):
    TradingRules.objects.create(
        server=bot.server, connector="bitmart", trading_pair="SHARP-USDT", min_order_size=10, read_at=timezone.now()
    )
    [wrong] = errors(check(send, BOT, "client,name,settings.order_amount", "Sharp,Sharp Spread,5"))
    assert "10 SHARP" in wrong["settings.order_amount"]


def test_the_forms_warnings_are_shown_for_the_row_before_and_after_the_save(send, bot):
    wide = ("client,name,bid_spread", "Sharp,Sharp Spread,0.005")
    assert "The amounts were not checked" in text_of(send(BOT, table(*wide)))

    TradingRules.objects.create(
        server=bot.server,
        connector="bitmart",
        trading_pair="SHARP-USDT",
        min_price_increment=0.01,
        price=1,
        read_at=timezone.now(),
    )
    narrow = "0.001 of the price is less than the exchange's price step"
    rows = ("client,name,bid_spread", "Sharp,Sharp Spread,0.001")
    for page, verb in ((send(BOT, table(*rows)), "Checked"), (save(send, BOT, *rows), "Imported")):
        assert f"{verb}: 1 changed; 1 with warnings." in " ".join(text_of(page).split())
        assert f"bid_spread: {narrow}" in text_of(page)

    assert [outcome.warnings for outcome in check(send, BOT, *rows)] == [()], "nothing would be changed any more"


def test_a_setting_that_is_given_twice_is_wrong(send, bot):
    [wrong] = errors(check(send, BOT, "client,name,bid_spread,settings.bid_spread", "Sharp,Sharp Spread,0.1,0.2"))
    assert wrong == {"settings.bid_spread": "This setting is already in the column bid_spread."}


def test_one_comma_is_not_guessed_at(send, client_sharp):
    """1,5 is one and a half in half of Europe, and two spreads elsewhere."""
    header = "client,name,strategy,connector,trading_pair,total_amount_quote,buy_spreads"
    row = 'Sharp,Levels,pmm_dynamic,bitmart,A-B,500,"{}"'
    assert errors(check(send, BOT, header, row.format("1,5"))) == [
        {"buy_spreads": "Is this one number or two? Enter 1.5 or 1, 5."}
    ]
    assert states(check(send, BOT, header, row.format("1, 5"))) == [(2, "new")]


TWO_READINGS = [
    ("1.600", "Is 1.600 the number 1600 or 1.6? Enter 1600 or 1.6."),
    ("12.500", "Is 12.500 the number 12500 or 12.5? Enter 12500 or 12.5."),
    ("1.000", "Is 1.000 the number 1000 or 1? Enter 1000 or 1."),
    ("100.125", "Is 100.125 the number 100125 or 100.125? Enter 100125 or 100.1250."),
]


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize(("cell", "question"), TWO_READINGS)
def test_a_point_that_may_group_thousands_is_asked_about(delimiter, cell, question, send, client_sharp):
    rows = [line.replace(",", delimiter) for line in (BOT_HEADER, BOT_ROW.replace("1600", cell))]
    assert errors(check(send, BOT, *rows)) == [{"order_amount": question}]


@pytest.mark.parametrize("cell", ["1600", "1.6", "1.60", "1.6000", "1600.5", "0.300", "0.003", "1234.500"])
def test_a_number_with_one_reading_is_taken_from_a_table_with_semicolons(cell, send, client_sharp):
    rows = [line.replace(",", ";") for line in (BOT_HEADER, BOT_ROW.replace("1600", cell))]
    save(send, BOT, *rows)
    assert Bot.objects.get().settings["order_amount"] == float(cell)


def test_a_point_is_a_decimal_point_where_commas_separate(send, client_sharp):
    save(send, BOT, BOT_HEADER, BOT_ROW.replace("1600", "1.600"))
    assert Bot.objects.get().settings["order_amount"] == 1.6


def test_limits_lists_and_text_cells_are_asked_about_too(send, client_sharp):
    header = ["client", "name", "strategy", "connector", "trading_pair", "total_amount_quote", "buy_spreads"]
    header += ["max_global_drawdown_quote"]
    row = ["Sharp", "Levels", "pmm_dynamic", "bitmart", "A-B", 500.125, "0.5, 1.500", "2.500"]
    [wrong] = errors(result_of(send(BOT, sheet(header, row))).outcomes)
    assert wrong == {
        "buy_spreads": "Is 1.500 the number 1500 or 1.5? Enter 1500 or 1.5.",
        "max_global_drawdown_quote": "Is 2.500 the number 2500 or 2.5? Enter 2500 or 2.5.",
    }


def test_a_comma_that_may_group_thousands_is_asked_about(send, client_sharp):
    rows = check(send, BOT, BOT_HEADER, BOT_ROW.replace("1600", '"1,600"'))
    assert errors(rows) == [{"order_amount": "Is 1,600 the number 1600 or 1.6? Enter 1600 or 1.6."}]


def test_the_check_shows_the_values_of_a_new_row(send, client_sharp):
    page = " ".join(text_of(send(BOT, table(BOT_HEADER, BOT_ROW))).split())
    for column, value in (("order_amount", "1600"), ("bid_spread", "0.003"), ("trading_pair", "SHARP-USDT")):
        assert f"<code>{column}</code> {value}" in page
    assert "<code>order_refresh_time</code> 60" in page, "a default is a value too"
    page = " ".join(text_of(send(CLIENT, table("name,server,notes", "Blunt,Sandbox,first"))).split())
    assert "<code>notes</code> first" in page and "<code>account_name</code> client_blunt" in page
    assert "<code>created_at</code> 20" not in page


def test_the_check_shows_that_a_new_key_has_values_and_not_which(send, client_sharp):
    row = f"Sharp,bitmart,{','.join(PLANTED.values())}"
    page = " ".join(text_of(send(KEY, table(f"client,connector,{','.join(PLANTED)}", row))).split())
    assert "<code>values</code> entered" in page
    assert not [value for value in PLANTED.values() if value in page]


def test_a_new_bot_needs_what_has_no_default(send, client_sharp):
    rows = check(send, BOT, "client,name,strategy", "Sharp,One,", "Sharp,Two,spread")
    missing = "This field is required."
    assert errors(rows) == [
        {"strategy": missing, "connector": missing, "trading_pair": missing},
        {"connector": missing, "trading_pair": missing, "order_amount": "This field is required. It has no default."},
    ]
