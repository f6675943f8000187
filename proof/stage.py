"""Shared ground: markets, what the panel renders, and a stage that runs a strategy one simulated second at a time."""

import asyncio
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from hummingbot.client.config.client_config_map import ClientConfigMap
from hummingbot.client.config.config_helpers import ClientConfigAdapter
from hummingbot.connector.exchange.bitmart.bitmart_exchange import BitmartExchange
from hummingbot.connector.exchange.paper_trade.paper_trade_exchange import QuantizationParams
from hummingbot.connector.markets_recorder import MarketsRecorder
from hummingbot.connector.test_support.mock_paper_exchange import MockPaperExchange
from hummingbot.connector.trading_rule import TradingRule
from hummingbot.core.clock import Clock, ClockMode
from hummingbot.core.data_type.common import OrderType, PriceType, TradeType
from hummingbot.core.data_type.in_flight_order import OrderState, OrderUpdate, TradeUpdate
from hummingbot.core.data_type.order_book import OrderBook
from hummingbot.core.data_type.order_book_row import OrderBookRow
from hummingbot.core.data_type.trade_fee import AddedToCostTradeFee
from hummingbot.core.network_iterator import NetworkStatus
from hummingbot.model.sql_connection_manager import SQLConnectionManager, SQLConnectionType

from bots.strategies.bundled import BUNDLED, defaults
from bots.strategies.render import controller_config

PAIR = "SHARP-USDT"
START = 1_000_000.0

#: A folder with the server's own controllers, `generic/` and `market_making/`. The wheel has none of them.
REAL_CONTROLLERS = os.environ.get("PROOF_CONTROLLERS", "")
CONTROLLERS = Path(REAL_CONTROLLERS or Path(__file__).parent / "standins")

_real_sleep = asyncio.sleep


def rendered(name: str, connector: str = "bitmart", **settings: Any) -> dict[str, Any]:
    """The configuration that the panel sends for a bundled controller: its defaults, and these settings."""
    kind = BUNDLED[name]["controller_type"]
    return controller_config("sharp", kind, name, (connector, PAIR), defaults(name) | settings)


def simulated_market(kind: type[MockPaperExchange] = MockPaperExchange, *, price_decimals: int = 6):
    """SHARP at 0.0125 USDT; prices step by 0.000001, amounts by 0.1; no fees; enough of both."""
    market = kind()
    move_mid(market, 0.0125)
    market.set_quantization_param(QuantizationParams(PAIR, 6, price_decimals, 6, 1))
    market.set_balance("SHARP", Decimal(100_000))
    market.set_balance("USDT", Decimal(1_000))
    return market


def move_mid(market: MockPaperExchange, mid: float) -> None:
    """A book with steps of 0.0001: the best bid is 0.00005 below `mid`, the best ask as far above."""
    market.set_balanced_order_book(PAIR, mid, mid - 0.002, mid + 0.002, 0.0001, 100)


class OfflineBitmart(BitmartExchange):
    """The real connector with its real order tracking; only its requests are answered here."""

    def __init__(self, usdt: str, sharp: str) -> None:
        super().__init__("key", "secret", "memo", trading_pairs=[PAIR])
        self.answers = asyncio.Event()  # while clear, cancel requests hang
        self.answers.set()
        self.refuse_cancels = False
        self.sent: list[str] = []
        self.alive: set[str] = set()  # what the exchange itself would have in its book
        self.most_alive = 0
        self._trading_rules[PAIR] = TradingRule(
            PAIR,
            min_order_size=Decimal(1),
            min_price_increment=Decimal("0.000001"),
            min_base_amount_increment=Decimal("0.1"),
        )
        self.move_book(0.01245, 0.01255)
        self._account_balances = {"USDT": Decimal(usdt), "SHARP": Decimal(sharp)}
        self._account_available_balances = dict(self._account_balances)

    ready = True
    network_status = NetworkStatus.CONNECTED

    async def _check_network_loop(self):
        pass

    async def _place_order(self, order_id, trading_pair, amount, trade_type, order_type, price, **kwargs):
        self.sent.append(f"place {order_id}")
        if order_type is OrderType.MARKET:  # filled at once, at the best price
            side = PriceType.BestAsk if trade_type is TradeType.BUY else PriceType.BestBid
            best = self.get_price_by_type(PAIR, side)
            asyncio.get_running_loop().call_later(0, self._fill, order_id, best)
            return f"exchange-{order_id}", START
        self.alive.add(order_id)
        self.most_alive = max(self.most_alive, len(self.alive))
        return f"exchange-{order_id}", START

    async def _place_cancel(self, order_id, tracked_order):
        self.sent.append(f"cancel {order_id}")
        await self.answers.wait()
        if self.refuse_cancels:
            raise OSError("no connection")
        self.alive.discard(order_id)
        return True

    def kinds(self) -> list[str]:
        return [line.split()[0] for line in self.sent]

    def move_book(self, bid: float, ask: float) -> None:
        book = OrderBook()
        book.apply_snapshot([OrderBookRow(bid, 100, 1)], [OrderBookRow(ask, 100, 1)], 1)
        self.order_book_tracker._order_books[PAIR] = book

    def fill(self, price: str) -> None:
        """Have the exchange report the order at this price as filled, without a fee."""
        (order,) = [o for o in self.in_flight_orders.values() if o.price == Decimal(price)]
        self._fill(order.client_order_id, order.price)

    def _fill(self, order_id: str, price: Decimal) -> None:
        order = self._order_tracker.fetch_order(client_order_id=order_id)
        ids = {"client_order_id": order_id, "exchange_order_id": f"exchange-{order_id}"}
        trade = TradeUpdate(
            trade_id=f"trade-{order_id}",
            trading_pair=PAIR,
            fill_timestamp=START,
            fill_price=price,
            fill_base_amount=order.amount,
            fill_quote_amount=order.amount * price,
            fee=AddedToCostTradeFee(),
            **ids,
        )
        self._order_tracker.process_trade_update(trade)
        done = OrderUpdate(trading_pair=PAIR, update_timestamp=START, new_state=OrderState.FILLED, **ids)
        self._order_tracker.process_order_update(done)
        self.alive.discard(order_id)

    @property
    def market_orders(self) -> list[tuple[str, Decimal]]:
        orders = self._order_tracker.all_orders.values()
        return [(o.trade_type.name.lower(), o.amount) for o in orders if o.order_type is OrderType.MARKET]


def bitmart(usdt: str = "1000", sharp: str = "100000") -> OfflineBitmart:
    return OfflineBitmart(usdt, sharp)


class SimulatedTime:
    """Stands in for `asyncio.sleep`: a sleeping task wakes when the stage's clock has come so far."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future]] = []

    async def sleep(self, delay: float, result: Any = None) -> Any:
        if delay <= 0:
            return await _real_sleep(0, result)
        waiter = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + delay, waiter))
        await waiter
        return result

    def advance(self, now: float) -> None:
        self.now = now
        due = [waiter for at, waiter in self._sleepers if at <= now]
        self._sleepers = [(at, waiter) for at, waiter in self._sleepers if at > now]
        for waiter in due:
            if not waiter.done():
                waiter.set_result(None)


class Stage:
    """Runs a strategy against a market, one simulated second at a time."""

    def __init__(self, market, time: SimulatedTime | None = None) -> None:
        self.market = market
        self.time = time
        self.now = 0
        client = ClientConfigAdapter(ClientConfigMap())
        database = SQLConnectionManager(client, SQLConnectionType.TRADE_FILLS, db_path=":memory:")
        self.recorder = MarketsRecorder(database, [market], "sharp.yml", "sharp", client.market_data_collection)

    def put_on(self, strategy) -> None:
        self.strategy = strategy
        self.clock = Clock(ClockMode.BACKTEST, 1, START, START + 100_000)
        self.clock.add_iterator(self.market)
        self.clock.add_iterator(strategy)
        self.clock.__enter__()

    async def until(self, second: int) -> None:
        """Every clock tick up to and with `second`, counted from the start; other tasks get their turns."""
        while self.now < second:
            self.now += 1
            if self.time:
                self.time.advance(self.now)
            self.clock.backtest_til(START + self.now)
            for _ in range(5):
                await _real_sleep(0)

    async def stop(self) -> None:
        """Hummingbot's stop, with the clock running on meanwhile."""
        stopping = asyncio.ensure_future(self.strategy.on_stop())
        for _ in range(60):
            await self.until(self.now + 1)
            if stopping.done():
                break
        await asyncio.wait_for(stopping, 1)

    def close(self) -> None:
        self.strategy.listen_to_executor_actions_task.cancel()
        self.clock.__exit__(None, None, None)

    @property
    def orders(self) -> list[tuple[str, Decimal, Decimal]]:
        found = [("bid" if o.is_buy else "ask", o.price, o.quantity) for o in self.market.limit_orders]
        return sorted((order for order in found if not order[1].is_nan()), reverse=True)  # market orders have no price

    @property
    def ids(self) -> set[str]:
        return {order.client_order_id for order in self.market.limit_orders}
