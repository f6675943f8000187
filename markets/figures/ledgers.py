"""Ledgers of many bots at a moment, in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Max, Q

from markets.ledger import Ledger
from markets.models import LedgerDay, Trade, TradeQuerySet

#: Rows that are read at a time.
CHUNK = 2000
#: The moment after every trade, also after those of a bot whose clock is ahead.
ALL = datetime(9999, 1, 1, tzinfo=UTC)


class Book(NamedTuple):
    """What has a ledger of its own: a bot in a market. Bots of one client do not share an average cost."""

    client: int
    bot_number: int
    connector: str
    trading_pair: str


def ledgers_at(trades: TradeQuerySet, *moments: datetime) -> dict[Book, list[Ledger]]:
    """Return the ledgers of every bot and market among these trades, as they were just before each moment.

    A ledger begins with the bot's first trade, whatever period is asked for: ``trades`` is filtered by client, bot or
    market, and never by time. Three queries.

    Args:
        moments: in ascending order.
    """
    kept = _kept_before(trades, moments[0])
    begin = min((at for at, _ in kept.values()), default=None) if kept else None
    books: dict[Book, list[Ledger]] = {}
    running: dict[Book, Ledger] = {book: ledger for book, (_, ledger) in kept.items()}
    passed: defaultdict[Book, int] = defaultdict(int)

    def pass_moments(book: Book, until: datetime | None) -> None:
        """Note the ledger at every moment up to this time."""
        noted = books.setdefault(book, [])
        while passed[book] < len(moments) and (until is None or moments[passed[book]] <= until):
            noted.append(_copy(running[book]))
            passed[book] += 1

    unkept = Q() if begin is None else Q(traded_at__gte=begin) | ~_of_books(kept)
    rows = trades.filter(unkept, traded_at__lt=moments[-1]).in_order()
    for row in rows.values_list(*_COLUMNS).iterator(CHUNK):
        book, (traded_at, side, price, amount, fee, fees, liquidity) = Book(*row[:4]), row[4:]
        if book in kept and traded_at < kept[book][0]:
            continue
        running.setdefault(book, Ledger())
        pass_moments(book, traded_at)
        paid = {asset: Decimal(text) for asset, text in fees.items()}
        running[book].add(side, price, amount, fee=fee, fees=paid, liquidity=liquidity)
    for book in running:
        pass_moments(book, None)
    return books


_COLUMNS = (
    *("client", "bot_number", "connector", "trading_pair"),
    *("traded_at", "side", "price", "amount", "fee_quote", "fees", "liquidity"),
)


def keep_ledgers(now: datetime) -> None:
    """Keep every ledger as of the beginning of this day, so that figures need not replay all trades."""
    day = now.astimezone(UTC).date()
    for client in Trade.objects.order_by().values_list("client", flat=True).distinct():
        kept = ledgers_at(Trade.objects.filter(client=client), datetime.combine(day, time(), UTC))
        LedgerDay.objects.bulk_create(
            [
                LedgerDay(
                    client_id=book.client,
                    bot_number=book.bot_number,
                    connector=book.connector,
                    trading_pair=book.trading_pair,
                    day=day,
                    state=ledger.as_json(),
                )
                for book, [ledger] in kept.items()
                if ledger.trades
            ],
            ignore_conflicts=True,
            batch_size=500,
        )


def _kept_before(trades: TradeQuerySet, moment: datetime) -> dict[Book, tuple[datetime, Ledger]]:
    """Return the newest ledger that was kept of each book up to a moment, and as of when it is."""
    of_these = LedgerDay.objects.filter(
        day__lte=moment.astimezone(UTC).date(),
        client__in=trades.order_by().values("client"),
        bot_number__in=trades.order_by().values("bot_number"),
    )
    newest = of_these.values_list("client", "bot_number", "connector", "trading_pair").annotate(newest=Max("day"))
    latest = {(Book(*row[:4]), row[4]) for row in newest}
    found = {}
    for kept in of_these.filter(day__in={day for _, day in latest}):
        book = Book(kept.client_id, kept.bot_number, kept.connector, kept.trading_pair)
        if (book, kept.day) in latest:
            found[book] = datetime.combine(kept.day, time(), UTC), Ledger.from_json(kept.state)
    return found


def _of_books(books: Iterable[Book]) -> Q:
    return Q(bot_number__in={book.bot_number for book in books})


def _copy(ledger: Ledger) -> Ledger:
    return Ledger(**vars(ledger) | {"other_fees": dict(ledger.other_fees)})
