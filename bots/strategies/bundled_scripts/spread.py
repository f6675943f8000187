"""Spread: keep one bid below and one ask above the mid price of one spot market.

The panel uploads this one file to a Hummingbot API server as it stands, under a name of its own, and a bot
container runs it with a client's exchange keys. It therefore does nothing but quote: it opens no file, reads
no environment, makes no request of its own, and reaches the exchange only through the connector that
Hummingbot hands to it.

One cycle: cancel what is open, wait until the exchange has confirmed that, place a bid and an ask, leave them
alone for `order_refresh_time` seconds. What is filled in between is replaced at the next refresh, not before.

Every ten seconds it publishes a report of its quotes, its fills and its balances, as controllers do. The format is
the panel's, version 1. Nothing that goes wrong with a report keeps it from quoting.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from hummingbot.connector.exchange_base import ExchangeBase
from hummingbot.core.data_type.common import MarketDict, OrderType, TradeType
from hummingbot.core.data_type.limit_order import LimitOrder
from hummingbot.core.data_type.order_candidate import OrderCandidate
from hummingbot.core.event.events import MarketOrderFailureEvent, OrderFilledEvent
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


@dataclass
class Fills:
    """What was bought and sold since the start, by average cost. Money is in the quote asset, fees are apart."""

    inventory: Decimal = Decimal(0)  # bought less sold, in the base asset; negative when more was sold
    average_cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    fees_other: dict[str, Decimal] = field(default_factory=dict)  # by asset, where the fill has no rate for it
    counts: dict[TradeType, int] = field(default_factory=lambda: {TradeType.BUY: 0, TradeType.SELL: 0})
    volumes: dict[TradeType, Decimal] = field(
        default_factory=lambda: {TradeType.BUY: Decimal(0), TradeType.SELL: Decimal(0)}
    )
    maker_volume: Decimal = Decimal(0)

    def add(self, fill: OrderFilledEvent, *, rested: bool) -> None:
        price, value = fill.price, fill.price * fill.amount
        self.counts[fill.trade_type] += 1
        self.volumes[fill.trade_type] += value
        self.maker_volume += value if rested else 0
        self._add_fees(fill, value)
        change = fill.amount if fill.trade_type is TradeType.BUY else -fill.amount
        if self.inventory * change >= 0:  # more of the same
            held = abs(self.inventory)
            self.average_cost = (held * self.average_cost + value) / (held + fill.amount)
        else:
            closed = min(abs(self.inventory), fill.amount)
            self.realized += closed * (price - self.average_cost) * (1 if self.inventory > 0 else -1)
            if fill.amount > closed:  # the rest opens the other side
                self.average_cost = price
        self.inventory += change
        if not self.inventory:
            self.average_cost = Decimal(0)

    def _add_fees(self, fill: OrderFilledEvent, value: Decimal) -> None:
        base, quote = fill.trading_pair.split("-")
        self.fees += value * fill.trade_fee.percent
        for fee in fill.trade_fee.flat_fees:
            if fee.token in (base, quote):
                self.fees += fee.amount * (fill.price if fee.token == base else 1)
            else:
                self.fees_other[fee.token] = self.fees_other.get(fee.token, Decimal(0)) + fee.amount

    def performance(self, mid_price: Decimal | None) -> dict[str, object]:
        """The figures that controllers publish too; those at the mid price are missing without one."""
        volume = sum(self.volumes.values())
        figures: dict[str, object] = {
            "realized_pnl_quote": float(self.realized),
            "volume_traded": float(volume),
            "fees_quote": float(self.fees),
            "inventory_base": float(self.inventory),
            "average_cost_quote": float(self.average_cost),
            "close_type_counts": {},
        }
        if mid_price is not None:
            unrealized = self.inventory * (mid_price - self.average_cost)
            net = self.realized + unrealized - self.fees
            figures["unrealized_pnl_quote"] = float(unrealized)
            figures["global_pnl_quote"] = float(net)
            figures["global_pnl_pct"] = float(net / volume) if volume else 0.0
        return figures


@dataclass
class Quoting:
    """Seconds since the start, and what was quoted in them. Differences of two reports have an average."""

    # Distances from the mid price within which the depth is measured, in percent.
    DISTANCES = (Decimal("0.5"), Decimal(1), Decimal(2))

    running: float = 0.0
    connected: float = 0.0
    both_sides: float = 0.0
    spread: Decimal = Decimal(0)  # percent of the mid price, times seconds
    bid_depth: dict[str, Decimal] = field(default_factory=dict)  # by distance: quote value, times seconds
    ask_depth: dict[str, Decimal] = field(default_factory=dict)

    def add(self, seconds: float, mid_price: Decimal, orders: list[LimitOrder]) -> None:
        self.connected += seconds
        bids = [o for o in orders if o.is_buy]
        asks = [o for o in orders if not o.is_buy]
        if bids and asks:
            self.both_sides += seconds
            quoted = min(o.price for o in asks) - max(o.price for o in bids)
            self.spread += quoted / mid_price * 100 * Decimal(seconds)
        for depth, side in ((self.bid_depth, bids), (self.ask_depth, asks)):
            for distance in self.DISTANCES:
                near = [o for o in side if abs(o.price - mid_price) <= mid_price * distance / 100]
                value = sum((o.price * (o.quantity - filled(o)) for o in near), Decimal(0))
                name = str(distance)
                depth[name] = depth.get(name, Decimal(0)) + value * Decimal(seconds)


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
    # Seconds between two reports.
    REPORT_EVERY = 10
    # The longest time between two ticks that counts as running: a container that was paused did nothing.
    LONGEST_TICK = 5.0
    # Seconds after which an order that was not filled at once has rested on the book. Its fills are a maker's.
    RESTED_AFTER = 2.0

    def __init__(self, connectors: dict[str, ExchangeBase], config: SpreadConfig) -> None:
        super().__init__(connectors, config)
        self._refresh_at = 0.0  # clock time from which the open orders are due to be replaced
        self._settled_at = 0.0  # clock time from which balances are believed after a cancel
        self._stopping = False
        self._reported: dict[str, str] = {}
        self._reasons: dict[str, str] = {}  # by topic: why something is not quoted at present
        self._fills = Fills()
        self._quoting = Quoting()
        self._started_at = 0.0
        self._ticked_at = 0.0
        self._publish_at = 0.0
        self._placed_at: dict[str, float] = {}
        self._rejections = 0
        self._last_rejection: dict[str, object] | None = None

    @property
    def _connector(self) -> ExchangeBase:
        return self.connectors[self.config.connector_name]

    def tick(self, timestamp: float) -> None:
        """Called by Hummingbot once a second, from the start on."""
        try:
            self._measure(timestamp)
            if timestamp >= self._publish_at:
                self._publish_at = timestamp + self.REPORT_EVERY
                self._publish()
        except Exception as error:  # whatever it is, quoting matters more
            self._report("reporting", "failed", f"No report: {error!r}.")
        super().tick(timestamp)

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
            # Before Hummingbot confirms the stop: a bot that publishes later is taken for a running one.
            try:
                self._publish(final=True)
            except Exception:
                self.mqtt_enabled = False  # Hummingbot publishes once more, and would fail in its stop
            await super().on_stop()

    def did_fill_order(self, event: OrderFilledEvent) -> None:
        """Called by Hummingbot for every fill, also of an order from an earlier run of the container."""
        if event.trading_pair == self.config.trading_pair:
            with contextlib.suppress(Exception):
                placed_at = self._placed_at.get(event.order_id, 0.0)
                self._fills.add(event, rested=self.current_timestamp - placed_at >= self.RESTED_AFTER)

    def did_fail_order(self, event: MarketOrderFailureEvent) -> None:
        """Called by Hummingbot for every order that the exchange rejected."""
        self._rejections += 1
        # Older versions do not pass the exchange's words on.
        reason = getattr(event, "error_message", None) or ""
        self._last_rejection = {"at": self.current_timestamp, "reason": str(reason)}

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

        self._placed_at.clear()  # whatever is filled later of an earlier order had rested
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
        order_id = send(self.config.connector_name, order.trading_pair, order.amount, order.order_type, order.price)
        self._placed_at[order_id] = self.current_timestamp

    # --- the report ---

    def _measure(self, timestamp: float) -> None:
        """Count the time since the previous tick, with the orders that are open now."""
        if not self._started_at:
            self._started_at = self._ticked_at = timestamp
        seconds = min(timestamp - self._ticked_at, self.LONGEST_TICK)
        self._ticked_at = timestamp
        self._quoting.running += seconds
        connector = self._connector
        if connector.ready and connector.network_status is NetworkStatus.CONNECTED and (prices := self._best_prices()):
            self._quoting.add(seconds, middle(prices), [order for order, _ in self._confirmed_orders()])

    def _best_prices(self) -> tuple[Decimal, Decimal] | None:
        """The best bid and ask of the book. Asks the book itself: the connector warns when one is missing."""
        try:
            book = self._connector.get_order_book(self.config.trading_pair)
            return Decimal(str(book.get_price(False))), Decimal(str(book.get_price(True)))
        except Exception:  # a side is empty, or there is no book yet
            return None

    def _confirmed_orders(self) -> Iterator[tuple[LimitOrder, str]]:
        """The open orders that the exchange has confirmed, with its id for each."""
        try:
            tracked = self._connector.in_flight_orders
        except NotImplementedError:  # a simulated exchange: it confirms at once, and has no ids of its own
            tracked = None
        for order in self._open_orders():
            if tracked is None:
                yield order, ""
            elif (known := tracked.get(order.client_order_id)) and known.exchange_order_id:
                yield order, known.exchange_order_id

    def _publish(self, *, final: bool = False) -> None:
        # Without an MQTT broker there is nobody to publish to.
        if not self.mqtt_enabled or self._pub is None:
            return
        prices = self._best_prices()
        mid_price = None if prices is None else middle(prices)
        performance = self._fills.performance(mid_price)
        self._pub({"spread": {"performance": performance, "custom_info": self._custom_info(prices, final=final)}})

    def _custom_info(self, prices: tuple[Decimal, Decimal] | None, *, final: bool) -> dict[str, object]:
        """The report, version 1. Amounts are text, so that no digit is lost."""
        connector, pair = self._connector, self.config.trading_pair
        quoting, fills = self._quoting, self._fills
        orders = list(self._confirmed_orders())
        report: dict[str, object] = {
            "report_version": 1,
            "connector": connector.name,
            "trading_pair": pair,
            "started_at": self._started_at,
            "reported_at": self.current_timestamp,
            "final": final,
            "balances": {
                asset: {
                    "total": plain(connector.get_balance(asset)),
                    "available": plain(connector.get_available_balance(asset)),
                }
                for asset in pair.split("-")
            },
            "orders": [
                {
                    "client_order_id": order.client_order_id,
                    "exchange_order_id": exchange_order_id,
                    "side": "buy" if order.is_buy else "sell",
                    "price": plain(order.price),
                    "amount": plain(order.quantity),
                    "filled": plain(filled(order)),
                    "created_at": order.creation_timestamp / 1e6,
                }
                for order, exchange_order_id in orders
            ],
            "not_quoting": self._why_not_quoting([order for order, _ in orders]),
            "counters": {
                "running_seconds": plain(quoting.running),
                "connected_seconds": plain(quoting.connected),
                "quoting_seconds": plain(quoting.both_sides),
                "spread_percent_seconds": plain(quoting.spread),
                "bid_depth_seconds": {distance: plain(value) for distance, value in quoting.bid_depth.items()},
                "ask_depth_seconds": {distance: plain(value) for distance, value in quoting.ask_depth.items()},
                "buys": fills.counts[TradeType.BUY],
                "sells": fills.counts[TradeType.SELL],
                "buy_volume_quote": plain(fills.volumes[TradeType.BUY]),
                "sell_volume_quote": plain(fills.volumes[TradeType.SELL]),
                "maker_volume_quote": plain(fills.maker_volume),
                "fees_quote": plain(fills.fees),
                "fees_other": {asset: plain(amount) for asset, amount in fills.fees_other.items()},
                "rejections": self._rejections,
            },
        }
        if prices is not None:
            bid, ask = prices
            report |= {"mid_price": plain(middle(prices)), "best_bid": plain(bid), "best_ask": plain(ask)}
        if self._last_rejection is not None:
            report["last_rejection"] = self._last_rejection
        return report

    def _why_not_quoting(self, orders: list[LimitOrder]) -> str:
        if len({order.is_buy for order in orders}) == 2:
            return ""
        if not self.ready_to_trade:
            return f"{self._connector.name} is not ready."
        return " ".join(self._reasons.values())

    def _report(self, topic: str, state: str, message: str = "") -> None:
        """Log `message` when `topic` enters `state`, not on every tick that it stays there."""
        if self._reported.get(topic) != state:
            self._reported[topic] = state
            if message:
                self.logger().warning(message)
        if message:
            self._reasons[topic] = message
        else:
            self._reasons.pop(topic, None)


def middle(prices: tuple[Decimal, Decimal]) -> Decimal:
    """The mid price between the best bid and the best ask."""
    return (prices[0] + prices[1]) / 2


def filled(order: LimitOrder) -> Decimal:
    """What has been filled of an order, in the base asset. Simulated exchanges leave it out."""
    quantity = order.filled_quantity
    return quantity if quantity is not None and quantity.is_finite() else Decimal(0)


def plain(number: Decimal | float) -> str:
    """The number as text without an exponent, to 12 places at most."""
    return f"{Decimal(number):.12f}".rstrip("0").rstrip(".")
