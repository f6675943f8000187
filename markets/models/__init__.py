"""Markets: what bots quote and trade there, and what was agreed with their clients."""

from markets.models.book_sample import BookSample
from markets.models.obligation import Obligation, ObligationDay, Period
from markets.models.quotes import QuoteSample, QuoteState, ReportSource
from markets.models.trade import LedgerDay, Liquidity, Side, Trade, TradeQuerySet, TradeReading

__all__ = [
    "BookSample",
    "LedgerDay",
    "Liquidity",
    "Obligation",
    "ObligationDay",
    "Period",
    "QuoteSample",
    "QuoteState",
    "ReportSource",
    "Side",
    "Trade",
    "TradeQuerySet",
    "TradeReading",
]
