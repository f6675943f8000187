"""The form of a bot."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from bots.admin.forms import field_name
from bots.models import Bot, Strategy
from core.input.numbers import as_percent
from tests.controlpanel.clients.test_forms import EDITED_ON_SERVER, refused, shown
from tests.controlpanel.conftest import BOT, text_of, url_of


@pytest.fixture
def pmm(db):
    return Strategy.objects.get(name="pmm_v1")


@pytest.fixture
def pmm_simple(db):
    return Strategy.objects.get(name="pmm_simple")


@pytest.mark.parametrize("pair", ["SHARP/USDT", "sharp-usdt", " sharp / usdt ", "sharp_usdt"])
def test_a_pair_is_understood_however_it_is_written(pair, save_bot):
    assert save_bot(trading_pair=pair).status_code == 302
    assert Bot.objects.get().trading_pair == "SHARP-USDT"


@pytest.mark.parametrize("pair", ["SHARPUSDT", "SHARP-", "SHARP-USDT-X", "USDT-USDT", "SHA RP-USDT", "SHARP--USDT"])
def test_what_is_no_pair_is_refused(pair, save_bot):
    response = save_bot(trading_pair=pair)
    errors = refused(response)
    assert errors == {
        "trading_pair": ["Enter a pair such as SHARP-USDT, with a dash between the base and the quote asset."]
    }
    assert shown(response, "trading_pair") == pair
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("bid_spread", "0", "This must be more than 0. You entered 0."),
        ("bid_spread", "-0.003", "This must be more than 0. You entered -0.003."),
        ("ask_spread", "1", "This must be less than 1. You entered 1."),
        ("ask_spread", "1.5", "This must be less than 1. You entered 1.5."),
        ("ask_spread", "three", "Enter a number."),
        ("ask_spread", "NaN", "Enter a number."),
        ("bid_spread", "inf", "Enter a number."),
        ("bid_spread", "1e999", "Enter a number."),
        *((name, "1e9999999", "Enter a number.") for name in ("order_amount", "bid_spread", "order_refresh_time")),
        ("order_amount", "-1e9999999", "Enter a number."),
        ("order_amount", "1e999999999999999999", "Enter a number."),
        ("bid_spread", "1e9999999 bps", "Enter a number."),
        ("order_amount", "0", "This must be more than 0. You entered 0."),
        ("order_amount", "", "This field is required."),
        ("bid_spread", "", "This field is required."),
        ("order_refresh_time", "0", "This must be at least 1. You entered 0."),
        ("order_refresh_time", "1.5", "This must be a whole number."),
        ("order_refresh_time", "1000000", "This must be at most 86400. You entered 1000000."),
    ],
)
def test_a_setting_out_of_bounds_is_refused_on_its_own_field(setting, value, message, save_bot, spread):
    response = save_bot(settings={setting: value})
    field = field_name(spread.pk, setting)
    assert refused(response) == {field: [message]}
    assert shown(response, field) == value
    assert shown(response, "name") == "Sharp Spread"
    assert not Bot.objects.exists()


def test_a_new_bot_s_form_holds_the_defaults(save_bot):
    assert save_bot().status_code == 302
    assert Bot.objects.get().settings == {
        "bid_spread": 0.003,
        "ask_spread": 0.003,
        "order_amount": 1600,
        "order_refresh_time": 60,
    }


def test_a_connector_that_the_server_does_not_have_is_refused(save_bot):
    errors = refused(save_bot(connector="nowhere"))
    assert errors == {"connector": ["Sandbox has no connector “nowhere”."]}


@pytest.mark.parametrize("typed", ["bitmort", "BitMart", "bit mart"])
def test_a_connector_that_is_nearly_one_of_the_servers_is_suggested(typed, save_bot):
    errors = refused(save_bot(connector=typed))
    assert errors == {"connector": [f"Sandbox has no connector “{typed}”. Did you mean BitMart (bitmart)?"]}


def test_a_strategy_for_spot_markets_refuses_a_perpetual_connector(save_bot, pmm_simple):
    errors = refused(save_bot(connector="bitmart_perpetual"))
    assert errors == {"connector": ["The strategy spread supports spot markets only. Choose a spot connector."]}
    settings = {"total_amount_quote": "80", "leverage": "2"}
    assert save_bot(strategy=pmm_simple, connector="bitmart_perpetual", settings=settings).status_code == 302


def test_paper_trade_needs_no_connector_of_the_servers(save_bot):
    assert save_bot(connector="binance_paper_trade").status_code == 302


def test_an_image_that_is_none_is_refused(save_bot):
    assert list(refused(save_bot(image="hummingbot; rm -rf"))) == ["image"]


@pytest.mark.parametrize("name", ["锋利", "--"])
def test_a_bot_name_that_no_server_takes_is_refused(name, save_bot):
    assert refused(save_bot(name=name)) == {"name": ["Enter a name with at least one letter (a-z) or digit."]}


def test_two_bots_of_a_client_with_the_same_server_name_are_refused(make_bot, save_bot):
    make_bot()
    errors = refused(save_bot(name="sharp-spread"))
    assert errors == {"name": ["This client has a bot whose server name would be the same. Choose another name."]}


SPREADS = {"buy_spreads": "0.003, 0.006", "sell_spreads": "0.003"}


def test_a_controllers_settings_are_lists(save_bot, pmm, admin_client):
    assert save_bot(strategy=pmm, settings=SPREADS).status_code == 302
    bot = Bot.objects.get()
    assert (bot.settings["buy_spreads"], bot.settings["sell_spreads"]) == ([0.003, 0.006], [0.003])
    assert 'value="0.3 %, 0.6 %"' in text_of(admin_client.get(url_of(bot)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.003; 0.006", "Separate numbers with commas: 0.3 %, 0.6 %."),
        ("0.003, much", "Separate numbers with commas: 0.3 %, 0.6 %."),
        (",", "This field is required."),
        ("0.003, nan", "Separate numbers with commas: 0.3 %, 0.6 %."),
        ("0.003, -0.1", "This must be more than 0. You entered -0.1."),
        ("2", "This must be less than 1. You entered 2."),
    ],
)
def test_a_list_with_something_wrong_in_it_is_refused_on_its_field(value, message, save_bot, pmm):
    field = field_name(pmm.pk, "buy_spreads")
    response = save_bot(strategy=pmm, settings=SPREADS | {"buy_spreads": value})
    assert refused(response) == {field: [message]}
    assert shown(response, field) == value


def test_no_stop_loss_is_a_choice_that_stays(save_bot, pmm_simple, admin_client):
    chosen = {"total_amount_quote": "80", "stop_loss": "", "time_limit": "", "sell_amounts_pct": "1, 2"}
    assert save_bot(strategy=pmm_simple, settings=chosen).status_code == 302
    bot = Bot.objects.get()
    assert (bot.settings["stop_loss"], bot.settings["time_limit"], bot.settings["take_profit"]) == (None, None, 0.02)
    assert (bot.settings["buy_amounts_pct"], bot.settings["sell_amounts_pct"]) == (None, [1, 2])
    assert bot.render_config("x")["stop_loss"] is None
    page = admin_client.get(url_of(bot))
    assert shown(page, field_name(pmm_simple.pk, "stop_loss")) is None
    again = page.context["adminform"].form
    entered = {field: again[field].value() for field in again.settings_of[pmm_simple.pk]}
    kept = {field: "" if value is None else value for field, value in entered.items()}
    assert save_bot(bot, strategy=pmm_simple, **kept).status_code == 302
    before = bot.settings
    bot.refresh_from_db()
    assert bot.settings == before


def test_an_empty_text_is_a_value_where_it_is_the_default(save_bot):
    dynamic = Strategy.objects.get(name="pmm_dynamic")
    assert save_bot(strategy=dynamic, settings={"total_amount_quote": "80"}).status_code == 302
    assert Bot.objects.get().settings["candles_connector"] == ""
    field = field_name(dynamic.pk, "interval")
    settings = {"total_amount_quote": "80", "interval": "2m"}
    assert list(refused(save_bot(name="Another", strategy=dynamic, settings=settings))) == [field]


GRID = {"start_price": "0.012", "end_price": "0.0135", "limit_price": "0.0115", "total_amount_quote": "100"}
TAKE_PROFIT = "triple_barrier_config__take_profit"


def test_a_group_of_settings_has_a_field_for_each_and_a_choice_keeps_its_type(save_bot, admin_client):
    grid = Strategy.objects.get(name="grid_strike")
    chosen = GRID | {
        "side": "2",
        "limit_price": "0.014",
        TAKE_PROFIT: "0.002",
        "triple_barrier_config__open_order_type": "2",
    }
    assert save_bot(strategy=grid, settings=chosen).status_code == 302
    bot = Bot.objects.get()
    assert bot.settings["side"] == 2
    group = {"take_profit": 0.002, "open_order_type": 2, "take_profit_order_type": 3}
    assert bot.settings["triple_barrier_config"] == group
    assert grid.defaults["triple_barrier_config"]["take_profit"] == 0.001
    page = admin_client.get(url_of(bot))
    assert shown(page, field_name(grid.pk, TAKE_PROFIT)) == "0.2 %"
    assert '<option value="2" selected>sell</option>' in text_of(page)
    field = field_name(grid.pk, TAKE_PROFIT)
    for value, message in (("", "This field is required."), ("1", "This must be less than 1. You entered 1.")):
        assert refused(save_bot(bot, strategy=grid, settings=chosen | {TAKE_PROFIT: value})) == {field: [message]}


def test_settings_that_contradict_each_other_are_refused_on_the_field(save_bot):
    grid = Strategy.objects.get(name="grid_strike")
    page = save_bot(strategy=grid, settings=GRID | {"end_price": "0.01"})
    message = "This must be more than the start price, 0.012."
    assert refused(page) == {field_name(grid.pk, "end_price"): [message]}


def test_advanced_settings_are_folded_away_until_one_has_an_error(save_bot, pmm, spread, admin_client):
    def folded(response):
        fieldsets = {fieldset.name: fieldset for fieldset in response.context["adminform"]}
        assert not fieldsets[f"Settings: {pmm}"].is_collapsible
        assert f"Advanced settings: {spread}" not in fieldsets
        more = fieldsets[f"Advanced settings: {pmm}"]
        assert field_name(pmm.pk, "price_floor") in more.fields
        return more.is_collapsible

    assert folded(admin_client.get(reverse(f"{BOT}_add")))
    assert folded(save_bot(strategy=pmm, settings={"buy_spreads": "2"}))
    assert not folded(save_bot(strategy=pmm, settings={"price_floor": "none"}))
    assert folded(save_bot(**{field_name(pmm.pk, "price_floor"): "none"}, settings={"bid_spread": "2"}))


@pytest.mark.parametrize(("schema", "typed", "kept"), EDITED_ON_SERVER)
def test_every_kind_of_setting_has_a_field_that_keeps_its_type(schema, typed, kept, save_bot, admin_client):
    mine = Strategy(name="mine", kind="controller", controller_type="generic", schema={"properties": {"it": schema}})
    mine.full_clean()
    mine.save()
    assert save_bot(strategy=mine, settings={"it": typed}).status_code == 302
    bot = Bot.objects.get()
    assert bot.settings == {"it": kept}
    field = admin_client.get(url_of(bot)).context["adminform"].form[field_name(mine.pk, "it")]
    again = "" if field.value() is None else field.value()
    assert save_bot(bot, strategy=mine, settings={"it": again}).status_code == 302
    bot.refresh_from_db()
    assert bot.settings == {"it": kept}


def test_the_words_of_a_schema_are_shown_and_never_markup(admin_client, db):
    markup = "<img src=x onerror=alert(1)>"
    words = {"type": "string", "title": markup, "description": markup, "unit": markup, "enum": [markup]}
    schema = {"properties": {markup: words, "it": {}}}
    Strategy.objects.create(name="mine", kind="controller", description=markup, schema=schema)
    assert markup not in admin_client.get(reverse(f"{BOT}_add")).content.decode()


def test_a_setting_that_may_be_left_out_is_left_out(save_bot):
    mine = Strategy.objects.create(name="mine", kind="controller", schema={"properties": {"it": {"type": "number"}}})
    assert save_bot(strategy=mine, settings={"it": ""}).status_code == 302
    assert Bot.objects.get().settings == {}


def test_errors_within_json_are_shown_on_its_field(save_bot):
    rules = {"type": ["object", "null"], "properties": {"a": {"type": "integer"}}, "default": None}
    mine = Strategy.objects.create(name="mine", kind="controller", schema={"properties": {"it": rules}})
    field = field_name(mine.pk, "it")
    for typed, message in (
        ("{a: 1}", "This is not valid JSON: Expecting property name enclosed in double quotes in line 1, column 2."),
        ('{"a": "x"}', "This must be a whole number."),
        ("[1]", "This must be a group of settings or empty."),
    ):
        response = save_bot(strategy=mine, settings={"it": typed})
        assert refused(response) == {field: [message]}
        assert typed in text_of(response)


LIMITS = ("max_global_drawdown_quote", "max_controller_drawdown_quote")


@pytest.mark.parametrize("limit", LIMITS)
def test_only_a_controller_has_drawdown_limits_and_they_are_more_than_zero(limit, save_bot, pmm):
    errors = refused(save_bot(**{limit: "100"}))
    assert errors == {limit: ["Drawdown limits apply to controllers only. This strategy is a script."]}
    errors = refused(save_bot(strategy=pmm, settings=SPREADS, **{limit: "0"}))
    assert errors == {limit: ["Enter a limit above zero, or leave it empty for none."]}
    for nonsense in ("NaN", "much"):
        assert list(refused(save_bot(strategy=pmm, settings=SPREADS, **{limit: nonsense}))) == [limit]
    assert save_bot(strategy=pmm, settings=SPREADS, **{limit: "100"}).status_code == 302
    assert getattr(Bot.objects.get(), limit) == 100


def test_changing_the_strategy_keeps_the_new_ones_settings_and_none_of_the_old(save_bot, pmm, spread):
    assert save_bot(settings={"bid_spread": "1 %"}).status_code == 302
    bot = Bot.objects.get()
    assert save_bot(bot, strategy=pmm, settings=SPREADS).status_code == 302
    bot.refresh_from_db()
    assert set(bot.settings) == set(pmm.settings_schema["properties"])
    assert save_bot(bot).status_code == 302
    bot.refresh_from_db()
    assert set(bot.settings) == set(spread.settings_schema["properties"])


def test_input_for_another_strategy_is_ignored(save_bot, pmm):
    saved = save_bot(**{field_name(pmm.pk, "buy_spreads"): "not a number", field_name(pmm.pk, "order_amount"): "-"})
    assert saved.status_code == 302
    assert "buy_spreads" not in Bot.objects.get().settings


def test_a_strategy_is_offered_with_what_it_does(client_sharp, admin_client):
    page = text_of(admin_client.get(reverse(f"{BOT}_add")))
    assert ">spread: Keeps one bid and one ask around the mid price, and refreshes both at an interval</option>" in page


def test_without_a_strategy_the_form_says_so_and_keeps_what_was_typed(save_bot):
    response = save_bot(strategy=Strategy(pk=0))
    assert list(refused(response)) == ["strategy"]
    assert shown(response, "trading_pair") == "SHARP-USDT"


def test_a_bots_server_is_its_clients_unless_another_is_chosen(save_bot, client_sharp):
    assert save_bot().status_code == 302
    assert Bot.objects.get().server == client_sharp.server


def test_a_strategy_of_ones_own_is_checked_and_its_settings_become_fields(save_bot, admin_client):
    page = reverse("admin:bots_strategy_add")
    script = {"name": "mine", "kind": "script", "schema": "{}", "default_settings": "{}"}
    for source in ("def (:", ""):
        assert list(refused(admin_client.post(page, script | {"source": source}))) == ["source"]
    facts = {"name": "mine", "kind": "controller", "schema": "{}", "default_settings": '{"levels": 2, "on": true}'}
    assert list(refused(admin_client.post(page, facts))) == ["controller_type"]
    facts["controller_type"] = "generic"
    assert list(refused(admin_client.post(page, facts | {"schema": "{"}))) == ["schema"]
    assert admin_client.post(page, facts).status_code == 302
    mine = Strategy.objects.get(name="mine")
    assert field_name(mine.pk, "levels") in text_of(admin_client.get(reverse(f"{BOT}_add")))
    assert save_bot(strategy=mine, settings={"levels": "3"}, **{field_name(mine.pk, "on"): "on"}).status_code == 302
    assert Bot.objects.get().settings == {"levels": 3, "on": True}


V2 = """
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase
class Mine(StrategyV2Base): pass
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def (:", "This is not valid Python: invalid syntax in line 1."),
        (V2, "The script has no config class"),
        (
            "from hummingbot.strategy.pure_market_making import PureMarketMakingStrategyV2\n"
            "class Mine(PureMarketMakingStrategyV2): pass",
            "there is no PureMarketMakingStrategyV2 in Hummingbot. Write one class based on StrategyV2Base and one "
            "config class",
        ),
    ],
)
def test_a_script_that_no_server_can_start_is_refused_with_the_reason(source, reason, admin_client):
    page = reverse("admin:bots_strategy_add")
    facts = {"name": "mine", "kind": "script", "schema": "{}", "default_settings": "{}", "source": source}
    response = admin_client.post(page, facts)
    errors = refused(response)
    assert list(errors) == ["source"]
    assert reason in errors["source"][0]
    assert shown(response, "source") == source
    assert not Strategy.objects.filter(name="mine").exists()


def test_the_history_of_a_bot_shows_old_and_new_values(bot, save_bot):
    assert save_bot(bot, settings=bot.settings | {"order_amount": 1700}, name="Renamed").status_code == 302
    (entry,) = LogEntry.objects.filter(object_id=str(bot.pk))
    assert entry.get_change_message() == (
        "Changed Name from Sharp Spread to Renamed, Order amount (base asset) from 1600 to 1700."
    )


@pytest.mark.parametrize("typed", ["0.003", "0.3 %", "0,3 %", "30 bps"])
def test_a_spread_is_understood_as_it_is_typed(typed, save_bot):
    assert save_bot(settings={"bid_spread": typed}).status_code == 302
    assert Bot.objects.get().settings["bid_spread"] == 0.003


@pytest.mark.parametrize("value", ["0.3", "0,3", "0.01", "0.05"])
def test_a_spread_without_a_unit_that_may_be_meant_in_percent_is_asked_about(value, save_bot):
    page = text_of(save_bot(settings={"bid_spread": value}))
    assert f"Is this {value} % or " in page
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("0.3 %", 0.003), ("0.003", 0.003), ("30 bps", 0.003), ("0,3%", 0.003), ("5 %", 0.05), ("0.01 %", 0.0001)],
)
def test_a_spread_is_shown_in_percent_and_stays_as_it_is_when_it_is_saved_again(typed, kept, save_bot, admin_client):
    assert save_bot(settings={"bid_spread": typed}).status_code == 302
    bot = Bot.objects.get()
    assert bot.settings["bid_spread"] == kept
    form = admin_client.get(url_of(bot)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    assert values[field_name(bot.strategy_id, "bid_spread")] == as_percent(kept)
    again = {name: value for name, value in values.items() if value not in (None, False)}
    assert admin_client.post(url_of(bot), again).status_code == 302
    assert Bot.objects.get().settings == bot.settings


def test_the_restart_policy_is_set_in_the_form_and_shown_on_the_bots_page(bot, save_bot, admin_client):
    assert save_bot(bot, restart_policy="after_crash", max_restarts_per_hour="5").status_code == 302
    bot.refresh_from_db()
    assert (bot.restart_policy, bot.max_restarts_per_hour) == ("after_crash", 5)
    assert "after a crash" in text_of(admin_client.get(url_of(bot, "now")))
    for wrong in ("-1", "21", "x"):
        assert save_bot(bot, max_restarts_per_hour=wrong).status_code == 200
    assert save_bot(bot, restart_policy="", max_restarts_per_hour="").status_code == 302
    bot.refresh_from_db()
    assert (bot.restart_policy, bot.max_restarts_per_hour) == ("after_crash", 5)
