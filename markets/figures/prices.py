"""Mid prices of markets at a moment in the past, as they were stored. Nothing is interpolated."""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

from markets.models import BookSample, QuoteSample

#: A market by connector and trading pair.
Market = tuple[str, str]

#: A price is known at a moment if one was stored this long before it at most.
FRESH = timedelta(minutes=10)
#: Where only the last sample of each hour is kept, and of each day.
HOURLY, DAILY = timedelta(hours=1), timedelta(days=1)
KEPT_HOURLY_FROM, KEPT_DAILY_FROM = timedelta(days=7), timedelta(days=30)


def mid_prices_at(markets: Collection[Market], moment: datetime, now: datetime) -> dict[Market, Decimal]:
    """Return the mid price of each market just before a moment: of the order book, or else as a bot reported it.

    A market without a price of that time is left out. Two queries.
    """
    if not markets:
        return {}
    window = {"taken_at__gt": moment - oldest_price(now - moment), "taken_at__lte": moment}
    connectors, pairs = {connector for connector, _ in markets}, {pair for _, pair in markets}
    reported = QuoteSample.objects.filter(
        **window,
        mid_price__isnull=False,
        deployment__connector__in=connectors,
        deployment__trading_pair__in=pairs,
    ).order_by("taken_at")
    found: dict[Market, Decimal] = {
        (connector, pair): mid
        for connector, pair, mid in reported.values_list(
            "deployment__connector", "deployment__trading_pair", "mid_price"
        )
    }
    books = BookSample.objects.filter(
        **window, best_bid__isnull=False, best_ask__isnull=False, connector__in=connectors, trading_pair__in=pairs
    ).order_by("taken_at")
    for connector, pair, bid, ask in books.values_list("connector", "trading_pair", "best_bid", "best_ask"):
        found[connector, pair] = (bid + ask) / 2
    return {market: found[market] for market in markets if market in found}


def oldest_price(age: timedelta) -> timedelta:
    """Return how long before a moment of this age a price may have been stored to count for it."""
    if age > KEPT_DAILY_FROM:
        return DAILY
    return HOURLY if age > KEPT_HOURLY_FROM else FRESH
