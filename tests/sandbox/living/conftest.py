"""A sandbox whose market lives, with a clock that only moves when a test moves it."""

import pytest

from sandbox import Sandbox
from tests.sandbox.living.steps import PAIR, START, deploy_spread, move_to
from tests.sandbox.test_sandbox import Client

MARKET = {
    "connector_name": "bitmart",
    "trading_pair": PAIR,
    "order_amount": 1600,
    "order_refresh_time": 60,
}


@pytest.fixture
def sandbox():
    with Sandbox(speed=100, market="living").serve() as sandbox:
        prepare(sandbox.world)
        yield sandbox


def prepare(world):
    move_to(world, START)
    world.accounts["client_sharp"] = {"bitmart": {"bitmart_api_key": "k", "bitmart_secret_key": "s"}}
    world.accounts["client_other"] = {"bitmart": {"bitmart_api_key": "k", "bitmart_secret_key": "s"}}
    world.scripts["spread"] = (
        "class SpreadConfig(StrategyV2ConfigBase):\n    connector_name: str\n    trading_pair: str\n"
    )
    spreads = {"bid_spread": 0.003, "ask_spread": 0.003}
    world.script_configs["sharp"] = {"script_file_name": "spread.py", "controllers_config": [], **MARKET, **spreads}
    pmm = {"id": "pmm", "controller_type": "generic", "controller_name": "pmm_v1", **MARKET}
    world.controller_configs["pmm"] = pmm | {"buy_spreads": [0.003], "sell_spreads": [0.003]}


@pytest.fixture
def world(sandbox):
    return sandbox.world


@pytest.fixture
def api(sandbox):
    with Client(sandbox) as api:
        yield api


@pytest.fixture
def bot(api):
    """The name of a bot that runs ``spread``, deployed now."""
    return deploy_spread(api)


@pytest.fixture
def controller(api):
    """The name of a bot that runs ``pmm_v1``, deployed now."""
    body = {"instance_name": "hummingbot-pmm", "credentials_profile": "client_sharp", "controllers_config": ["pmm"]}
    made = api.ok("POST", "/bot-orchestration/deploy-v2-controllers", json=body | {"headless": True})
    return made["unique_instance_name"]
