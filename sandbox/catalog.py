"""The connectors, scripts and controllers that come with the server."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model

from hummingbot_api.connectors import KNOWN_CONNECTORS, modes_of
from hummingbot_api.results import ConnectorField
from sandbox.scripts import UNDEFINED

_INJECTIVE = "hummingbot.connector.exchange.injective_v2.injective_v2_utils.Injective"


def _one_of(*classes: str) -> str:
    return f"typing.Union[{', '.join(_INJECTIVE + name for name in classes)}]"


#: Those with guides, and two that require more than text.
CONNECTORS: dict[str, tuple[ConnectorField, ...]] = KNOWN_CONNECTORS | {
    "injective_v2": (
        ConnectorField("receive_connector_configuration", "bool", False),
        ConnectorField(
            "network", _one_of("MainnetNetworkMode", "TestnetNetworkMode", "CustomNetworkMode"), required=False
        ),
        ConnectorField("account_type", _one_of("DelegatedAccountMode", "ReadOnlyAccountMode"), required=False),
        ConnectorField(
            "fee_calculator",
            _one_of("SimulatedTransactionFeeCalculatorMode", "MessageBasedTransactionFeeCalculatorMode"),
            required=False,
        ),
    ),
    "xrpl": (
        ConnectorField("xrpl_secret_key", "SecretStr", True),
        ConnectorField("wss_node_urls", "list[str]", False),
        ConnectorField(
            "custom_markets", "typing.Dict[str, hummingbot.connector.exchange.xrpl.xrpl_utils.XRPLMarket]", False
        ),
        ConnectorField("max_request_per_minute", "int", False),
    ),
}


def why_not_of_type(field: ConnectorField, value: object) -> str:
    """Return Pydantic's error for a value that the connector's own class rejects for its type; empty if valid."""
    modes = modes_of(field)
    title = isinstance(value, str) and value in modes
    group = isinstance(value, dict) and any(set(value) == {inner.name for inner in asked} for asked in modes.values())
    fits = {
        "text": isinstance(value, str),
        "choice": value in field.allowed_values,
        "bool": isinstance(value, bool),
        "int": type(value) is int,
        "list": isinstance(value, list),
        "object": title or group if modes else isinstance(value, dict),
    }[field.kind]
    if fits:
        return ""
    wanted = {"text": "string", "bool": "boolean", "int": "integer", "object": "dictionary"}.get(field.kind, field.kind)
    return f"1 validation error for ConfigMap\n{field.name}\n  Input should be a valid {wanted}"


ControllerType = Literal["directional_trading", "market_making", "generic"]

SIMPLE_PMM = '''\
import os
from decimal import Decimal

from pydantic import Field

from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase


class SimplePMMConfig(StrategyV2ConfigBase):
    script_file_name: str = os.path.basename(__file__)
    controllers_config: list[str] = []
    exchange: str = Field("binance_paper_trade")
    trading_pair: str = Field("ETH-USDT")
    order_amount: Decimal = Field(0.01)
    bid_spread: Decimal = Field(0.001)
    ask_spread: Decimal = Field(0.001)
    order_refresh_time: int = Field(15)
    price_type: str = Field("mid")

    def update_markets(self, markets):
        markets[self.exchange] = markets.get(self.exchange, set()) | {self.trading_pair}
        return markets


class SimplePMM(StrategyV2Base):
    """Quotes one buy and one sell order around the mid price, and renews them."""
'''

V2_WITH_CONTROLLERS = '''\
import os

from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase


class V2WithControllersConfig(StrategyV2ConfigBase):
    script_file_name: str = os.path.basename(__file__)
    max_global_drawdown_quote: float | None = None
    max_controller_drawdown_quote: float | None = None


class V2WithControllers(StrategyV2Base):
    """Runs the controllers that its configuration names."""
'''

BUNDLED_SCRIPTS = {"v2_with_controllers": V2_WITH_CONTROLLERS, "simple_pmm": SIMPLE_PMM}


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _split_levels(value: object) -> object:
    return [level.split(",") for level in value.split("-")] if isinstance(value, str) else value


#: Types of fields, as the server writes them into a template.
_STR = "<class 'str'>"
_BOOL = "<class 'bool'>"
_INT = "<class 'int'>"
_DECIMAL = "<class 'decimal.Decimal'>"
_POSITION_MODE = "<enum 'PositionMode'>"
_TRADE_TYPE = "<enum 'TradeType'>"
_ORDER_TYPE = "<enum 'OrderType'>"
_FLOATS = "typing.List[float]"
_MAYBE_STR = "typing.Optional[str]"
_MAYBE_INT = "typing.Optional[int]"
_MAYBE_DECIMAL = "typing.Optional[decimal.Decimal]"
_MAYBE_DECIMALS = "typing.Optional[typing.List[decimal.Decimal]]"
_BARRIERS = "<class 'hummingbot.strategy_v2.executors.position_executor.data_types.TripleBarrierConfig'>"
_MAYBE_TRAILING_STOP = "typing.Optional[hummingbot.strategy_v2.executors.position_executor.data_types.TrailingStop]"
_FLOAT = "<class 'float'>"
_MAYBE_CONNECTOR = "str | None"
_LEVELS = "typing.List[typing.List[decimal.Decimal]]"
_CANDLES = "typing.List[hummingbot.data_feed.candles_feed.data_types.CandlesConfig]"
_PAIR = "<class 'hummingbot.strategy_v2.executors.data_types.ConnectorPair'>"
_POSITIONS = "typing.List[hummingbot.strategy_v2.models.position_config.InitialPositionConfig]"
#: What the server accepts for each of them.
_TYPES: dict[str, Any] = {
    _STR: str,
    _BOOL: bool,
    _INT: int,
    _DECIMAL: Decimal,
    _POSITION_MODE: Literal["HEDGE", "ONEWAY"],
    _TRADE_TYPE: Literal[1, 2, 3],
    _ORDER_TYPE: Literal[1, 2, 3, 4, 5, 6, "MARKET", "LIMIT", "LIMIT_MAKER", "AMM_SWAP", "AMM_ADD", "AMM_REMOVE"],
    _FLOATS: Annotated[list[float], BeforeValidator(_split)],
    _MAYBE_STR: str | None,
    _MAYBE_INT: int | None,
    _MAYBE_DECIMAL: Decimal | None,
    _MAYBE_DECIMALS: Annotated[list[Decimal] | None, BeforeValidator(_split)],
    _BARRIERS: dict[str, Any],
    _MAYBE_TRAILING_STOP: dict[str, Decimal] | str | None,
    _FLOAT: float,
    _MAYBE_CONNECTOR: str | None,
    _LEVELS: Annotated[list[list[Decimal]], BeforeValidator(_split_levels)],
    _CANDLES: list[dict[str, Any]],
    _PAIR: dict[str, str],
    _POSITIONS: list[dict[str, Any]],
}


@dataclass(frozen=True)
class Controller:
    """A controller that comes with the server.

    Attributes:
        config_class: the name that its validation errors mention.
        settings: name of each field with its default and its type, as the server writes them: JSON has no enums and
            no nested models, so a default of either kind is the text that Python prints for it.
        broken: whether the server fails to import it, and lists it anyway.
    """

    controller_type: ControllerType
    name: str
    config_class: str
    settings: Mapping[str, tuple[object, str]]
    broken: bool = False

    @property
    def source(self) -> str:
        return f'class {self.config_class}:\n    """The configuration of {self.name}."""\n'

    @property
    def template(self) -> dict[str, dict[str, object]]:
        return {
            name: {"default": default, "type": kind, "required": False}
            for name, (default, kind) in self.settings.items()
        }

    @property
    def defaults(self) -> dict[str, object]:
        return {name: default for name, (default, _) in self.settings.items()}

    @cached_property
    def _model(self) -> type[BaseModel]:
        # A default is not validated: it may be of another type than what the server takes.
        fields: dict[str, Any] = {
            name: (_TYPES[kind], ... if default == UNDEFINED else default)
            for name, (default, kind) in self.settings.items()
        }
        return create_model(self.config_class, __config__=ConfigDict(extra="forbid"), **fields)

    def check(self, config: Mapping[str, object]) -> None:
        """Raise ``pydantic.ValidationError`` unless these settings are ones of this controller."""
        self._model.model_validate(config)


def _base(controller_type: str, name: str) -> dict[str, tuple[object, str]]:
    return {
        "id": (UNDEFINED, _STR),
        "controller_name": (name, _STR),
        "controller_type": (controller_type, _STR),
        "total_amount_quote": ("0" if controller_type == "generic" else "100", _DECIMAL),
        "manual_kill_switch": (False, _BOOL),
        "initial_positions": ([], _POSITIONS),
    }


def _market_making(name: str) -> dict[str, tuple[object, str]]:
    return _base("market_making", name) | {
        "connector_name": ("binance_perpetual", _STR),
        "trading_pair": ("WLD-USDT", _STR),
        "buy_spreads": ("0.01,0.02", _FLOATS),
        "sell_spreads": ("0.01,0.02", _FLOATS),
        "buy_amounts_pct": (None, _MAYBE_DECIMALS),
        "sell_amounts_pct": (None, _MAYBE_DECIMALS),
        "executor_refresh_time": (300, _INT),
        "cooldown_time": (15, _INT),
        "leverage": (20, _INT),
        "position_mode": ("HEDGE", _POSITION_MODE),
        "stop_loss": ("0.03", _MAYBE_DECIMAL),
        "take_profit": ("0.02", _MAYBE_DECIMAL),
        "time_limit": (2700, _MAYBE_INT),
        "take_profit_order_type": (2, _ORDER_TYPE),
        "trailing_stop": (None, _MAYBE_TRAILING_STOP),
        "position_rebalance_threshold_pct": ("0.05", _DECIMAL),
        "skip_rebalance": (False, _BOOL),
    }


_PMM_V1 = Controller(
    "generic",
    "pmm_v1",
    "PMMV1Config",
    _base("generic", "pmm_v1")
    | {
        "connector_name": ("binance", _STR),
        "trading_pair": ("BTC-USDT", _STR),
        "order_amount": ("1", _DECIMAL),
        "buy_spreads": ("0.01", _FLOATS),
        "sell_spreads": ("0.01", _FLOATS),
        "order_refresh_time": (30, _INT),
        "order_refresh_tolerance_pct": ("-1", _DECIMAL),
        "filled_order_delay": (60, _INT),
        "inventory_skew_enabled": (False, _BOOL),
        "target_base_pct": ("0.5", _DECIMAL),
        "inventory_range_multiplier": ("1.0", _DECIMAL),
        "price_ceiling": ("-1", _DECIMAL),
        "price_floor": ("-1", _DECIMAL),
    },
)
_GRID_STRIKE = Controller(
    "generic",
    "grid_strike",
    "GridStrikeConfig",
    _base("generic", "grid_strike")
    | {
        "connector_name": ("binance_perpetual", _STR),
        "trading_pair": ("WLD-USDT", _STR),
        "total_amount_quote": ("1000", _DECIMAL),
        "leverage": (20, _INT),
        "position_mode": ("HEDGE", _POSITION_MODE),
        "side": (1, _TRADE_TYPE),
        "start_price": ("0.58", _DECIMAL),
        "end_price": ("0.95", _DECIMAL),
        "limit_price": ("0.55", _DECIMAL),
        "min_spread_between_orders": ("0.001", _MAYBE_DECIMAL),
        "min_order_amount_quote": ("5", _MAYBE_DECIMAL),
        "max_open_orders": (2, _INT),
        "max_orders_per_batch": (1, _MAYBE_INT),
        "order_frequency": (3, _INT),
        "activation_bounds": (None, _MAYBE_DECIMAL),
        "keep_position": (False, _BOOL),
        "triple_barrier_config": (
            {"take_profit": "0.001", "open_order_type": 3, "take_profit_order_type": 3},
            _BARRIERS,
        ),
    },
)
_PMM_SIMPLE = Controller("market_making", "pmm_simple", "PMMSimpleConfig", _market_making("pmm_simple"))
_PMM_DYNAMIC = Controller(
    "market_making",
    "pmm_dynamic",
    "PMMDynamicControllerConfig",
    _market_making("pmm_dynamic")
    | {
        "buy_spreads": ("1,2,4", _FLOATS),
        "sell_spreads": ("1,2,4", _FLOATS),
        "candles_connector": (None, _MAYBE_STR),
        "candles_trading_pair": (None, _MAYBE_STR),
        "interval": ("3m", _STR),
        "macd_fast": (21, _INT),
        "macd_slow": (42, _INT),
        "macd_signal": (9, _INT),
        "natr_length": (14, _INT),
    },
)
_BOLLINGER_V1 = Controller(
    "directional_trading",
    "bollinger_v1",
    "BollingerV1Config",
    _base("directional_trading", "bollinger_v1")
    | {
        "connector_name": ("binance_perpetual", _STR),
        "trading_pair": ("WLD-USDT", _STR),
        "max_executors_per_side": (2, _INT),
        "cooldown_time": (300, _INT),
        "leverage": (20, _INT),
        "position_mode": ("PositionMode.HEDGE", _POSITION_MODE),
        "stop_loss": ("0.03", _MAYBE_DECIMAL),
        "take_profit": ("0.02", _MAYBE_DECIMAL),
        "time_limit": (2700, _MAYBE_INT),
        "take_profit_order_type": ("OrderType.LIMIT", _ORDER_TYPE),
        "trailing_stop": ("0.015,0.003", _MAYBE_TRAILING_STOP),
        "candles_connector": (None, _STR),
        "candles_trading_pair": (None, _STR),
        "candles_config": ([], _CANDLES),
        "interval": ("3m", _STR),
        "bb_length": (UNDEFINED, _INT),
        "bb_std": (2.0, _FLOAT),
        "bb_long_threshold": (0.0, _FLOAT),
        "bb_short_threshold": (1.0, _FLOAT),
    },
)
_XEMM = Controller(
    "generic",
    "xemm_multiple_levels",
    "XEMMMultipleLevelsConfig",
    _base("generic", "xemm_multiple_levels")
    | {
        "maker_connector": ("mexc", _STR),
        "maker_trading_pair": ("PEPE-USDT", _STR),
        "taker_connector": ("binance", _STR),
        "taker_trading_pair": ("PEPE-USDT", _STR),
        "buy_levels_targets_amount": ("0.003,10-0.006,20", _LEVELS),
        "sell_levels_targets_amount": ("0.003,10-0.006,20", _LEVELS),
        "min_profitability": ("0.003", _DECIMAL),
        "max_profitability": ("0.01", _DECIMAL),
        "max_executors_imbalance": (1, _INT),
        "rate_connector": (None, _MAYBE_CONNECTOR),
    },
)
_ARBITRAGE = Controller(
    "generic",
    "arbitrage_controller",
    "ArbitrageControllerConfig",
    _base("generic", "arbitrage_controller")
    | {
        "exchange_pair_1": ("connector_name='binance' trading_pair='SOL-USDT'", _PAIR),
        "exchange_pair_2": ("connector_name='kucoin' trading_pair='SOL-USDT'", _PAIR),
        "min_profitability": ("0.01", _DECIMAL),
        "delay_between_executors": (10, _INT),
    },
)
_LP_REBALANCER = Controller("generic", "lp_rebalancer", "LPRebalancerConfig", {}, broken=True)
CONTROLLERS = {
    (controller.controller_type, controller.name): controller
    for controller in (
        _BOLLINGER_V1,
        _PMM_SIMPLE,
        _PMM_DYNAMIC,
        _PMM_V1,
        _GRID_STRIKE,
        _XEMM,
        _ARBITRAGE,
        _LP_REBALANCER,
    )
}
