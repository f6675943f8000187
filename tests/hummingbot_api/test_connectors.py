"""What the project knows about connectors agrees with a real server's report."""

import json
from pathlib import Path

import pytest

from core.exchanges import EXCHANGES, exchange_of, title_of, wording_of
from hummingbot_api.connectors import KNOWN_CONNECTORS, AccountType, Market, is_paper_trade, market_of

RECORDED = Path(__file__).resolve().parents[3] / "shared/reference/hummingbot-connectors.json"


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers are not part of the project")
@pytest.mark.parametrize("connector", KNOWN_CONNECTORS)
def test_the_known_fields_are_those_that_a_real_server_lists(connector):
    recorded = json.loads(RECORDED.read_text())[connector]

    known = {
        field.name: {"type": field.type, "required": field.required}
        | ({"allowed_values": list(field.allowed_values)} if field.allowed_values else {})
        for field in KNOWN_CONNECTORS[connector]
    }

    assert known == recorded


def test_keys_and_memos_are_secret_and_a_choice_is_not():
    secret = {field.name: field.secret for field in KNOWN_CONNECTORS["okx"]}

    assert secret == {
        "okx_api_key": True,
        "okx_secret_key": True,
        "okx_passphrase": True,
        "okx_registration_sub_domain": False,
    }


@pytest.mark.parametrize(
    ("connector", "market"),
    [
        ("binance", Market("binance", False, AccountType.REAL)),
        ("binance_paper_trade", Market("binance", False, AccountType.PAPER)),
        ("binance_perpetual", Market("binance", True, AccountType.REAL)),
        ("binance_perpetual_testnet", Market("binance", True, AccountType.TESTNET)),
        ("bybit_testnet", Market("bybit", False, AccountType.TESTNET)),
        ("architect_perpetual_sandbox", Market("architect", True, AccountType.TESTNET)),
        ("dydx_v4_perpetual", Market("dydx_v4", True, AccountType.REAL)),
        # Whatever the name does not make certain is real money.
        ("testnet_exchange", Market("testnet_exchange", False, AccountType.REAL)),
        ("paper_trade", Market("paper_trade", False, AccountType.REAL)),
        ("BINANCE_PAPER_TRADE", Market("BINANCE_PAPER_TRADE", False, AccountType.REAL)),
    ],
)
def test_a_connectors_name_says_where_and_with_what_it_trades(connector, market):
    assert market_of(connector) == market
    assert is_paper_trade(connector) == (market.account_type is AccountType.PAPER)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers are not part of the project")
def test_only_recorded_connectors_of_test_networks_count_as_such():
    names = [name for name in json.loads(RECORDED.read_text()) if market_of(name).account_type is not AccountType.REAL]
    assert names == [name for name in json.loads(RECORDED.read_text()) if name.endswith(("_testnet", "_sandbox"))]


def test_connectors_have_plain_names():
    assert title_of("binance") == "Binance"
    assert title_of("binance_perpetual") == "Binance futures (perpetual)"
    assert title_of("binance_perpetual_testnet") == "Binance futures (perpetual), testnet"
    assert title_of("gate_io_paper_trade") == "Gate.io, paper"
    assert title_of("some_new_exchange_perpetual") == "Some New Exchange futures (perpetual)"


@pytest.mark.parametrize("connector", KNOWN_CONNECTORS)
def test_every_known_connector_has_a_guide_and_words_for_each_field(connector):
    assert exchange_of(connector) is not None
    for field in KNOWN_CONNECTORS[connector]:
        words = wording_of(connector, field.name)
        assert words.help, field.name
        assert market_of(connector).exchange not in words.label.lower().split()
        assert set(words.choices) == set(field.allowed_values)


def test_every_guide_is_for_a_known_connector_and_links_are_https():
    assert set(EXCHANGES) == {market_of(connector).exchange for connector in KNOWN_CONNECTORS}
    links = [url for exchange in EXCHANGES.values() for url in (exchange.url, exchange.test_url) if url]
    assert all(url.startswith("https://") for url in links)


def test_a_field_that_is_not_known_is_called_by_its_own_name():
    assert wording_of("evedex_perpetual", "evedex_perpetual_signer_id").label == "Signer id"
    assert wording_of("bing_x", "bingx_api_key").label == "API key"
    assert wording_of("backpack_perpetual", "backpack_api_secret").label == "Secret key"
