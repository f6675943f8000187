"""The sandbox's scripts and controllers."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from urllib.parse import urlencode

import pytest
import requests

from sandbox import Sandbox
from tests.sandbox.test_sandbox import BITMART, SPREAD, api, deploy_controller, profile, sandbox, world


def test_the_template_shows_a_scripts_fields_with_their_defaults(api, profile):
    assert api.ok("GET", "/scripts/spread/config/template") == {
        "script_file_name": "spread.py",
        "controllers_config": [],
        "connector": "bitmart",
        "trading_pair": "PydanticUndefined",
        "spread": "0.003",
        "order_amount": 1600,
        "levels": "PydanticUndefined",
        "refresh": 60,
        "on": "PydanticUndefined",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", 404),
        ("from hummingbot.strategy.pure_market_making import pure_market_making_v2\n" + SPREAD, 404),
        ("import hummingbot.strategy.pure_market_making.pure_market_making_v2\n" + SPREAD, 404),
        ("def (", 500),
    ],
)
def test_the_template_shows_whether_a_script_is_usable(api, source, expected):
    api.ok("POST", "/scripts/demo", json={"content": source})
    assert api.get("/scripts/demo/config/template").status_code == expected


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"order_amount": "abc"}, "Input should be a valid decimal"),
        ({"spread": 1}, "Extra inputs are not permitted"),
    ],
)
def test_validating_a_controllers_config_names_the_fields(api, change, error):
    answer = api.post("/controllers/generic/pmm_v1/config/validate", json={"id": "x"} | change)
    assert answer.status_code == 400
    assert next(iter(change)) in answer.json()["detail"]
    assert error in answer.json()["detail"]


@pytest.mark.parametrize("name", ["generic/grid_strike", "market_making/pmm_simple", "market_making/pmm_dynamic"])
def test_a_controllers_own_defaults_are_valid(api, name):
    template = api.ok("GET", f"/controllers/{name}/config/template")
    config = {field: entry["default"] for field, entry in template.items()} | {"id": "x"}
    assert api.ok("POST", f"/controllers/{name}/config/validate", json=config)


def test_a_controller_that_cannot_be_imported_is_listed_anyway(api):
    assert "lp_rebalancer" in api.ok("GET", "/controllers/")["generic"]
    for method, page in (("GET", "template"), ("POST", "validate")):
        assert api.request(method, f"/controllers/generic/lp_rebalancer/config/{page}", json={}).status_code == 404


def test_a_template_prints_what_json_does_not_have_and_takes_it_back_in_another_form(api):
    template = api.ok("GET", "/controllers/directional_trading/bollinger_v1/config/template")
    assert template["bb_length"] == {"default": "PydanticUndefined", "type": "<class 'int'>", "required": False}
    assert template["take_profit_order_type"]["default"] == "OrderType.LIMIT"
    page, needed = "/controllers/directional_trading/bollinger_v1/config/validate", {"id": "x", "bb_length": 100}
    assert api.ok("POST", page, json=needed | {"take_profit_order_type": 2})
    for refused in ({"take_profit_order_type": "OrderType.LIMIT"}, {"candles_connector": None}):
        assert api.post(page, json=needed | refused).status_code == 400


def test_trading_rules_of_a_pair_that_is_not_listed_are_an_error_in_a_success(api):
    rules = api.ok("GET", "/connectors/bitmart/trading-rules?trading_pairs=NO-USDT")
    assert rules == {"NO-USDT": {"error": "Trading pair NO-USDT not found"}}
    assert "SHARP-USDT" in api.ok("GET", "/connectors/bitmart/trading-rules")


@pytest.mark.parametrize("login", [("admin:x", "admin"), ("ädmin", "admin"), ("admin", "ädmin")])
def test_a_login_with_a_colon_or_an_accent_is_wrong_even_when_it_is_the_servers(login):
    user, password = login
    with Sandbox(username=user, password=password).serve() as sandbox:
        answer = requests.get(f"{sandbox.url}/accounts/", auth=(user.encode(), password.encode()), timeout=5)
    assert answer.status_code == 401


@pytest.mark.parametrize("value", [None, "n/a", "12.5"])
def test_balances_that_are_no_numbers_can_be_had(value, api, sandbox):
    sandbox.world.accounts["client_sharp"] = {"bitmart": BITMART}
    sandbox.faults.add("balances_unreadable", value=value)
    state = api.ok("POST", "/portfolio/state", json={"account_names": []})
    [tokens] = [tokens for connectors in state.values() for tokens in connectors.values()]
    assert tokens[0]["units"] > 0 and tokens[1]["units"] == tokens[1]["price"] == value


@pytest.mark.parametrize("pair", ["kPEPE-USD", "sAVAX-AVAX", "USD.b-XRP", "$NUT-USDT", "purr-usdc"])
def test_a_pair_is_listed_only_as_its_exchange_spells_it(api, pair):
    other = pair.swapcase()
    asked = urlencode({"trading_pairs": [pair, other]}, doseq=True)
    rules = api.ok("GET", f"/connectors/bitmart/trading-rules?{asked}")
    assert "min_order_size" in rules[pair]
    assert rules[other] == {"error": f"Trading pair {other} not found"}
    wanted = {"connector_name": "bitmart", "trading_pairs": [pair]}
    assert api.ok("POST", "/market-data/prices", json=wanted)["prices"][pair]


@pytest.mark.parametrize("connector", ["nope", "binance_paper_trade"])
def test_a_connector_that_the_server_does_not_list_has_no_trading_rules(api, connector):
    assert api.get(f"/connectors/{connector}/trading-rules").status_code == 404


def test_an_unresponsive_exchange_looks_like_a_missing_connector(api, sandbox):
    sandbox.faults.add("exchange_unreachable")
    answer = api.get("/connectors/bitmart/trading-rules?trading_pairs=SHARP-USDT")
    assert answer.status_code == 404
    assert "Cannot connect to host" in answer.json()["detail"]
    prices = {"connector_name": "bitmart", "trading_pairs": ["SHARP-USDT"]}
    assert api.post("/market-data/prices", json=prices).status_code == 500


def test_a_running_bots_controller_can_be_changed(api, world, profile):
    name = deploy_controller(api, world, profile)
    api.ok("POST", f"/controllers/bots/{name}/pmm/config", json={"order_amount": 2})
    (config,) = api.ok("GET", f"/controllers/bots/{name}/configs")
    assert (config["order_amount"], config["_config_name"]) == (2, "pmm")
    assert "order_amount" not in world.controller_configs["pmm"]


def said_of_controllers(api, name):
    lines = api.ok("GET", f"/bot-orchestration/{name}/status")["data"]["general_logs"]
    return [line["msg"] for line in lines if "controller" in line["msg"]]


def test_a_bot_obeys_its_controllers_kill_switch_when_it_next_reads_the_file(api, world, profile):
    name = deploy_controller(api, world, profile)
    world.clock.advance(60)
    path = f"/controllers/bots/{name}/pmm/config"
    api.ok("POST", path, json={"manual_kill_switch": True})
    assert said_of_controllers(api, name) == []
    world.clock.advance(11)
    assert said_of_controllers(api, name) == ["Manual cash out for controller pmm."]
    # Of two changes between two reads it sees the last one.
    api.ok("POST", path, json={"manual_kill_switch": False})
    api.ok("POST", path, json={"manual_kill_switch": True})
    world.clock.advance(11)
    assert said_of_controllers(api, name) == ["Manual cash out for controller pmm."]
    api.ok("POST", path, json={"manual_kill_switch": False})
    world.clock.advance(11)
    assert said_of_controllers(api, name)[1:] == ["Restarting controller pmm."]


def test_a_bot_that_starts_with_its_kill_switch_on_stops_again_when_its_exchange_is_ready(api, world, profile):
    name = deploy_controller(api, world, profile)
    api.ok("POST", f"/controllers/bots/{name}/pmm/config", json={"manual_kill_switch": True})
    world.crash(name)
    world.restart(name)
    world.clock.advance(30)
    assert said_of_controllers(api, name) == ["Manual cash out for controller pmm."]


def test_a_controller_that_an_instance_does_not_have_cannot_be_changed(api, world, profile):
    name = deploy_controller(api, world, profile)
    assert api.post(f"/controllers/bots/{name}/other/config", json={}).status_code == 404
    assert api.post("/controllers/bots/nobody/pmm/config", json={}).status_code == 404
