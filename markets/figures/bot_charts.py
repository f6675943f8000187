"""A bot's figures over time, for its charts and for the table beside them: one row for each step.

Nothing is interpolated: where nothing was stored there is no value.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bots.models import Bot, Deployment
from markets.figures.ledgers import ALL, ledgers_at
from markets.figures.quoting import Quoting
from markets.ledger import Ledger, profit_between
from markets.models import BookSample, QuoteSample, Trade

#: Fills that the price chart marks at most, the newest ones.
MOST_FILLS = 2000


@dataclass(frozen=True)
class Range:
    """How far back a chart goes, and its step. Longer ranges read one sample an hour, or a day."""

    label: str
    length: timedelta
    step: timedelta
    downsampled: str = ""


RANGES = {
    "day": Range("24 hours", timedelta(days=1), timedelta(minutes=10)),
    "week": Range("7 days", timedelta(days=7), timedelta(hours=1)),
    "month": Range("30 days", timedelta(days=30), timedelta(hours=6), "hourly"),
    "year": Range("12 months", timedelta(days=365), timedelta(days=1), "daily"),
}


@dataclass(frozen=True)
class Step:
    """A moment, and what happened until it since the step before.

    Attributes:
        net: profit less fees since the start of the range; ``None`` without a price.
        spread: average quoted spread, in percent of the mid price.
        uptime: share of the step in which both sides were quoted, a fraction of what was reported.
        bid_depth, ask_depth: average value within 2 %, in the quote asset.
    """

    moment: datetime
    mid_price: Decimal | None
    net: Decimal | None
    inventory: Decimal
    volume: Decimal
    quoting: Quoting | None

    @property
    def spread(self) -> float | None:
        return self.quoting.average_spread if self.quoting else None

    @property
    def uptime(self) -> float | None:
        return self.quoting.uptime(self.quoting.measured) if self.quoting else None

    @property
    def bid_depth(self) -> float | None:
        return self.quoting.average_depth("bid", "2") if self.quoting else None

    @property
    def ask_depth(self) -> float | None:
        return self.quoting.average_depth("ask", "2") if self.quoting else None


@dataclass(frozen=True)
class BotCharts:
    base_asset: str
    quote_asset: str
    steps: list[Step]
    fills: list[tuple[datetime, str, Decimal]]

    @property
    def is_empty(self) -> bool:
        # The price alone is that of the market, not of the bot.
        return not self.fills and not any(step.quoting or step.inventory for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """Return the charts for ``charts.js``: each with its unit, its times in seconds and its series."""
        times = [step.moment.timestamp() for step in self.steps]
        at = sorted({*times, *(moment.timestamp() for moment, _, _ in self.fills)})
        prices = {t: _number(step.mid_price) for t, step in zip(times, self.steps, strict=True)}
        filled = {
            side: {moment.timestamp(): float(price) for moment, of, price in self.fills if of == side}
            for side in ("BUY", "SELL")
        }
        return {
            "charts": [
                {
                    "id": "price",
                    "unit": self.quote_asset,
                    "times": at,
                    "series": [
                        {"label": "Mid price", "values": [prices.get(t) for t in at]},
                        {"label": "Buys", "points": True, "values": [filled["BUY"].get(t) for t in at]},
                        {"label": "Sells", "points": True, "values": [filled["SELL"].get(t) for t in at]},
                    ],
                },
                self._chart("pnl", self.quote_asset, times, {"Net PnL": [_number(s.net) for s in self.steps]}),
                self._chart(
                    "inventory", self.base_asset, times, {"Inventory": [float(s.inventory) for s in self.steps]}
                ),
                self._chart("spread", "%", times, {"Quoted spread": [s.spread for s in self.steps]}),
                self._chart(
                    "depth",
                    self.quote_asset,
                    times,
                    {"Bids": [s.bid_depth for s in self.steps], "Asks": [s.ask_depth for s in self.steps]},
                ),
            ]
        }

    @staticmethod
    def _chart(name: str, unit: str, times: list[float], series: dict[str, list[float | None]]) -> dict[str, Any]:
        rows = [{"label": label, "values": values} for label, values in series.items()]
        return {"id": name, "unit": unit, "times": times, "series": rows}


def bot_charts(bot: Bot, span: Range, now: datetime) -> BotCharts:
    """Return a bot's figures in the market of its latest deployment, or else of its definition. A fixed number of
    queries.
    """
    market = bot.deployment or bot
    connector, pair = market.connector, market.trading_pair
    moments = _moments(span, now)
    trades = Trade.objects.filter(client=bot.client_id, bot_number=bot.pk, connector=connector, trading_pair=pair)
    found = ledgers_at(trades, *moments[:-1], ALL)
    ledgers = next(iter(found.values()), [Ledger()] * len(moments))
    prices = _prices(bot, connector, pair, moments, span)
    quoted = _quoting(bot, connector, pair, moments, span)
    steps = []
    for number in range(1, len(moments)):
        part = profit_between(ledgers[number - 1], ledgers[number], prices[number - 1], prices[number])
        since = profit_between(ledgers[0], ledgers[number], prices[0], prices[number])
        steps.append(
            Step(moments[number], prices[number], since.net, part.end.inventory, part.volume, quoted.get(number))
        )
    fills = trades.filter(traded_at__gt=moments[0]).order_by("-traded_at")[:MOST_FILLS]
    marks = [(trade.traded_at, trade.side, trade.price) for trade in fills]
    base, _, quote = pair.partition("-")
    return BotCharts(base, quote, steps, marks[::-1])


def _moments(span: Range, now: datetime) -> list[datetime]:
    """Return the begin, each full step in UTC, and now."""
    step = span.step.total_seconds()
    last = int(now.timestamp() // step)
    full = [datetime.fromtimestamp(number * step, UTC) for number in range(last - span.length // span.step, last + 1)]
    return [*full, now] if full[-1] < now else full


def _prices(bot: Bot, connector: str, pair: str, moments: Sequence[datetime], span: Range) -> list[Decimal | None]:
    """Return the mid price at each moment: the newest of the step before it."""
    since = moments[0] - span.step
    books = BookSample.objects.filter(
        server=bot.server_id, connector=connector, trading_pair=pair, best_bid__isnull=False, best_ask__isnull=False
    ).since(since)
    quotes = QuoteSample.objects.filter(
        deployment__bot=bot, deployment__connector=connector, deployment__trading_pair=pair, mid_price__isnull=False
    ).since(since)
    if span.downsampled:
        books, quotes = getattr(books, span.downsampled)(), getattr(quotes, span.downsampled)()
    points = [(taken_at, mid) for taken_at, mid in quotes.order_by().values_list("taken_at", "mid_price")]
    seen = books.order_by().values_list("taken_at", "best_bid", "best_ask")
    points += [(taken_at, (bid + ask) / 2) for taken_at, bid, ask in seen]
    points.sort()
    times = [taken_at for taken_at, _ in points]
    places = [bisect_right(times, moment) - 1 for moment in moments]
    return [
        points[place][1] if place >= 0 and moment - times[place] <= span.step else None
        for place, moment in zip(places, moments, strict=True)
    ]


def _quoting(bot: Bot, connector: str, pair: str, moments: Sequence[datetime], span: Range) -> dict[int, Quoting]:
    """Return what was quoted until each moment since the one before, by the moment's number."""
    deployments = Deployment.objects.filter(bot=bot, connector=connector, trading_pair=pair)
    samples = QuoteSample.objects.filter(deployment__in=deployments.values("pk")).since(moments[0] - span.step)
    if span.downsampled:
        samples = getattr(samples, span.downsampled)()
    found: dict[int, Quoting] = {}
    previous: dict[tuple[int, datetime], QuoteSample] = {}
    for sample in samples.order_by("taken_at").iterator(2000):
        run = sample.deployment_id, sample.run_started_at
        before = previous.get(run)
        previous[run] = sample
        number = bisect_right(moments, sample.taken_at)
        began_before = before is None and sample.began_at < moments[0]
        if 0 < number < len(moments) and not began_before:
            found.setdefault(number, Quoting()).add(before, sample)
    return found


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
