"""Reads the order book of every market that a bot quotes: one request per market, whatever the number of bots."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from accounts.models import Server
from bots.models import Deployment
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import ConnectionFailed, HummingbotAPIError, ServerTimedOut
from hummingbot_api.results import OrderBook
from markets.models import BookSample
from markets.report_format import DISTANCES

PAPER = "_paper_trade"


def read_books(api: HummingbotAPI, server: Server, deployments: Iterable[Deployment], now: datetime) -> None:
    """Store the books of these deployments' markets. One that can't be read is stored as such.

    Raises:
        HummingbotAPIError: the server itself was not reached.
    """
    for connector, pair in sorted({(d.connector, d.trading_pair) for d in deployments}):
        read_book(api, server, connector, pair, now)


def read_book(api: HummingbotAPI, server: Server, connector: str, pair: str, now: datetime) -> BookSample:
    """Store the book of one market; with the reason if it can't be read.

    Raises:
        HummingbotAPIError: the server itself was not reached.
    """
    try:
        # Paper trade has no market of its own: it simulates orders on the exchange's.
        values = _depths(api.market_data.order_book(connector.removesuffix(PAPER), pair))
    except HummingbotAPIError as problem:
        if isinstance(problem, ConnectionFailed | ServerTimedOut):
            raise
        values = {"problem": problem.message}
    sample, _ = BookSample.objects.get_or_create(
        server=server, connector=connector, trading_pair=pair, taken_at=now, defaults=values
    )
    return sample


def _depths(book: OrderBook) -> dict[str, object]:
    if not book.bids or not book.asks:
        side = "bids" if not book.bids else "asks"
        return {"problem": f"The order book has no {side}."}
    best_bid, best_ask = book.bids[0][0], book.asks[0][0]
    mid = (best_bid + best_ask) / 2
    return {
        "best_bid": best_bid,
        "best_ask": best_ask,
        "bid_depth": _depth(book.bids, mid),
        "ask_depth": _depth(book.asks, mid),
    }


def _depth(levels: Sequence[tuple[Decimal, Decimal]], mid: Decimal) -> dict[str, float | None]:
    """Return a side's value by distance; ``None`` where it may go on beyond the last level that was read."""
    found: dict[str, float | None] = {}
    for distance in DISTANCES:
        within = mid * Decimal(distance) / 100
        near = [(price, amount) for price, amount in levels if abs(price - mid) <= within]
        whole = len(near) < len(levels)
        found[distance] = float(sum(price * amount for price, amount in near)) if whole else None
    return found
