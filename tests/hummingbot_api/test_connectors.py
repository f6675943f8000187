"""What the project knows of connectors agrees with what a real server said of them."""

import json
from pathlib import Path

import pytest

from hummingbot_api.connectors import KNOWN_CONNECTORS, is_paper_trade, is_testnet

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


def test_paper_trade_and_test_networks_are_told_by_their_names():
    assert is_paper_trade("binance_paper_trade")
    assert not is_paper_trade("binance")
    assert is_testnet("bybit_testnet")
    assert is_testnet("architect_perpetual_sandbox")
    assert not is_testnet("bybit")
