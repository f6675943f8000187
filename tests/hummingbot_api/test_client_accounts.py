"""Accounts, keys and connectors, as the client reads and writes them."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import logging

import pytest

from hummingbot_api import HummingbotAPI
from hummingbot_api.connectors import KNOWN_CONNECTORS
from hummingbot_api.errors import (
    AlreadyExists,
    ExchangeUnreachable,
    KeyRefused,
    ProfileMissing,
    RequestRejected,
    ServerFailed,
    UnknownConnector,
    WrongKeyField,
)
from hummingbot_api.results import ConnectorField, TradingRule
from hummingbot_api.server_faults import ServerModuleMissing
from sandbox import Sandbox
from tests.hummingbot_api.stub import Reply
from tests.hummingbot_api.test_client import KEY, SECRET, _no_waiting, api, sandbox, stub, stubbed


def test_an_account_is_added_listed_and_deleted(api):
    api.accounts.add("client_sharp")
    assert api.accounts.list() == ["master_account", "client_sharp"]
    assert api.accounts.credentials("client_sharp") == []

    api.accounts.delete("client_sharp")
    assert api.accounts.list() == ["master_account"]


def test_an_account_that_exists(api):
    api.accounts.add("client_sharp")

    with pytest.raises(AlreadyExists):
        api.accounts.add("client_sharp")


def test_an_account_that_does_not_exist(api):
    with pytest.raises(ProfileMissing):
        api.accounts.credentials("ghost")
    with pytest.raises(ProfileMissing):
        api.accounts.delete("ghost")


def test_the_master_account_cannot_be_deleted(api):
    with pytest.raises(RequestRejected, match="Cannot delete master account"):
        api.accounts.delete("master_account")


def test_a_key_is_added_listed_and_deleted(api, sandbox):
    api.accounts.add("client_sharp")
    api.accounts.add_credential("client_sharp", "bitmart", KEY)

    assert api.accounts.credentials("client_sharp") == ["bitmart"]
    assert sandbox.world.accounts["client_sharp"]["bitmart"] == KEY

    api.accounts.delete_credential("client_sharp", "bitmart")
    assert api.accounts.credentials("client_sharp") == []


def test_a_key_is_sent_in_the_body_and_nothing_of_it_in_the_address(stub, stubbed):
    stub.will(Reply({}, 201))
    stubbed.accounts.add_credential("client_sharp", "bitmart", KEY)
    (request,) = stub.seen
    assert [value for value in KEY.values() if value not in request.body.decode()] == []
    assert [value for value in KEY.values() if value in request.path] == []


def test_a_key_that_the_exchange_refuses_and_echoes(api, sandbox, caplog):
    caplog.set_level(logging.DEBUG)
    api.accounts.add("client_sharp")
    sandbox.faults.add("exchange_refuses_key", message=f"401 Unauthorized: {SECRET} has expired")

    with pytest.raises(KeyRefused) as caught:
        api.accounts.add_credential("client_sharp", "bitmart", KEY)

    assert caught.value.message.endswith("••• has expired")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("account", "connector", "values", "kind"),
    [
        ("client_sharp", "bitmart", {"api_key": "k"}, WrongKeyField),
        ("client_sharp", "nope", {"api_key": "k"}, UnknownConnector),
        ("ghost", "bitmart", KEY, ProfileMissing),
    ],
)
def test_a_key_that_the_server_does_not_take(api, account, connector, values, kind):
    api.accounts.add("client_sharp")

    with pytest.raises(kind):
        api.accounts.add_credential(account, connector, values)


@pytest.mark.parametrize(
    "words",
    [
        "Cannot connect to host api-cloud.bitmart.com:443 ssl:default [Name or service not known]",
        "Connection timeout to host https://api.binance.com",
        "503, message='Service Unavailable'",
    ],
)
def test_a_key_that_could_not_be_tried(api, sandbox, words):
    api.accounts.add("client_sharp")
    sandbox.faults.add("exchange_refuses_key", message=words)

    with pytest.raises(ExchangeUnreachable):
        api.accounts.add_credential("client_sharp", "bitmart", KEY)


def test_a_failure_of_pydantic_names_the_field_and_not_its_value(stub, stubbed):
    report = (
        "1 validation error for BitmartConfigMap\nbitmart_memo\n  Field required [type=missing, "
        "input_value={'bitmart_api_key': 'planted-se...3456789'}, input_type=dict]\n"
        "    For further information visit https://errors.pydantic.dev/2.14/v/missing"
    )
    stub.will(Reply({"detail": report}, 400))

    with pytest.raises(WrongKeyField) as caught:
        stubbed.accounts.add_credential("client_sharp", "bitmart", KEY)
    assert caught.value.message.endswith("The server responded: bitmart_memo: Field required")


def test_the_fields_of_a_connector(api):
    assert set(api.connectors.fields("okx")) == set(KNOWN_CONNECTORS["okx"])
    assert "okx" in api.connectors.list()


def test_the_fields_of_a_connector_on_an_older_server():
    with Sandbox(legacy_config_map=True).serve() as sandbox:
        connectors = HummingbotAPI(sandbox.url, "admin", "admin").connectors
        fields = {name: set(connectors.fields(name)) for name in ("binance", "hyperliquid")}

    assert fields["binance"] == {
        ConnectorField("binance_api_key", "SecretStr", True),
        ConnectorField("binance_api_secret", "SecretStr", True),
    }
    # It names the fields only: what is known of their types beforehand is kept.
    assert fields["hyperliquid"] == set(KNOWN_CONNECTORS["hyperliquid"])


@pytest.mark.parametrize("connector", ["nope", "binance_paper_trade"])
def test_the_fields_of_a_connector_that_the_server_does_not_know(api, connector):
    with pytest.raises(UnknownConnector, match=connector):
        api.connectors.fields(connector)


def test_trading_rules_are_requested_by_pair(stub, stubbed):
    stub.will(Reply({"BTC-USDT": {"min_order_size": 0.0001, "min_notional_size": 0, "min_price_increment": 1e-56}}))

    rules = stubbed.connectors.trading_rules("binance", ["BTC-USDT", "ETH-USDT"])
    assert rules == {"BTC-USDT": TradingRule(min_order_size=0.0001, min_notional_size=None, min_price_increment=None)}
    assert stub.seen[0].path.endswith("?trading_pairs=BTC-USDT&trading_pairs=ETH-USDT")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Connector 'nope' not found: Connector nope not found", UnknownConnector),
        ("Connector 'bitmart' not found or error: Cannot connect to host x:443", ExchangeUnreachable),
        ("Connector 'bitmart' not found or error: it broke", ServerFailed),
        ("Connector 'bitmart' not found or error: No module named 'bitmart'", ServerModuleMissing),
    ],
)
def test_trading_rules_that_cannot_be_read(stub, stubbed, words, kind):
    stub.will(Reply({"detail": words}, 404))

    with pytest.raises(kind):
        stubbed.connectors.trading_rules("bitmart", ["BTC-USDT"])


def test_a_pair_that_the_exchange_does_not_list_has_no_rules(api):
    assert api.connectors.trading_rules("bitmart", ["SHARP-USDT", "NO-USDT"]).keys() == {"SHARP-USDT"}


def test_prices_are_requested_by_pair(api):
    assert api.connectors.prices("bitmart", ["SHARP-USDT"]) == {"SHARP-USDT": 0.0125}


@pytest.mark.parametrize(
    ("connector", "pair", "kind"), [("nope", "SHARP-USDT", ServerFailed), ("bitmart", "NO-USDT", ServerFailed)]
)
def test_prices_that_cannot_be_read(api, connector, pair, kind):
    with pytest.raises(kind):
        api.connectors.prices(connector, [pair])


def test_an_exchange_that_does_not_answer_the_server_gives_no_prices(api, sandbox):
    sandbox.faults.add("exchange_unreachable")
    with pytest.raises(ExchangeUnreachable):
        api.connectors.prices("bitmart", ["SHARP-USDT"])
