"""What a bot quotes, holds and earned, for its page. It reads stored data and asks no server."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bots.models import Bot, Deployment
from markets.figures.books import STALE, MarketNow, markets_now
from markets.figures.profit import Total, profit_of_all, profits, totals
from markets.figures.quoting import Quoting, quoting_between
from markets.models import QuoteState, ReportSource, Side, Trade, TradeReading
from markets.report_format import QuotedOrder

#: How long the exchange's last rejection is shown as the reason of missing quotes.
REJECTION_MATTERS = timedelta(minutes=10)
#: Trades that the overview shows.
LAST_TRADES = 5
BASIS_POINTS = 10_000


@dataclass(frozen=True)
class LadderRow:
    """One of the bot's orders on the ladder. ``distance`` is from the mid price, in basis points."""

    order: QuotedOrder
    distance: Decimal | None
    age: timedelta | None


@dataclass(frozen=True)
class Holding:
    """An asset of the bot's account, which other bots may share. ``value`` is in the quote asset."""

    asset: str
    total: Decimal
    available: Decimal | None
    value: Decimal | None


@dataclass
class BotMarket:
    """A bot's market at a glance.

    Attributes:
        mid_price: of the bot's report, or else of the order book that the panel read.
        asks, bids: its orders, the highest price first.
        spread: between its best bid and its best ask, in percent of the mid price.
        day_seconds: how much of today the bot has been deployed.
    """

    deployment: Deployment
    state: QuoteState | None
    mid_price: Decimal | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    asks: list[LadderRow] = field(default_factory=list)
    bids: list[LadderRow] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    quoting: Quoting | None = None
    day_seconds: float = 0.0
    today: list[Total] = field(default_factory=list)
    all_time: list[Total] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    trades_problem: str = ""
    book: MarketNow | None = None
    is_stale: bool = False
    reason: str = ""

    @property
    def is_reported(self) -> bool:
        return self.state is not None and self.state.source == ReportSource.REPORT

    @property
    def spread(self) -> Decimal | None:
        if not self.asks or not self.bids or not self.mid_price:
            return None
        best_ask, best_bid = Decimal(self.asks[-1].order.price), Decimal(self.bids[0].order.price)
        return (best_ask - best_bid) / self.mid_price * 100

    @property
    def sides(self) -> str:
        """Which sides have orders."""
        if self.asks and self.bids:
            return "both sides"
        return "asks only" if self.asks else "bids only" if self.bids else "nothing"

    @property
    def uptime(self) -> float | None:
        """Share of today in which both sides were quoted, a fraction; ``None`` when nothing was reported."""
        return None if self.quoting is None else self.quoting.uptime(self.day_seconds)


def bot_market(bot: Bot, now: datetime) -> BotMarket | None:
    """Return the market of a bot's latest deployment; ``None`` if it was never deployed. A fixed number of queries."""
    deployment = bot.deployment
    if deployment is None or deployment.sent_at is None:
        return None
    state = QuoteState.objects.filter(deployment=deployment).first()
    market = BotMarket(deployment, state)
    if deployment.is_open:
        [market.book] = markets_now([deployment], now)
    _add_prices(market)
    if state is not None:
        market.is_stale = deployment.is_open and now - state.read_at > STALE
        _add_orders(market, state, now)
        _add_holdings(market, state)
        market.reason = _reason(market, state, now)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    _add_quoting(market, bot, midnight, now)
    trades = Trade.objects.filter(client=bot.client_id, bot_number=bot.pk)
    market.today = totals(profits(trades, midnight, now, now))
    market.all_time = totals(profit_of_all(trades, now, now))
    market.trades = list(trades.order_by("-traded_at", "-pk")[:LAST_TRADES])
    market.reason = market.reason or _filled_side(market)
    market.trades_problem = _trades_problem(bot)
    return market


def _trades_problem(bot: Bot) -> str:
    """Return why the bot's trades may be incomplete, of the last deployment with a gap; its profit is that of all."""
    readings = TradeReading.objects.filter(deployment__bot=bot).exclude(problem="").select_related("deployment")
    reading = readings.order_by("-deployment").first()
    if reading is None:
        return ""
    return reading.problem if reading.deployment_id == bot.deployment_id else f"{reading.deployment}: {reading.problem}"


def _add_prices(market: BotMarket) -> None:
    state = market.state
    if state is not None and state.mid_price is not None:
        market.mid_price, market.best_bid, market.best_ask = state.mid_price, state.best_bid, state.best_ask
    elif market.book is not None and (book := market.book.book) is not None:
        market.mid_price, market.best_bid, market.best_ask = book.mid_price, book.best_bid, book.best_ask


def _add_orders(market: BotMarket, state: QuoteState, now: datetime) -> None:
    if not market.deployment.is_open:
        return
    rows = sorted(
        (_ladder_row(QuotedOrder(**order), market.mid_price, now) for order in state.orders),
        key=lambda row: Decimal(row.order.price),
        reverse=True,
    )
    market.asks = [row for row in rows if row.order.side == "sell"]
    market.bids = [row for row in rows if row.order.side == "buy"]


def _ladder_row(order: QuotedOrder, mid_price: Decimal | None, now: datetime) -> LadderRow:
    distance = (Decimal(order.price) / mid_price - 1) * BASIS_POINTS if mid_price else None
    age = None
    if order.created_at is not None:
        # The bot's clock may be a little ahead. Its time may have no date: as a float, the end of 9999 is later.
        age = timedelta(seconds=max(0.0, now.timestamp() - order.created_at))
    return LadderRow(order, distance, age)


def _add_holdings(market: BotMarket, state: QuoteState) -> None:
    base, _, quote = market.deployment.trading_pair.partition("-")
    prices = {quote: Decimal(1), base: market.mid_price}
    for asset in (base, quote):
        if held := state.balances.get(asset):
            total, price = Decimal(held["total"]), prices[asset]
            available = Decimal(held["available"]) if held["available"] else None
            market.holdings.append(Holding(asset, total, available, None if price is None else total * price))


def _reason(market: BotMarket, state: QuoteState, now: datetime) -> str:
    """Return why it does not quote both sides, in the bot's or the exchange's own words; empty when it does."""
    if not market.deployment.is_open or (market.asks and market.bids):
        return ""
    if state.not_quoting:
        return state.not_quoting
    if state.last_rejection and state.last_rejection_at and now - state.last_rejection_at < REJECTION_MATTERS:
        return f"The exchange rejected an order: {state.last_rejection}"
    return market.deployment.trouble_reason


def _filled_side(market: BotMarket) -> str:
    """Return that the missing side was filled, when its last trade is younger than the orders of the other side."""
    left = market.asks or market.bids
    if not left or (market.asks and market.bids) or not market.trades:
        return ""
    side, name = (Side.BUY, "bid") if market.asks else (Side.SELL, "ask")
    last, placed_at = market.trades[0], max(row.order.created_at or 0.0 for row in left)
    if last.side != side or last.traded_at.timestamp() < placed_at:
        return ""
    return f"The {name} was filled at {last.traded_at:%H:%M} UTC. The bot has not replaced it yet."


def _add_quoting(market: BotMarket, bot: Bot, midnight: datetime, now: datetime) -> None:
    there = bot.deployments.filter(sent_at__isnull=False).exclude(ended_at__lt=midnight)
    today = list(there.only("bot", "sent_at", "ended_at"))
    found = quoting_between([deployment.pk for deployment in today], midnight, now)
    for deployment in today:
        begin = max(deployment.sent_at or now, midnight)
        market.day_seconds += max(0.0, (min(deployment.ended_at or now, now) - begin).total_seconds())
    market.quoting = _sum(found.values())


def _sum(parts: Iterable[Quoting]) -> Quoting | None:
    """Return the sum of what the runs of one bot quoted, one after the other."""
    whole: Quoting | None = None
    for part in parts:
        whole = part if whole is None else whole + part
    return whole
