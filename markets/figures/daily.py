"""Figures for each day of a period, in UTC, in a fixed number of queries however long it is."""

import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from markets.figures.ledgers import ALL, Book, ledgers_at
from markets.figures.prices import Market, oldest_price
from markets.figures.quoting import LOOKBACK, Quoting
from markets.ledger import ZERO, profit_between
from markets.models import BookSample, QuoteSample, TradeQuerySet


@dataclass(frozen=True)
class DayFigures:
    """One day of one market: what all of a client's bots there earned and traded.

    Attributes:
        net: profit of the day less fees; ``None`` without a price for the inventory at its start or end.
        mid_price: at the end of the day.
    """

    day: date
    net: Decimal | None
    volume: Decimal
    trades: int
    inventory: Decimal
    mid_price: Decimal | None


def midnights(first: date, last: date) -> list[datetime]:
    """Return the start of each day, and the end of the last one."""
    count = (last - first).days + 2
    return [datetime.combine(first + timedelta(days=number), time(), UTC) for number in range(count)]


def days_of(trades: TradeQuerySet, first: date, last: date, now: datetime) -> dict[Market, list[DayFigures]]:
    """Return every market's figures of every day, both days included. Days that have not ended go until now."""
    moments = [min(moment, now) for moment in midnights(first, last)]
    of_market: defaultdict[Market, list[Book]] = defaultdict(list)
    books = ledgers_at(trades, *(moment if moment < now else ALL for moment in moments))
    for book in books:
        of_market[book.connector, book.trading_pair].append(book)
    prices = prices_at(of_market, moments, now)
    found: dict[Market, list[DayFigures]] = {}
    for market, in_market in sorted(of_market.items()):
        found[market] = []
        for number, (begin, end) in enumerate(itertools.pairwise(moments)):
            if begin >= end:
                break  # days that have not begun
            before, after = prices[market][number], prices[market][number + 1]
            parts = [profit_between(books[b][number], books[b][number + 1], before, after) for b in in_market]
            nets = [part.net for part in parts if part.net is not None]
            found[market].append(
                DayFigures(
                    day=begin.date(),
                    net=sum(nets, ZERO) if len(nets) == len(parts) else None,
                    volume=sum((part.volume for part in parts), ZERO),
                    trades=sum(part.trades for part in parts),
                    inventory=sum((part.end.inventory for part in parts), ZERO),
                    mid_price=after,
                )
            )
    return found


def prices_at(
    markets: Collection[Market], moments: Sequence[datetime], now: datetime
) -> dict[Market, list[Decimal | None]]:
    """Return the mid price of each market just before each moment; ``None`` where none of that time is stored."""
    seen: defaultdict[Market, list[tuple[datetime, Decimal]]] = defaultdict(list)
    names = {"connector__in": {c for c, _ in markets}, "trading_pair__in": {p for _, p in markets}}
    since = moments[0] - oldest_price(now - moments[0])
    books = BookSample.objects.since(since).filter(taken_at__lte=moments[-1]).hourly()
    for sample in books.filter(best_bid__isnull=False, best_ask__isnull=False, **names).iterator(2000):
        if (mid := sample.mid_price) is not None:
            seen[sample.connector, sample.trading_pair].append((sample.taken_at, mid))
    quotes = QuoteSample.objects.since(since).filter(taken_at__lte=moments[-1]).hourly()
    of_market = {f"deployment__{name}": values for name, values in names.items()}
    reported = quotes.filter(mid_price__isnull=False, **of_market).values_list(
        "deployment__connector", "deployment__trading_pair", "taken_at", "mid_price"
    )
    for connector, pair, taken_at, mid in reported.iterator(2000):
        seen[connector, pair].append((taken_at, mid))
    found: dict[Market, list[Decimal | None]] = {}
    for market in markets:
        points = sorted(seen[market])
        times = [taken_at for taken_at, _ in points]
        found[market] = [_price(points, times, moment, now) for moment in moments]
    return found


def _price(
    points: Sequence[tuple[datetime, Decimal]], times: Sequence[datetime], moment: datetime, now: datetime
) -> Decimal | None:
    place = bisect_right(times, moment) - 1
    # One sample an hour was looked at: it may be up to an hour old where more are stored.
    oldest = max(oldest_price(now - moment), timedelta(hours=1))
    return points[place][1] if place >= 0 and moment - times[place] <= oldest else None


def quoting_by_day(deployments: Iterable[int], first: date, last: date) -> dict[tuple[int, date], Quoting]:
    """Return how each deployment quoted on each day. What was counted across midnight belongs to the later day.

    Hours are as exact as days need it: one sample an hour is read. Two queries.
    """
    begin, end = midnights(first, last)[0], midnights(first, last)[-1]
    found: dict[tuple[int, date], Quoting] = {}
    previous: dict[tuple[int, datetime], QuoteSample] = {}
    samples = QuoteSample.objects.filter(
        deployment__in=list(deployments), taken_at__gt=begin - LOOKBACK, taken_at__lt=end
    ).hourly()
    for sample in samples.order_by("deployment", "taken_at").iterator(2000):
        run = sample.deployment_id, sample.run_started_at
        before = previous.get(run)
        previous[run] = sample
        began_before = before is None and sample.began_at < begin
        if sample.taken_at >= begin and not began_before:
            day = sample.taken_at.astimezone(UTC).date()
            found.setdefault((sample.deployment_id, day), Quoting()).add(before, sample)
    return found
