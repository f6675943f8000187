"""What bots quote and trade, and how obligations stand: what the JSON API answers.

Amounts and prices are strings, with all their digits; shares are fractions; spreads are percent of the mid price.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ninja import Field, Schema

from core.fields import plain
from json_api.schemas.common import Page
from markets.figures.books import MarketNow
from markets.figures.bot_market import BotMarket
from markets.models import Trade
from markets.obligations.standing import Standing


def text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


class QuotedOrderOut(Schema):
    client_order_id: str
    exchange_order_id: str
    side: str
    price: str
    amount: str
    filled: str
    created_at: float | None = Field(description="Seconds since 1970, on the bot's clock.")


class HoldingOut(Schema):
    asset: str
    total: str
    available: str | None
    value_quote: str | None = Field(description="At the mid price.")


class QuotesOut(Schema):
    """A bot's open orders and its market, as last read."""

    source: str = Field(
        description="“report”: published by the bot; “log”: from its log, without balances and uptime; empty: not read."
    )
    read_at: datetime | None
    reported_at: datetime | None
    is_stale: bool = Field(description="Read too long ago to be relied on.")
    mid_price: str | None
    best_bid: str | None
    best_ask: str | None
    spread_percent: str | None = Field(description="Between the bot's own best bid and best ask.")
    quoting: str = Field(description="“both sides”, “bids only”, “asks only” or “nothing”.")
    not_quoting: str = Field(description="Why it does not quote both sides, in the bot's or the exchange's words.")
    uptime_today: float | None
    orders: list[QuotedOrderOut]
    balances: list[HoldingOut]

    @staticmethod
    def of(market: BotMarket | None) -> dict[str, Any]:
        """Return the answer for a bot; for one that was never deployed, nothing is known."""
        state = market.state if market else None
        if market is None:
            blank = dict.fromkeys(("read_at", "reported_at", "mid_price", "best_bid", "best_ask", "spread_percent"))
            nothing = {"source": "", "is_stale": False, "quoting": "nothing", "orders": [], "balances": []}
            return blank | nothing | {"not_quoting": "The bot is not deployed.", "uptime_today": None}
        return {
            "source": state.source if state else "",
            "read_at": state.read_at if state else None,
            "reported_at": state.reported_at if state else None,
            "is_stale": market.is_stale,
            "mid_price": text(market.mid_price),
            "best_bid": text(market.best_bid),
            "best_ask": text(market.best_ask),
            "spread_percent": text(market.spread),
            "quoting": market.sides,
            "not_quoting": market.reason,
            "uptime_today": market.uptime,
            "orders": [row.order.as_json() for row in [*market.asks, *market.bids]],
            "balances": [
                {
                    "asset": held.asset,
                    "total": plain(held.total),
                    "available": text(held.available),
                    "value_quote": text(held.value),
                }
                for held in market.holdings
            ],
        }


class TradeOut(Schema):
    """A fill of an order."""

    id: int
    trade_id: str = Field(alias="exchange_trade_id", description="The exchange's name for it.")
    order_id: str = Field(description="The bot's own. Empty until its archive was read.")
    instance: str | None
    connector: str
    pair: str = Field(alias="trading_pair")
    side: str
    price: str
    amount: str
    value: str = Field(description="In the quote asset.")
    fees: dict[str, str] = Field(description="By asset.")
    fee_quote: str | None = Field(description="In the quote asset; null when it can't be converted.")
    liquidity: str = Field(description="“maker”, “taker”, or empty when it is not known.")
    at: datetime = Field(alias="traded_at")

    @staticmethod
    def resolve_instance(trade: Trade) -> str | None:
        return trade.deployment.instance_name if trade.deployment else None

    @staticmethod
    def resolve_price(trade: Trade) -> str:
        return plain(trade.price)

    @staticmethod
    def resolve_amount(trade: Trade) -> str:
        return plain(trade.amount)

    @staticmethod
    def resolve_value(trade: Trade) -> str:
        return plain(trade.value)

    @staticmethod
    def resolve_fee_quote(trade: Trade) -> str | None:
        return text(trade.fee_quote)


class TradePage(Page):
    results: list[TradeOut]


class DepthOut(Schema):
    within_percent: str
    bids: float | None = Field(description="In the quote asset; null where the book goes on beyond what was read.")
    asks: float | None
    own_bid_share: float | None
    own_ask_share: float | None


class MarketOut(Schema):
    """A market in which open bots quote, as one server saw its order book."""

    server: str
    connector: str
    pair: str
    read_at: datetime | None
    best_bid: str | None
    best_ask: str | None
    spread_percent: str | None
    depth: list[DepthOut]
    problem: str = Field(description="Why the order book is not known, in a sentence.")
    bots: list[int]

    @staticmethod
    def of(market: MarketNow) -> dict[str, Any]:
        book = market.book
        return {
            "server": market.server,
            "connector": market.connector,
            "pair": market.trading_pair,
            "read_at": book and book.taken_at,
            "best_bid": text(book.best_bid) if book else None,
            "best_ask": text(book.best_ask) if book else None,
            "spread_percent": text(book.spread_percent) if book else None,
            "depth": [
                {
                    "within_percent": distance,
                    "bids": bids,
                    "asks": asks,
                    "own_bid_share": market.share("bid", distance),
                    "own_ask_share": market.share("ask", distance),
                }
                for distance, bids, asks in market.depths
            ],
            "problem": market.problem,
            "bots": market.bots,
        }


class MarketPage(Page):
    results: list[MarketOut]


class KeptOut(Schema):
    met: float | None = Field(description="Share of the measured time; null when nothing was measured.")
    not_measured: float | None = Field(description="Share of the time that could not be measured.")


class KeptDayOut(KeptOut):
    day: date


class ObligationOut(Schema):
    """What a contract asks for in a market, and how it stands."""

    id: int
    connector: str
    pair: str
    terms: str
    max_spread_percent: str | None
    min_depth_quote: str | None
    depth_within_percent: str
    min_uptime_percent: str | None
    uptime_period: str
    active: bool
    state: str = Field(description="met, broken, lost (can't be met any more), not_measured or ended.")
    reason: str = Field(description="Why it is broken or not measured at present.")
    broken_since: datetime | None
    today: KeptOut
    month: KeptOut
    reachable: float = Field(description="The share that can still be reached in the period.")
    days: list[KeptDayOut]

    @staticmethod
    def of(standing: Standing) -> dict[str, Any]:
        obligation = standing.obligation
        return {
            "id": obligation.pk,
            "connector": obligation.connector,
            "pair": obligation.trading_pair,
            "terms": obligation.terms,
            "max_spread_percent": text(obligation.max_spread_percent),
            "min_depth_quote": text(obligation.min_depth_quote),
            "depth_within_percent": obligation.depth_within_percent,
            "min_uptime_percent": text(obligation.min_uptime_percent),
            "uptime_period": obligation.uptime_period,
            "active": obligation.active,
            "state": standing.state,
            "reason": obligation.reason,
            "broken_since": obligation.broken_since,
            "today": {"met": standing.today.uptime, "not_measured": standing.today.unmeasured_share},
            "month": {"met": standing.month.uptime, "not_measured": standing.month.unmeasured_share},
            "reachable": standing.best,
            "days": [
                {"day": day, "met": kept.uptime, "not_measured": kept.unmeasured_share} for day, kept in standing.trend
            ],
        }
