"""Reads the fills of bots, each of them once: new ones while a bot lives, and all of them from its archive.

A fill is known by its exchange trade id, so that reading the same again changes nothing: whatever was interrupted is
read again. The history of a live bot can only be asked for in whole days on the bot's clock, and one that has filled
nothing since, by its own report, is not asked. The archive comes last and is complete.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Min

from bots.models import Deployment
from bots.monitoring.order_accounting import ended_by_log
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import HummingbotAPIError, NotFound
from hummingbot_api.resources.archives import ENDED
from hummingbot_api.results import ArchivedOrder, Fill
from hummingbot_api.server_faults import NotSupportedByServer
from markets.models import LedgerDay, Liquidity, Trade, TradeReading
from markets.report_format import BotReport

#: A bot is asked for this much more than the time since it was last asked: its clock may be off, and a fill may be
#: booked late.
OVERLAP = timedelta(hours=6)
#: After a restart, what was filled while the bot was down is booked within this time, with the time of the fill.
BOOKED_WITHIN = timedelta(hours=1)
#: And at least this often, whatever its report says.
ASKED_EVERY = timedelta(minutes=10)
DAY = timedelta(days=1)
#: Seconds that the server waits for a bot: one that does not answer holds the request.
BOT_TIMEOUT = 5.0
#: An order that was filled this long after it was placed had rested on the book.
RESTED = timedelta(seconds=2)
#: How long after an end its archive may still appear: the server moves it half a minute after the container's removal.
ARCHIVE_APPEARS_WITHIN = timedelta(minutes=30)
NO_ARCHIVE = (
    "The server's archive has no database of this instance. Trades after the last reading of the bot's own history are "
    "missing. Compare with the exchange's own trade history."
)
NOT_ENDED = (
    "The bot never saw these orders end: {}. If the exchange filled them after the bot had stopped, those trades are "
    "missing. Compare with the exchange's own trade history."
)
#: Orders that the sentence names.
MOST_NAMED = 5


def read_trades(api: HummingbotAPI, deployment: Deployment, report: BotReport | None, now: datetime) -> None:
    """Store the fills of a live bot since it was last asked.

    Raises:
        HummingbotAPIError: the server or the bot did not answer. The reason is noted, and what is missing is read next
        time.
    """
    reading = _reading_of(deployment)
    counted = _counted(report)
    asked_lately = reading.read_at is not None and now - reading.read_at < ASKED_EVERY
    if counted and counted == reading.counted and asked_lately and not reading.problem:
        return
    since = _since(deployment, reading, counted, now)
    days = max(1, math.ceil((now - since + OVERLAP) / DAY))
    try:
        fills = api.bots.fills(deployment.instance_name, days, timeout=BOT_TIMEOUT)
    except HummingbotAPIError as problem:
        TradeReading.objects.filter(pk=reading.pk).update(problem=problem.message)
        raise
    with transaction.atomic():
        record_fills(deployment, fills)
        TradeReading.objects.filter(pk=reading.pk).update(read_at=now, counted=counted, problem="")


def _since(deployment: Deployment, reading: TradeReading, counted: str, now: datetime) -> datetime:
    """Return from when on fills may be missing: since the last reading, and for a while after a restart since the last
    reading before that.
    """
    read_at = reading.read_at or deployment.sent_at or deployment.planned_at
    restarted = deployment.started_at is not None and deployment.started_at > read_at
    of_another_run = bool(counted and reading.counted) and _run_of(counted) != _run_of(reading.counted)
    if restarted or of_another_run:
        earliest = reading.again_from if reading.again_until and now < reading.again_until else None
        reading.again_from, reading.again_until = min(earliest or read_at, read_at), now + BOOKED_WITHIN
        reading.save(update_fields=["again_from", "again_until"])
    if reading.again_from is not None and reading.again_until is not None and now < reading.again_until:
        return min(reading.again_from, read_at)
    return read_at


def complete_trades(api: HummingbotAPI, deployment: Deployment, now: datetime) -> None:
    """Store all fills of an instance that has ended, from its archive.

    Raises:
        HummingbotAPIError: the server did not answer. It is read next time.
    """
    reading = _reading_of(deployment)
    TradeReading.objects.filter(pk=reading.pk).update(tried_at=now)
    try:
        orders = list(api.archives.orders(deployment.instance_name))
        fills = list(api.archives.fills(deployment.instance_name))
    except (NotFound, NotSupportedByServer):
        _record_no_archive(deployment, reading, now)
        return
    except HummingbotAPIError as problem:
        TradeReading.objects.filter(pk=reading.pk).update(problem=problem.message)
        raise
    gap = _not_ended(deployment, orders, fills)
    with transaction.atomic():
        record_fills(deployment, fills, {order.client_order_id: order.created_at for order in orders})
        TradeReading.objects.filter(pk=reading.pk).update(completed_at=now, problem=gap)


def _not_ended(deployment: Deployment, orders: Iterable[ArchivedOrder], fills: Iterable[Fill]) -> str:
    """Return which orders may have been filled without the bot, in a sentence; empty when all of them ended."""
    if deployment.exposed() is None:
        return ""  # simulated: what nobody simulates is not filled
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        filled[fill.order_id] += fill.amount
    left = [
        order.client_order_id
        for order in orders
        if order.last_status not in ENDED
        and (order.amount is None or filled[order.client_order_id] < order.amount)
        and not ended_by_log(deployment, order)
    ]
    more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
    return NOT_ENDED.format(", ".join(left[:MOST_NAMED]) + more) if left else ""


def record_fills(
    deployment: Deployment, fills: Sequence[Fill], placed_at: dict[str, datetime | None] | None = None
) -> None:
    """Store those fills that are not stored yet, and add to the others what only an archive has.

    Args:
        placed_at: when its orders were placed, by their ids: of an archive only.
    """
    placed_at = placed_at or {}
    known = {_key(trade): trade for trade in _stored(deployment, fills)}
    new = {_key_of(fill): _trade(deployment, fill, placed_at) for fill in fills if _key_of(fill) not in known}
    Trade.objects.bulk_create(new.values(), batch_size=500, ignore_conflicts=True)
    if new:
        _drop_ledgers(deployment, new.values())
    completed = []
    for fill in fills:
        trade = known.get(_key_of(fill))
        if trade is not None and fill.order_id and not trade.order_id:
            trade.order_id = fill.order_id
            trade.liquidity = _liquidity(fill, placed_at)
            if trade.fee_quote is None and fill.fee_quote is not None:
                trade.fee_quote = fill.fee_quote
            completed.append(trade)
    Trade.objects.bulk_update(completed, ["order_id", "liquidity", "fee_quote"], batch_size=500)
    if completed:
        _drop_ledgers(deployment, completed)


def _stored(deployment: Deployment, fills: Sequence[Fill]) -> Iterable[Trade]:
    of_client = Trade.objects.filter(client=deployment.bot.client_id)
    ids = sorted({fill.exchange_trade_id for fill in fills})
    for begin in range(0, len(ids), 500):
        yield from of_client.filter(exchange_trade_id__in=ids[begin : begin + 500])


def _key(trade: Trade) -> tuple[str, str, str, str]:
    return trade.connector, trade.trading_pair, trade.exchange_trade_id, trade.side


def _key_of(fill: Fill) -> tuple[str, str, str, str]:
    return fill.connector, fill.trading_pair, fill.exchange_trade_id, fill.side


def _trade(deployment: Deployment, fill: Fill, placed_at: dict[str, datetime | None]) -> Trade:
    return Trade(
        client_id=deployment.bot.client_id,
        deployment=deployment,
        bot_number=deployment.bot_id,
        bot_name=deployment.bot.name,
        connector=fill.connector,
        trading_pair=fill.trading_pair,
        exchange_trade_id=fill.exchange_trade_id,
        order_id=fill.order_id,
        side=fill.side,
        price=fill.price,
        amount=fill.amount,
        fees={asset: f"{paid:f}" for asset, paid in fill.fees.items()},
        fee_quote=_fee_in_quote(fill),
        liquidity=_liquidity(fill, placed_at),
        traded_at=fill.filled_at,
    )


def _fee_in_quote(fill: Fill) -> Decimal | None:
    """Return the fee in the quote asset: one in the base asset at the fill's own price."""
    if fill.fee_quote is not None:
        return fill.fee_quote
    base, _, quote = fill.trading_pair.partition("-")
    rates = {quote: Decimal(1), base: fill.price}
    if any(asset not in rates for asset in fill.fees):
        return None
    return sum((paid * rates[asset] for asset, paid in fill.fees.items()), Decimal(0))


def _liquidity(fill: Fill, placed_at: dict[str, datetime | None]) -> Liquidity:
    if fill.order_type == "MARKET":
        return Liquidity.TAKER
    if fill.order_type == "LIMIT_MAKER":
        return Liquidity.MAKER
    placed = placed_at.get(fill.order_id)
    return Liquidity.MAKER if placed is not None and fill.filled_at - placed >= RESTED else Liquidity.UNKNOWN


def _drop_ledgers(deployment: Deployment, trades: Iterable[Trade]) -> None:
    """Drop the ledgers that were kept of the days after the earliest of these trades."""
    earliest = min(trade.traded_at for trade in trades)
    LedgerDay.objects.filter(
        client=deployment.bot.client_id, bot_number=deployment.bot_id, day__gt=earliest.date()
    ).delete()


def _reading_of(deployment: Deployment) -> TradeReading:
    return TradeReading.objects.get_or_create(deployment=deployment)[0]


def _counted(report: BotReport | None) -> str:
    """Return what identifies a run and its fills so far, by the bot's report; empty without one."""
    if report is None or report.counters is None or report.counters.fills is None or report.run_started_at is None:
        return ""
    return f"{report.run_started_at.timestamp():.3f}/{report.counters.fills}"


def _run_of(counted: str) -> str:
    return counted.partition("/")[0]


def _record_no_archive(deployment: Deployment, reading: TradeReading, now: datetime) -> None:
    """One that never connected has none. Of any other one it may take a while to appear."""
    if deployment.verified_at is None:
        TradeReading.objects.filter(pk=reading.pk).update(completed_at=now, problem="")
    elif deployment.ended_at is not None and now - deployment.ended_at > ARCHIVE_APPEARS_WITHIN:
        TradeReading.objects.filter(pk=reading.pk).update(completed_at=now, problem=NO_ARCHIVE)


def has_gaps(deployments: Iterable[Deployment]) -> bool:
    """Return whether the trades of any of these may be incomplete."""
    return TradeReading.objects.filter(deployment__in=deployments).exclude(problem="").exists()


def first_trade_at(client_id: int) -> datetime | None:
    return Trade.objects.filter(client=client_id).aggregate(first=Min("traded_at"))["first"]
