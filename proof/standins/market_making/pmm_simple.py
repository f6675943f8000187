"""Stands in for the server's pmm_simple, which is not in the wheel: the wheel's base, with just enough to run it."""

from decimal import Decimal

from hummingbot.strategy_v2.controllers.market_making_controller_base import (
    MarketMakingControllerBase,
    MarketMakingControllerConfigBase,
)
from hummingbot.strategy_v2.executors.position_executor.data_types import PositionExecutorConfig


class StandInConfig(MarketMakingControllerConfigBase):
    pass


class StandIn(MarketMakingControllerBase):
    def get_executor_config(self, level_id: str, price: Decimal, amount: Decimal) -> PositionExecutorConfig:
        config = self.config
        return PositionExecutorConfig(
            timestamp=self.market_data_provider.time(),
            level_id=level_id,
            connector_name=config.connector_name,
            trading_pair=config.trading_pair,
            side=self.get_trade_type_from_level_id(level_id),
            entry_price=price,
            amount=amount,
            leverage=config.leverage,
            triple_barrier_config=config.triple_barrier_config,
        )
