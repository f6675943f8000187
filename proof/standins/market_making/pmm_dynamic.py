"""Stands in for the server's pmm_dynamic, which is not in the wheel: its indicators are not proven, they are given.

Its own settings (candles, NATR, MACD) are skipped: the base class would reject them.
"""

from decimal import Decimal

from controllers.market_making import pmm_simple
from pydantic import ConfigDict


class StandInConfig(pmm_simple.StandInConfig):
    model_config = ConfigDict(extra="ignore")


class StandIn(pmm_simple.StandIn):
    async def update_processed_data(self) -> None:
        self.processed_data = {"reference_price": Decimal("0.0124684375"), "spread_multiplier": Decimal("0.0202")}
