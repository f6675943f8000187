"""The bundled strategies: their settings' schemas, and the files that are rendered from them."""

import math
import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from jsonschema import Draft202012Validator

from accounts.models import Client, Server
from bots.models import Bot, Strategy
from bots.strategies.bundled import BUNDLED, defaults
from bots.strategies.render import RESERVED
from bots.strategies.schema import Setting, schema_error, setting_errors
from sandbox.catalog import CONTROLLERS
from tests.hummingbot_api.stub import Reply, running_stub

#: What has no default, for each strategy.
REQUIRED = {
    "spread": {"order_amount": 1600},
    "pmm_v1": {"order_amount": 1600},
    "pmm_simple": {"total_amount_quote": 80},
    "pmm_dynamic": {"total_amount_quote": 80},
    "grid_strike": {"start_price": 0.012, "end_price": 0.0135, "limit_price": 0.0115, "total_amount_quote": 100},
}
MARKET_MAKING = {
    "total_amount_quote": 0,
    "buy_spreads": [],
    "sell_spreads": [0],
    "buy_amounts_pct": [0],
    "sell_amounts_pct": [],
    "executor_refresh_time": 0,
    "cooldown_time": -1,
    "stop_loss": 0,
    "take_profit": 1,
    "time_limit": 0,
    "take_profit_order_type": "STOP",
    "position_rebalance_threshold_pct": 1.1,
    "skip_rebalance": "yes",
    "leverage": 0,
    "position_mode": "BOTH",
}
#: A value that each setting refuses. Hummingbot itself takes many of them: see the proof.
REFUSED = {
    "spread": {"bid_spread": 0, "ask_spread": 1, "order_amount": 0, "order_refresh_time": 0},
    "pmm_v1": {
        "buy_spreads": [0.003, -0.006],
        "sell_spreads": [1],
        "order_amount": -1,
        "order_refresh_time": 1.5,
        "order_refresh_tolerance_pct": -2,
        "filled_order_delay": -1,
        "inventory_skew_enabled": 1,
        "target_base_pct": 1.1,
        "inventory_range_multiplier": 0,
        "price_ceiling": -2,
        "price_floor": "none",
    },
    "pmm_simple": MARKET_MAKING,
    "pmm_dynamic": MARKET_MAKING
    | {
        "sell_spreads": [100],
        "candles_connector": "../binance",
        "candles_trading_pair": "SHARP",
        "interval": "2m",
        "natr_length": 1,
        "macd_fast": 1,
        "macd_slow": 1.5,
        "macd_signal": None,
    },
    "grid_strike": {
        "side": 3,
        "start_price": 0,
        "end_price": -1,
        "limit_price": -1,
        "total_amount_quote": 0,
        "min_spread_between_orders": 0,
        "max_open_orders": 0,
        "triple_barrier_config": {"take_profit": 0, "open_order_type": 3, "take_profit_order_type": 3},
        "keep_position": None,
        "min_order_amount_quote": 0,
        "max_orders_per_batch": 0,
        "order_frequency": -1,
        "activation_bounds": 0,
        "leverage": 126,
        "position_mode": None,
    },
}
QUANTITIES = {"number", "integer", "array"}


def schema_of(name):
    return BUNDLED[name]["schema"]


def all_settings():
    return [(name, setting) for name in BUNDLED for setting in schema_of(name)["properties"]]


def described(schema):
    """Each setting of a schema, and those that a group holds."""
    for name, setting in schema["properties"].items():
        yield name, setting
        if setting["type"] == "object":
            yield from described(setting)


def kinds(setting):
    return {setting["type"]} if isinstance(setting["type"], str) else set(setting["type"])


@pytest.mark.parametrize("name", BUNDLED)
def test_the_schema_is_one(name):
    Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize("name", BUNDLED)
def test_the_defaults_and_what_is_required_satisfy_it(name):
    schema, settings = schema_of(name), defaults(name) | REQUIRED[name]
    assert setting_errors(schema, settings) == {}
    assert set(settings) == set(schema["properties"]) == set(schema["required"])


def test_every_own_schema_keyword_is_documented():
    def words(schema: dict) -> set[str]:
        nested = schema.get("properties", {}).values()
        return set(schema).union(*(words(rules) for rules in nested))

    known = {*Draft202012Validator.VALIDATORS, "$schema", "title", "description", "default", "then"}
    own = set().union(*(words(schema_of(name)) for name in BUNDLED)) - known
    document = (settings.BASE_DIR / "docs" / "settings.md").read_text()
    tables = re.findall(r"^\| Key of .*\n\|[-|]+\n((?:\|.*\n)+)", document, re.MULTILINE)
    described = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for t in tables for row in t.splitlines())))
    assert len(tables) == 2
    assert own <= described


@pytest.mark.parametrize("name", BUNDLED)
def test_what_has_no_harmless_default_must_be_given(name):
    assert set(setting_errors(schema_of(name), defaults(name))) == set(REQUIRED[name])


@pytest.mark.parametrize(("name", "setting"), all_settings())
def test_every_setting_has_bounds(name, setting):
    settings = defaults(name) | REQUIRED[name] | {setting: REFUSED[name][setting]}
    errors = setting_errors(schema_of(name), settings)
    assert {place.partition(".")[0] for place in errors} == {setting}
    assert all(sentence.endswith(".") for sentence in errors.values())


@pytest.mark.parametrize(
    ("name", "changes", "errors"),
    [
        ("pmm_v1", {"price_floor": 2, "price_ceiling": 1.5}, {"price_ceiling": "the price floor, 2"}),
        ("pmm_dynamic", {"macd_fast": 42, "macd_slow": 42}, {"macd_slow": "the macd fast, 42"}),
        ("grid_strike", {"end_price": 0.012}, {"end_price": "the start price, 0.012"}),
        ("grid_strike", {"limit_price": 0.0125}, {"start_price": "the limit price, 0.0125"}),
        ("grid_strike", {"side": 2}, {"limit_price": "the end price, 0.0135"}),
    ],
)
def test_settings_that_contradict_each_other_are_refused(name, changes, errors):
    """The server's own check takes these, and the bot would never trade: the proof has each of them."""
    settings = defaults(name) | REQUIRED[name] | changes
    expected = {setting: f"This must be more than {words}." for setting, words in errors.items()}
    assert setting_errors(schema_of(name), settings) == expected


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("pmm_v1", {"price_floor": 1.5, "price_ceiling": 2}),
        ("pmm_v1", {"price_floor": 1.5}),
        ("grid_strike", {"side": 2, "limit_price": 0.014}),
        ("grid_strike", {"side": 1, "limit_price": 0}),
        ("grid_strike", {"side": 2, "limit_price": 0}),
    ],
)
def test_disabled_settings_contradict_nothing(name, changes):
    assert setting_errors(schema_of(name), defaults(name) | REQUIRED[name] | changes) == {}


@pytest.mark.parametrize("rule", ["macd_fast", [], ["a"], ["a", ["b"]], ["a", "b"], [1, 2]])
def test_an_invalid_rule_is_skipped(rule):
    assert setting_errors({"increasing": rule}, {"a": "x", "1": True, "2": 0}) == {}


@pytest.mark.parametrize("name", BUNDLED)
def test_unknown_settings_are_refused(name):
    assert set(setting_errors(schema_of(name), defaults(name) | REQUIRED[name] | {"volume": 1})) == {"volume"}


@pytest.mark.parametrize("name", BUNDLED)
def test_every_setting_is_described_and_every_quantity_has_a_unit(name):
    for setting, schema in described(schema_of(name)):
        assert schema["title"], setting
        assert schema["description"].endswith("."), setting
        if kinds(schema) & QUANTITIES and "enum" not in schema:
            assert schema["unit"], setting


@pytest.mark.parametrize("name", BUNDLED)
def test_what_must_be_given_is_not_folded_away(name):
    assert not any(schema_of(name)["properties"][setting].get("advanced") for setting in REQUIRED[name])


@pytest.mark.parametrize("value", ["a\0b", ["\ud800"], {"a\0": 1}])
def test_text_that_no_database_stores_is_refused(value):
    (sentence,) = setting_errors({}, {"note": value}).values()
    assert sentence.startswith("Text can't contain the character NUL")


@pytest.mark.parametrize(
    "value",
    [math.inf, *(pytest.param(sign * 10**400, id=f"{sign}e400") for sign in (1, -1)), [10**309], {"a": 10**309}],
)
def test_a_number_without_end_is_refused(value):
    assert setting_errors(schema_of("spread"), {"order_amount": value})["order_amount"] == (
        "This must be a finite number."
    )


def test_a_setting_within_a_group_is_named_after_both():
    settings = defaults("grid_strike") | REQUIRED["grid_strike"]
    settings["triple_barrier_config"] = {"take_profit": math.nan, "open_order_type": 4}
    assert setting_errors(schema_of("grid_strike"), settings) == {
        "triple_barrier_config": "This must be a finite number.",
        "triple_barrier_config.open_order_type": "Choose one of 2, 3.",
        "triple_barrier_config.take_profit_order_type": "This field is required. It has no default.",
    }


@pytest.mark.parametrize("name", BUNDLED)
def test_what_has_no_leverage_to_set_trades_spot_markets_only(name):
    """With leverage a position can outgrow the balance, so it must be a user's choice."""
    assert BUNDLED[name].get("spot_only", False) == ("leverage" not in schema_of(name)["properties"])


def test_what_may_be_empty_says_so():
    errors = setting_errors(
        schema_of("pmm_simple"), defaults("pmm_simple") | REQUIRED["pmm_simple"] | {"stop_loss": ""}
    )
    assert errors == {"stop_loss": "This must be a number or empty."}


# --- what a schema refers to ---


def referring(reference: str) -> dict:
    return {"type": "object", "properties": {"a": {"$ref": reference}}, "$defs": {"whole": {"type": "integer"}}}


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "secret.json"
    file.write_text('{"enum": ["planted-in-a-file"]}')
    return file.as_uri()


def test_a_schema_is_kept_from_reading_files_and_fetching_pages(secret_file):
    with running_stub() as stub:
        stub.will(Reply({"enum": ["planted-on-a-page"]}))
        for reference in (secret_file, f"{stub.url}/meta-data"):
            assert reference in schema_error(referring(reference))
            # One that was saved by an older release.
            assert (
                "has a reference that is missing or circular"
                in setting_errors(referring(reference), {"a": 1})["settings"]
            )
    assert not stub.seen


@pytest.mark.parametrize(
    "reference", ["other.json", "#/$defs/nothing", "#nothing", "https://example.com/#/$defs/whole"]
)
def test_a_reference_that_leads_nowhere_is_refused_by_its_name(reference):
    for schema in (referring(reference), {"allOf": [True, {"items": {"$ref": reference}}]}):
        assert f"not to {reference}." in schema_error(schema)
    assert "settings" in setting_errors(referring(reference), {"a": 1})


def test_a_schema_may_refer_to_its_own_parts():
    for schema in (referring("#/$defs/whole"), {"$id": "https://example.com/x", **referring("#/$defs/whole")}):
        assert schema_error(schema) == ""
        assert setting_errors(schema, {"a": 1}) == {}
        assert setting_errors(schema, {"a": "x"}) == {"a": "This must be a whole number."}


def test_a_schema_that_refers_to_itself_in_a_circle_is_an_error_of_the_settings_and_no_fault():
    assert "circular" in setting_errors({"$ref": "#"}, {"a": 1})["settings"]


@pytest.mark.parametrize(
    ("path", "schema", "title", "label"),
    [
        (("bid_spread",), {}, "Bid spread", "Bid spread"),
        (
            ("triple_barrier", "stop_loss"),
            {"unit": "fraction"},
            "Triple barrier stop loss",
            "Triple barrier stop loss (fraction)",
        ),
        (("bb_length",), {"title": "Length", "unit": "candles"}, "Length", "Length (candles)"),
    ],
)
def test_a_setting_is_called_by_its_title_or_its_name_with_its_unit(path, schema, title, label):
    setting = Setting(path, schema, required=False, advanced=False)
    assert (setting.title, setting.label) == (title, label)


@pytest.mark.parametrize("name", [name for name in BUNDLED if BUNDLED[name]["kind"] == "controller"])
def test_the_sandbox_s_controller_has_every_setting_and_takes_the_defaults(name):
    controller = CONTROLLERS[BUNDLED[name]["controller_type"], name]
    assert set(schema_of(name)["properties"]) <= set(controller.template)
    controller.check(
        defaults(name)
        | REQUIRED[name]
        | {"id": "sharp", "controller_name": name, "controller_type": controller.controller_type}
        | {"connector_name": "bitmart", "trading_pair": "SHARP-USDT"}
    )


def test_the_proof_reads_them_without_django():
    """It runs in Hummingbot's environment, which has no Django."""
    names = ("bots.strategies.bundled", "bots.strategies.render")
    code = f"import sys; sys.modules['django'] = None; [__import__(name) for name in {names}]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=settings.BASE_DIR)


# --- what is rendered ---


@pytest.fixture
def bot(db):
    Strategy.objects.update_bundled()

    def make(name, **settings):
        server = Server(name="sharp")
        return Bot(
            client=Client(name="sharp", server=server),
            name="sharp",
            server=server,
            strategy=Strategy.objects.get(name=name),
            connector="bitmart",
            trading_pair="SHARP-USDT",
            settings=settings,
        )

    return make


@pytest.mark.parametrize("name", [name for name in BUNDLED if BUNDLED[name]["kind"] == "controller"])
def test_a_controller_s_file_holds_its_identity_the_market_and_every_setting(bot, name):
    """As ``rendered`` in ``proof/stage.py`` has it."""
    assert bot(name, **REQUIRED[name]).render_config("sharp") == {
        "id": "sharp",
        "controller_name": name,
        "controller_type": BUNDLED[name]["controller_type"],
        "connector_name": "bitmart",
        "trading_pair": "SHARP-USDT",
        **defaults(name),
        **REQUIRED[name],
    }


def test_the_script_s_file_names_its_upload(bot):
    spread = bot("spread", **REQUIRED["spread"], ask_spread=0.004)
    assert spread.render_config("sharp") == {
        "script_file_name": f"{spread.strategy.script_name}.py",
        "controllers_config": [],
        "connector_name": "bitmart",
        "trading_pair": "SHARP-USDT",
        "bid_spread": 0.003,
        "ask_spread": 0.004,
        "order_amount": 1600,
        "order_refresh_time": 60,
    }


@pytest.mark.parametrize("name", ["spread", "pmm_v1"])
def test_no_setting_takes_the_place_of_what_the_bot_was_confirmed_with(bot, name):
    """As when a controller's whole template is entered as default settings."""
    template = dict.fromkeys(RESERVED, "another") | {"connector_name": "binance", "order_amount": 7}
    paper = bot(name, **REQUIRED[name])
    paper.connector = "binance_paper_trade"
    confirmed = paper.render_config("sharp")
    paper.strategy.default_settings |= template
    paper.settings = template
    rendered = paper.render_config("sharp")
    assert (rendered["connector_name"], rendered["trading_pair"]) == ("binance_paper_trade", "SHARP-USDT")
    assert rendered == confirmed | {"order_amount": 7}


@pytest.mark.parametrize("name", RESERVED)
def test_a_strategy_has_no_setting_of_a_name_that_the_panel_writes(name):
    strategy = Strategy(
        name="mine",
        kind="controller",
        controller_type="generic",
        default_settings={name: "x", "levels": 1},
        schema={"properties": {name: {"type": "string"}}},
    )
    with pytest.raises(ValidationError) as refused:
        strategy.clean()
    sentence = f"Leave out {name}: the panel sets it."
    assert refused.value.message_dict == {"default_settings": [sentence], "schema": [sentence]}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("default_settings", [1], "Settings must be a group of names and values."),
        ("schema", [1], "A schema must be a group of names and values."),
        (
            "schema",
            {"type": "numbre"},
            "This is not a valid JSON Schema: 'numbre' is not valid under any of the given schemas.",
        ),
        ("schema", {"properties": {"a": True}}, "Describe each property with a group of names and values."),
    ],
)
def test_what_no_form_can_be_made_of_is_refused(field, value, sentence):
    strategy = Strategy(name="mine", kind="controller", controller_type="generic", **{field: value})
    with pytest.raises(ValidationError) as refused:
        strategy.clean()
    assert refused.value.message_dict == {field: [sentence]}


def test_amounts_are_sent_also_when_they_are_empty(bot):
    """Left out, Hummingbot's market making base never quotes: the proof has the trap."""
    config = bot("pmm_simple", **REQUIRED["pmm_simple"]).render_config("sharp")
    assert (config["buy_amounts_pct"], config["sell_amounts_pct"]) == (None, None)


def test_by_default_market_making_leaves_the_inventory_alone():
    assert defaults("pmm_simple")["skip_rebalance"] is defaults("pmm_dynamic")["skip_rebalance"] is True
