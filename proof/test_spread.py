# ruff: noqa: S101
"""Proof that `bots/strategies/bundled_scripts/spread.py` does what it documents, inside the real Hummingbot package.

Nothing of Hummingbot's trading code is replaced. The markets are the package's own simulated exchange and,
where the moment of a confirmation matters, its real BitMart connector with the two HTTP requests (place,
cancel) cut off. Every expected price and amount is worked out by hand in a comment next to it.
"""

import ast
import asyncio
import inspect
import logging
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio
import yaml
from hummingbot.client.config.config_data_types import BaseClientModel
from hummingbot.connector.test_support.mock_paper_exchange import MockPaperExchange
from hummingbot.core.data_type.common import MarketDict
from hummingbot.core.network_iterator import NetworkStatus
from hummingbot.strategy.strategy_v2_base import StrategyV2ConfigBase
from pydantic import ValidationError
from stage import PAIR, Stage, bitmart, move_mid, simulated_market

from bots.strategies.bundled import defaults
from bots.strategies.render import script_config

SCRIPT = Path(__file__).parent.parent / "bots" / "strategies" / "bundled_scripts" / "spread.py"


UPLOADED_NAME = "spread_1a2b3c4d"


# What the panel writes to a server as the script's config, to the letter.
PANEL_SETTINGS = script_config(UPLOADED_NAME, ("bitmart", PAIR), defaults("spread") | {"order_amount": 1600})


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a bot container sees it: a module of the `scripts` package, under its uploaded name."""
    package = tmp_path / "scripts"
    package.mkdir()
    shutil.copy(SCRIPT, package / f"{UPLOADED_NAME}.py")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name == "scripts" or name.startswith("scripts.")]:
        monkeypatch.delitem(sys.modules, name)
    module = __import__(f"scripts.{UPLOADED_NAME}", fromlist=["*"])
    yield module
    for name in [name for name in sys.modules if name == "scripts" or name.startswith("scripts.")]:
        del sys.modules[name]


class Play(Stage):
    """A stage on which the script runs."""

    def __init__(self, script: ModuleType, market, **changes) -> None:
        super().__init__(market)
        self.config = script.SpreadConfig(**PANEL_SETTINGS | {"connector_name": market.name} | changes)
        script.Spread.init_markets(self.config)
        self.put_on(script.Spread({market.name: market}, self.config))

    async def first_quotes(self) -> int:
        """Second 1 finds the market ready, second 2 is the first that quotes."""
        await self.until(2)
        return self.now


@pytest_asyncio.fixture
async def stage(script: ModuleType, application: None):
    """Makes plays."""
    plays = []

    def make(market=None, **changes) -> Play:
        plays.append(Play(script, market or simulated_market(), **changes))
        return plays[-1]

    yield make
    for made in plays:
        made.close()


BID = ("bid", Decimal("0.012462"), Decimal("1600"))  # 0.0125 * 0.997 = 0.0124625, rounded down


ASK = ("ask", Decimal("0.012538"), Decimal("1600"))  # 0.0125 * 1.003 = 0.0125375, rounded up


# --- the module and its config ---


def test_it_accepts_what_the_panel_sends(script):
    config = script.SpreadConfig(**PANEL_SETTINGS)
    assert config.bid_spread == config.ask_spread == Decimal("0.003")  # exactly, not the float's binary value
    assert config.order_amount == Decimal(1600)
    assert config.order_refresh_time == 60
    assert config.controllers_config == []


def test_it_accepts_them_after_a_trip_through_a_yaml_file(script):
    config = script.SpreadConfig(**yaml.safe_load(yaml.dump(PANEL_SETTINGS, default_flow_style=False)))
    assert config == script.SpreadConfig(**PANEL_SETTINGS)


def test_it_names_itself_after_the_file_that_it_was_uploaded_as(script):
    config = script.SpreadConfig(connector_name="bitmart", trading_pair=PAIR, order_amount=1)
    assert config.script_file_name == "spread_1a2b3c4d.py"
    assert (config.bid_spread, config.ask_spread) == (Decimal("0.003"), Decimal("0.003"))
    assert config.order_refresh_time == 60


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bid_spread", 0),
        ("bid_spread", -0.003),
        ("bid_spread", 1),
        ("bid_spread", "nan"),
        ("bid_spread", "wide"),
        ("ask_spread", 0),
        ("ask_spread", -0.003),
        ("ask_spread", 1.01),
        ("ask_spread", "inf"),
        ("order_amount", 0),
        ("order_amount", -1),
        ("order_amount", None),
        ("order_refresh_time", 0),
        ("order_refresh_time", -60),
        ("order_refresh_time", 1.5),
        ("trading_pair", "SHARPUSDT"),
        ("trading_pair", "SHARP-"),
        ("trading_pair", "SHARP USDT"),
        ("connector_name", ""),
        ("connector_name", "../bitmart"),
        ("connector_name", "bitmart_perpetual"),
        ("leverage", 20),
        ("bid_sprad", 0.003),
    ],
)
def test_it_refuses_bad_settings(script, field, value):
    with pytest.raises(ValidationError) as refusal:
        script.SpreadConfig(**PANEL_SETTINGS | {field: value})
    assert [error["loc"] for error in refusal.value.errors()] == [(field,)]


def test_the_largest_spreads_are_accepted(script):
    config = script.SpreadConfig(**PANEL_SETTINGS | {"bid_spread": 0.999, "ask_spread": 1})
    assert (config.bid_spread, config.ask_spread) == (Decimal("0.999"), Decimal(1))


@pytest.mark.parametrize("field", ["connector_name", "trading_pair", "order_amount"])
def test_what_has_no_harmless_default_must_be_given(script, field):
    with pytest.raises(ValidationError, match="Field required"):
        script.SpreadConfig(**{key: value for key, value in PANEL_SETTINGS.items() if key != field})


def test_update_markets_names_the_connector_and_the_pair(script):
    assert dict(script.SpreadConfig(**PANEL_SETTINGS).update_markets(MarketDict({}))) == {"bitmart": {PAIR}}
    script.Spread.init_markets(script.SpreadConfig(**PANEL_SETTINGS))
    assert dict(script.Spread.markets) == {"bitmart": {PAIR}}


def test_the_api_server_finds_the_right_config_class(script):
    """Its rule, as its source has it: the first class by name that is a BaseClientModel other than itself."""
    found = [
        cls
        for _, cls in inspect.getmembers(script, inspect.isclass)
        if issubclass(cls, BaseClientModel) and cls is not BaseClientModel
    ]
    assert found == [script.SpreadConfig, StrategyV2ConfigBase]


def test_it_imports_nothing_but_hummingbot_and_a_little_of_the_standard_library():
    """The script runs with a client's exchange keys: no network, file or process module may slip in."""
    tree = ast.parse(SCRIPT.read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    ours = {module for module in modules if not module.startswith("hummingbot.")}
    assert ours == {"asyncio", "collections.abc", "contextlib", "dataclasses", "decimal", "pathlib", "pydantic"}
    # Path is there for the file's own name and for nothing else.
    paths = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "Path"]
    assert len(paths) == 1
    assert "Path(__file__).name" in SCRIPT.read_text()


# --- quoting ---


async def test_it_quotes_both_sides_of_the_mid_price(stage):
    play = stage()
    await play.until(1)
    assert play.orders == []
    await play.first_quotes()
    assert play.orders == [BID, ASK]


async def test_spreads_are_separate_and_amounts_are_quantised(stage):
    play = stage(bid_spread=0.01, ask_spread=0.02, order_amount=1600.57)
    await play.first_quotes()
    assert play.orders == [
        ("bid", Decimal("0.012375"), Decimal("1600.5")),  # 0.0125 * 0.99
        ("ask", Decimal("0.012750"), Decimal("1600.5")),  # 0.0125 * 1.02
    ]


async def test_on_a_coarse_price_step_the_ask_does_not_land_on_the_bids(stage):
    """Steps of 0.001, best bid 0.012, best ask 0.013: the ask of 0.0125375 rounded down would hit the bid."""
    market = simulated_market(price_decimals=3)
    market.set_balanced_order_book(PAIR, 0.0125, 0.0095, 0.0155, 0.001, 100)
    assert market.get_mid_price(PAIR) == Decimal("0.0125")
    play = stage(market)
    await play.first_quotes()
    assert play.orders == [
        ("bid", Decimal("0.012"), Decimal("1600")),
        ("ask", Decimal("0.013"), Decimal("1600")),
    ]
    await play.until(30)
    assert play.market.get_balance("SHARP") == Decimal(100_000)  # nothing traded


async def test_it_refreshes_on_time_and_at_the_new_price(stage):
    play = stage()
    await play.first_quotes()
    first = play.ids
    move_mid(play.market, 0.01251)  # too little to fill either order: best bid 0.01246, best ask 0.01256
    await play.until(61)
    assert play.ids == first
    await play.until(62)  # 2 + 60: canceled, nothing placed in the same tick
    assert play.orders == []
    await play.until(63)
    assert play.orders == [
        ("bid", Decimal("0.012472"), Decimal("1600")),  # 0.01251 * 0.997 = 0.01247247
        ("ask", Decimal("0.012548"), Decimal("1600")),  # 0.01251 * 1.003 = 0.01254753
    ]
    assert not play.ids & first
    second = play.ids
    await play.until(122)
    assert play.ids == second
    await play.until(123)  # 63 + 60
    assert play.orders == []


async def test_a_filled_order_is_not_replaced_before_the_next_refresh(stage):
    play = stage()
    await play.first_quotes()
    move_mid(play.market, 0.0126)  # best bid 0.01255: takes the ask at 0.012538
    await play.until(61)
    assert play.orders == [BID]
    assert play.market.get_balance("SHARP") == Decimal(98_400)  # 100000 - 1600
    assert play.market.get_balance("USDT") == Decimal("1020.0608")  # 1000 + 1600 * 0.012538
    await play.until(63)
    assert play.orders == [
        ("bid", Decimal("0.012562"), Decimal("1600")),  # 0.0126 * 0.997 = 0.0125622
        ("ask", Decimal("0.012638"), Decimal("1600")),  # 0.0126 * 1.003 = 0.0126378
    ]


async def test_with_both_filled_it_still_waits_for_the_refresh(stage):
    play = stage()
    await play.first_quotes()
    move_mid(play.market, 0.0126)
    await play.until(4)
    move_mid(play.market, 0.0124)  # best ask 0.01245: takes the bid at 0.012462
    await play.until(61)
    assert play.orders == []
    await play.until(62)
    assert len(play.orders) == 2


# --- the budget ---


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    wanted = "hummingbot.strategy.strategy_v2_base"
    return [r.getMessage() for r in caplog.records if r.name == wanted and r.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("usdt", "sharp", "expected"),
    [
        ("19.9392", "1600", [BID, ASK]),  # 1600 * 0.012462 = 19.9392, to the last digit
        ("19.9391", "1600", [ASK]),
        ("19.9392", "1599.9", [BID]),
        ("0", "0", []),
    ],
)
async def test_it_places_only_what_the_balance_pays_for(stage, usdt, sharp, expected):
    market = simulated_market()
    market.set_balance("USDT", Decimal(usdt))
    market.set_balance("SHARP", Decimal(sharp))
    play = stage(market)
    await play.first_quotes()
    assert play.orders == expected


async def test_fees_count(stage):
    """BitMart adds its fee (0.25 %) to the cost: 19.9392 * 1.0025 = 19.989048."""
    play = stage(bitmart(usdt="19.98904"))
    await play.first_quotes()
    assert play.orders == [ASK]
    play = stage(bitmart(usdt="19.98905"))
    await play.first_quotes()
    assert play.orders == [BID, ASK]


async def test_a_missing_side_is_logged_once_and_comes_back_at_a_refresh(stage, caplog):
    market = simulated_market()
    market.set_balance("USDT", Decimal(10))
    play = stage(market, order_refresh_time=10)
    with caplog.at_level(logging.WARNING):
        await play.until(100)
    assert play.orders == [ASK]
    assert warnings_of(caplog) == [
        "No bid of 1600.0 SHARP-USDT at 0.012462: the available balance does not pay for it."
    ]
    market.set_balance("USDT", Decimal(20))
    await play.until(120)
    assert play.orders == [BID, ASK]


async def test_an_amount_below_the_exchange_step_is_not_sent(stage, caplog):
    with caplog.at_level(logging.WARNING):
        play = stage(order_amount=0.04)
        await play.until(200)
    assert play.orders == []
    assert [message.split(":")[1] for message in warnings_of(caplog)] == [" too small for mock_paper_exchange."] * 2


class SlowToFree(MockPaperExchange):
    """Frees the money of canceled orders some seconds late, as an exchange's balance messages do."""

    late = False

    def get_available_balance(self, currency):
        return Decimal(0) if self.late else super().get_available_balance(currency)


async def test_it_gives_balances_a_moment_after_a_cancel(stage):
    market = simulated_market(SlowToFree)
    play = stage(market)
    await play.first_quotes()
    await play.until(62)
    market.late = True
    await play.until(64)
    assert play.orders == []
    market.late = False
    await play.until(65)
    assert play.orders == [BID, ASK]


# --- when the market is away ---


class Moody(MockPaperExchange):
    up = True
    connected = True

    @property
    def ready(self):
        return self.up

    @property
    def network_status(self):
        return NetworkStatus.CONNECTED if self.connected else NetworkStatus.NOT_CONNECTED


async def test_it_waits_for_a_market_that_is_not_ready(stage):
    market = simulated_market(Moody)
    market.up = False
    play = stage(market)
    await play.until(30)
    assert play.orders == []
    market.up = True
    await play.until(32)
    assert play.orders == [BID, ASK]


@pytest.mark.parametrize("loss", ["up", "connected"])
async def test_it_leaves_everything_alone_while_the_connection_is_lost(stage, caplog, loss):
    market = simulated_market(Moody)
    play = stage(market)
    await play.first_quotes()
    first = play.ids
    setattr(market, loss, False)
    with caplog.at_level(logging.WARNING):
        await play.until(200)
    assert play.ids == first
    assert warnings_of(caplog) == [
        "mock_paper_exchange is not connected: waiting, nothing is placed.",
    ]
    setattr(market, loss, True)
    await play.until(202)
    assert play.orders == [BID, ASK]
    assert not play.ids & first


async def test_it_waits_while_there_is_no_mid_price(stage, caplog):
    play = stage()
    play.market.new_empty_order_book(PAIR)
    assert play.market.get_mid_price(PAIR).is_nan()
    with caplog.at_level(logging.WARNING):
        await play.until(100)
    assert play.orders == []
    assert warnings_of(caplog) == ["The order book has no mid price: waiting, nothing is placed."]
    move_mid(play.market, 0.0125)
    await play.until(105)  # it checks again every five seconds
    assert play.orders == [BID, ASK]


async def test_without_a_mid_price_old_quotes_don_t_stay(stage):
    play = stage()
    await play.first_quotes()
    play.market.new_empty_order_book(PAIR)
    await play.until(70)
    assert play.orders == []


# --- stopping ---


async def test_a_stop_waits_for_its_cancels_and_places_nothing_more(stage):
    market = bitmart()
    play = stage(market)
    await play.first_quotes()
    market.answers.clear()
    stopping = asyncio.ensure_future(play.strategy.on_stop())
    await play.until(200)  # the clock runs on while a stop is under way, past the next refresh
    assert not stopping.done()
    assert market.kinds() == ["place", "place", "cancel", "cancel"]
    market.answers.set()
    await asyncio.wait_for(stopping, 5)
    assert market.alive == set()
    assert play.orders == []
    await play.until(300)
    assert market.kinds() == ["place", "place", "cancel", "cancel"]


async def test_a_stop_ends_even_when_the_exchange_does_not_answer(stage, caplog):
    market = bitmart()
    play = stage(market)
    play.strategy.STOP_TIMEOUT = 0.3
    await play.first_quotes()
    market.refuse_cancels = True
    with caplog.at_level(logging.WARNING):
        await asyncio.wait_for(play.strategy.on_stop(), 5)
    assert play.strategy._is_stop_triggered  # Hummingbot's own part of the stop was reached
    (message,) = [text for text in warnings_of(caplog) if "not confirmed" in text]
    assert all(order_id in message for order_id in market.alive)


async def test_a_stop_before_the_market_was_ready(stage):
    market = simulated_market(Moody)
    market.up = False
    play = stage(market)
    await play.until(3)
    await play.strategy.on_stop()
    market.up = True
    await play.until(10)
    assert play.orders == []


async def test_the_status_text_shows_the_orders(stage):
    play = stage()
    await play.first_quotes()
    assert "0.012462" in play.strategy.format_status()
    assert "0.012538" in play.strategy.format_status()
