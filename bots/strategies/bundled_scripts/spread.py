"""Spread: keep one bid below and one ask above the mid price of one spot market.

The panel uploads this file to a Hummingbot API server as it stands, under a name of its own, and a bot
container runs it with a client's exchange keys. It therefore does nothing but quote: it opens no file, reads
no environment, makes no request of its own, and reaches the exchange only through the connector that
Hummingbot hands to it.

One cycle: cancel what is open, wait until the exchange has confirmed that, place a bid and an ask, leave them
alone for `order_refresh_time` seconds. What is filled in between is replaced at the next refresh, not before.
"""

import asyncio
from decimal import Decimal
from pathlib import Path

from hummingbot.connector.exchange_base import ExchangeBase
from hummingbot.core.data_type.common import MarketDict, OrderType, TradeType
from hummingbot.core.data_type.limit_order import LimitOrder
from hummingbot.core.data_type.order_candidate import OrderCandidate
from hummingbot.core.network_iterator import NetworkStatus
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase
from pydantic import Field, field_validator


# The API server looks through this module's classes by alphabet for the config class and does not skip the
# imported base class, so the name below has to sort before "StrategyV2ConfigBase".
class SpreadConfig(StrategyV2ConfigBase):
    """The settings of one bot. Unknown keys are refused, and so is a missing one that has no default.

    Market and amount have no default on purpose: Hummingbot starts a script with bare defaults when its
    config file can't be read, and no amount is harmless for every token.
    """

    script_file_name: str = Path(__file__).name
    connector_name: str = Field(
        pattern=r"^[a-z0-9_]+$",
        description="Spot exchange, by Hummingbot's name for it: bitmart, binance_paper_trade",
    )
    trading_pair: str = Field(pattern=r"^[^\s-]+-[^\s-]+$", description="Base and quote asset: SHARP-USDT")
    order_amount: Decimal = Field(gt=0, description="Size of each order, in the base asset")
    bid_spread: Decimal = Field(
        default=Decimal("0.003"),
        gt=0,
        lt=1,
        description="Distance of the bid below the mid price, as a fraction of it: 0.003 is 0.3 %",
    )
    ask_spread: Decimal = Field(
        default=Decimal("0.003"),
        gt=0,
        le=1,
        description="Distance of the ask above the mid price, as a fraction of it: 0.003 is 0.3 %",
    )
    order_refresh_time: int = Field(default=60, ge=1, description="How long the orders stand, in seconds")

    @field_validator("connector_name")
    @classmethod
    def spot_only(cls, value: str) -> str:
        """With leverage a position can outgrow the balance, which is the only limit this script knows."""
        if "perpetual" in value:
            raise ValueError("this script quotes on spot markets only")
        return value

    def update_markets(self, markets: MarketDict) -> MarketDict:
        """Declare the one market, so that Hummingbot connects to it before the strategy starts."""
        return markets.add_or_update(self.connector_name, self.trading_pair)


class Spread(StrategyV2Base):
    """Quotes both sides of `config.trading_pair`: prices in the quote asset, amounts in the base asset."""

    # Seconds between two looks at an order book without a mid price: the connector warns at each look.
    PRICE_RETRY = 5
    # Seconds to let balances settle after a cancel. Exchanges report the cancelled order and the money that
    # it frees in two messages; without the wait, a client who can pay for just one pair of orders would lose
    # sides at every refresh.
    BALANCE_GRACE = 3
    # Seconds that a stop waits for its cancels. Hummingbot tries once more by itself after that.
    STOP_TIMEOUT = 10.0

    def __init__(self, connectors: dict[str, ExchangeBase], config: SpreadConfig) -> None:
        super().__init__(connectors, config)
        self._refresh_at = 0.0  # clock time from which the open orders are due to be replaced
        self._settled_at = 0.0  # clock time from which balances are believed after a cancel
        self._stopping = False
        self._reported: dict[str, str] = {}

    @property
    def _connector(self) -> ExchangeBase:
        return self.connectors[self.config.connector_name]

    def on_tick(self) -> None:
        """Called by Hummingbot once a second, after the connector was ready for the first time."""
        if self._stopping or not self._market_is_up() or self.current_timestamp < self._refresh_at:
            return
        if self._open_orders():
            # Nothing else in this tick: new orders wait until the exchange has confirmed every cancel.
            self._cancel_open_orders()
            self._settled_at = self.current_timestamp + self.BALANCE_GRACE
            return
        self._quote()

    async def on_stop(self) -> None:
        """Cancel what is open, wait for the confirmations, then let Hummingbot wind down the rest."""
        self._stopping = True
        try:
            await self._cancel_and_wait()
        finally:
            await super().on_stop()

    def _market_is_up(self) -> bool:
        # Hummingbot checks this once, at the start; a connection can also go while the bot runs.
        connector = self._connector
        if connector.ready and connector.network_status is NetworkStatus.CONNECTED:
            self._report("market", "up")
            return True
        self._report("market", "down", f"{connector.name} is not connected: waiting, nothing is placed.")
        return False

    def _open_orders(self) -> list[LimitOrder]:
        """The bot's orders that are not known to be gone, with those that an earlier run of it left behind.

        Asks the connector, for two reasons: `get_active_orders` leaves an order out as soon as its cancel is
        *requested*, and the strategy's own list waits for ever for an event that a connector did not send.
        Orders that the client placed by hand are not among the connector's and are never touched.
        """
        return [o for o in self._connector.limit_orders if o.trading_pair == self.config.trading_pair]

    def _cancel_open_orders(self) -> None:
        # Safe to repeat: Hummingbot does not send a second request while the first is under way.
        for order in self._open_orders():
            self.cancel(self.config.connector_name, order.trading_pair, order.client_order_id)

    async def _cancel_and_wait(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.STOP_TIMEOUT
        while orders := self._open_orders():
            if loop.time() > deadline:
                ids = ", ".join(order.client_order_id for order in orders)
                self.logger().warning(f"Stopping, but these cancels are not confirmed: {ids}")
                return
            self._cancel_open_orders()
            await asyncio.sleep(0.1)

    def _quote(self) -> None:
        """Place one bid and one ask, as far as the exchange's rules and the balances allow."""
        now = self.current_timestamp
        mid_price = self._connector.get_mid_price(self.config.trading_pair)
        if mid_price.is_nan() or mid_price <= 0:
            self._report("price", "none", "The order book has no mid price: waiting, nothing is placed.")
            self._refresh_at = now + self.PRICE_RETRY
            return
        self._report("price", "known")

        bid = self._candidate(TradeType.BUY, mid_price * (1 - self.config.bid_spread))
        ask = self._candidate(TradeType.SELL, mid_price * (1 + self.config.ask_spread))
        valid = [order for order in (bid, ask) if order.amount > 0 and order.price > 0]
        # The budget checker answers with copies, cut to zero where the balance falls short.
        checked = self._connector.budget_checker.adjust_candidates(valid, all_or_none=True)
        payable = {order.order_side for order in checked if order.amount > 0}
        if len(payable) < len(valid) and now < self._settled_at:
            return

        # Set before anything is sent: if a connector raises, the next try is a refresh away, not a tick.
        self._refresh_at = now + self.config.order_refresh_time
        for side, order in (("bid", bid), ("ask", ask)):
            label = f"{side} of {order.amount} {order.trading_pair} at {order.price}"
            if order not in valid:
                self._report(side, "rules", f"No {label}: too small for {self._connector.name}.")
            elif order.order_side not in payable:
                self._report(side, "budget", f"No {label}: the available balance does not pay for it.")
            else:
                self._report(side, "placed")
                self._place(order)

    def _candidate(self, side: TradeType, price: Decimal) -> OrderCandidate:
        """An order of the configured amount at `price`, moved to the exchange's price and amount steps."""
        connector, pair = self._connector, self.config.trading_pair
        quantized = connector.quantize_order_price(pair, price)
        # Connectors round down, which for an ask is towards the mid price: on a token whose price step is
        # wider than the spread it would land on the best bid and trade at once, at a loss. So round away.
        step = connector.get_order_price_quantum(pair, price) * (1 if side is TradeType.SELL else -1)
        if (quantized - price) * step < 0:
            quantized = connector.quantize_order_price(pair, quantized + step)
        return OrderCandidate(
            trading_pair=pair,
            is_maker=True,
            order_type=OrderType.LIMIT,
            order_side=side,
            amount=connector.quantize_order_amount(pair, self.config.order_amount),
            price=quantized,
        )

    def _place(self, order: OrderCandidate) -> None:
        send = self.buy if order.order_side is TradeType.BUY else self.sell
        send(self.config.connector_name, order.trading_pair, order.amount, order.order_type, order.price)

    def _report(self, topic: str, state: str, message: str = "") -> None:
        """Log `message` when `topic` enters `state`, not on every tick that it stays there."""
        if self._reported.get(topic) != state:
            self._reported[topic] = state
            if message:
                self.logger().warning(message)
