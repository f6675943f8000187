"""A server's report about a controller's settings becomes a schema that a form can be made from."""

from dataclasses import asdict

import pytest

from bots.strategies.schema import schema_error, setting_errors
from bots.strategies.template import carried_over, schema_from_template
from hummingbot_api.resources.controllers import _setting
from sandbox.catalog import CONTROLLERS


def reported(name="some_setting", type="<class 'str'>", default=None, required=False):
    return {"name": name, "type": type, "default": default, "required": required}


def described(**facts):
    """The schema of one setting, its title apart."""
    (rules,) = schema_from_template([reported(**facts)])["properties"].values()
    return {rule: value for rule, value in rules.items() if rule != "title"}


def template_of(name):
    (controller,) = (c for c in CONTROLLERS.values() if c.name == name)
    return [asdict(_setting(setting, facts)) for setting, facts in controller.template.items()]


@pytest.mark.parametrize(
    ("type", "default", "rules"),
    [
        ("<class 'int'>", 30, {"type": "integer", "default": 30}),
        ("<class 'float'>", 2.5, {"type": "number", "default": 2.5}),
        ("<class 'bool'>", False, {"type": "boolean", "default": False}),
        ("<class 'str'>", "3m", {"type": "string", "default": "3m"}),
        ("<class 'decimal.Decimal'>", "0.01", {"type": "number", "default": 0.01}),
        ("<class 'decimal.Decimal'>", "-1", {"type": "number", "default": -1}),
        ("typing.Optional[decimal.Decimal]", None, {"type": ["number", "null"], "default": None}),
        ("decimal.Decimal | None", "0.03", {"type": ["number", "null"], "default": 0.03}),
        (
            "typing.List[float]",
            "0.01,0.02",
            {"type": "array", "items": {"type": "number"}, "default": [0.01, 0.02]},
        ),
        ("typing.List[float]", "", {"type": "array", "items": {"type": "number"}, "default": []}),
        (
            "typing.Optional[typing.List[decimal.Decimal]]",
            None,
            {"type": ["array", "null"], "items": {"type": "number"}, "default": None},
        ),
        ("typing.Literal['a', 'b']", "a", {"enum": ["a", "b"], "default": "a"}),
        ("<enum 'PositionMode'>", "HEDGE", {"enum": ["HEDGE", "ONEWAY"], "default": "HEDGE"}),
        ("<enum 'PositionMode'>", "PositionMode.ONEWAY", {"enum": ["HEDGE", "ONEWAY"], "default": "ONEWAY"}),
        ("<enum 'TradeType'>", "TradeType.SELL", {"enum": [1, 2], "labels": ["BUY", "SELL"], "default": 2}),
        ("typing.Dict[str, float]", {"a": 1}, {"type": "object", "default": {"a": 1}}),
    ],
)
def test_a_type_and_a_default_that_are_text_become_rules(type, default, rules):
    assert described(type=type, default=default) == rules


@pytest.mark.parametrize(
    ("type", "default"),
    [
        ("<enum 'PriceType'>", "PriceType.MidPrice"),
        ("<class 'x.y.ConnectorPair'>", "connector_name='binance' trading_pair='SOL-USDT'"),
    ],
)
def test_a_default_that_only_python_understands_is_left_to_the_server(type, default):
    rules = described(type=type, default=default)
    assert "default" not in rules
    assert default in rules["description"]


@pytest.mark.parametrize(
    ("type", "default", "kind"),
    [
        ("typing.Optional[x.TrailingStop]", "0.015,0.003", ["string", "null"]),
        ("typing.List[typing.List[decimal.Decimal]]", "0.003,10-0.006,20", "string"),
    ],
)
def test_a_text_that_the_server_takes_for_another_type_stays_a_text(type, default, kind):
    assert described(type=type, default=default) == {"type": kind, "default": default}


@pytest.mark.parametrize("default", ["inf", "-inf", "NaN", "1e400"])
def test_a_number_without_end_is_no_default(default):
    assert described(type="<class 'decimal.Decimal'>", default=default).get("default") in (None, default)


def test_a_default_of_none_that_the_type_does_not_allow_is_never_sent():
    # Hummingbot does not validate defaults: sent from a configuration the same value would be refused.
    assert described(type="<class 'str'>", default=None) == {"type": "string"}


def test_what_has_no_default_is_required():
    assert schema_from_template([reported("a", required=True), reported("b", default="x")])["required"] == ["a"]


def test_leverage_has_no_default_whatever_the_server_s_is():
    schema = schema_from_template([reported("leverage", "<class 'int'>", 20)])
    assert "default" not in schema["properties"]["leverage"]
    assert schema["required"] == ["leverage"]
    assert "20" in schema["properties"]["leverage"]["description"]


def test_an_annotation_that_is_none_leaves_the_type_to_the_default():
    assert described(type="<function f at 0x7f>", default=3) == {"default": 3}


def test_what_the_panel_writes_itself_is_no_setting():
    names = schema_from_template(template_of("bollinger_v1"))["properties"]
    assert not {"id", "controller_name", "controller_type", "connector_name", "trading_pair"} & set(names)


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("bollinger_v1", None),
        ("xemm_multiple_levels", ["maker_connector", "maker_trading_pair"]),
        ("arbitrage_controller", []),
    ],
)
def test_where_a_controller_expects_its_market_is_part_of_the_schema(name, market):
    schema = schema_from_template(template_of(name))
    assert schema.get("market") == market
    assert not set(market or ()) & set(schema["properties"])


@pytest.mark.parametrize("name", [c.name for c in CONTROLLERS.values() if not c.broken])
def test_every_controller_s_schema_is_one_and_its_defaults_satisfy_it(name):
    schema = schema_from_template(template_of(name))
    assert schema_error(schema) == ""
    defaults = {n: rules["default"] for n, rules in schema["properties"].items() if "default" in rules}
    assert set(setting_errors(schema, defaults)) == set(schema["required"])


# --- a schema that was edited, and a server that tells something else since ---

BEFORE = {"properties": {"a": {"type": "integer", "default": 1}, "b": {"type": "string"}}, "required": []}


def test_a_setting_that_was_edited_here_keeps_what_the_server_has_not_changed():
    current = {"properties": {"a": {"type": "integer", "default": 7, "title": "A"}, "b": {"type": "string"}}}
    after = {"properties": {"a": {"type": "number", "default": 1}, "b": {"type": "string"}}, "required": []}
    assert carried_over(current, BEFORE, after)["properties"]["a"] == {"type": "number", "default": 7, "title": "A"}


def test_what_the_server_adds_comes_what_it_drops_goes_and_what_was_added_here_stays():
    current = BEFORE | {"properties": BEFORE["properties"] | {"mine": {"type": "string"}}}
    after = {"properties": {"a": {"type": "integer", "default": 1}, "c": {}}, "required": ["c"]}
    found = carried_over(current, BEFORE, after)
    assert list(found["properties"]) == ["a", "mine", "c"]
    assert found["required"] == ["c"]


def test_a_setting_that_was_taken_out_here_stays_out_until_the_server_changes_it():
    current = {"properties": {"b": {"type": "string"}}, "required": []}
    assert carried_over(current, BEFORE, BEFORE) == current


def test_what_is_required_here_and_what_the_server_requires_go_together():
    current = {"properties": {"a": {}, "mine": {}}, "required": ["mine", "b"]}
    before, after = {"required": ["b"]}, {"required": ["c"]}
    assert carried_over(current, before, after)["required"] == ["mine", "c"]
