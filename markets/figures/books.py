"""Markets as their order books showed them last, with the share of the panel's own bots. Nothing is interpolated."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bots.models import Deployment
from markets.models import BookSample, QuoteSample
from markets.report_format import DISTANCES

#: What was read longer ago is not what is true now: the panel reads once a minute.
STALE = timedelta(minutes=3)


@dataclass
class MarketNow:
    """A market on one server. ``own_bids`` and ``own_asks`` are the value of the bots' orders by distance, in the quote
    asset.
    """

    server: str
    connector: str
    trading_pair: str
    book: BookSample | None = None
    bots: list[int] = field(default_factory=list)
    own_bids: dict[str, float] = field(default_factory=dict)
    own_asks: dict[str, float] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Why the book is not known, in a sentence; empty when it is."""
        return "The order book has not been read yet." if self.book is None else self.book.problem

    @property
    def depths(self) -> list[tuple[str, float | None, float | None]]:
        """Distance in percent, value of all bids and of all asks within it; ``None`` where the book goes on."""
        if self.book is None or self.book.problem:
            return [(distance, None, None) for distance in DISTANCES]
        return [(d, self.book.bid_depth.get(d), self.book.ask_depth.get(d)) for d in DISTANCES]

    def share(self, side: str, distance: str) -> float | None:
        """Return the bots' share of a side's depth, a fraction; ``None`` when it is not known.

        Args:
            side: ``bid`` or ``ask``.
        """
        if self.book is None or self.book.problem:
            return None
        whole = (self.book.bid_depth if side == "bid" else self.book.ask_depth).get(distance)
        own = (self.own_bids if side == "bid" else self.own_asks).get(distance)
        # The two were read at slightly different moments.
        return min(1.0, own / whole) if whole and own is not None else None


def markets_now(deployments: Iterable[Deployment], now: datetime) -> list[MarketNow]:
    """Return the markets of these open deployments. Two queries.

    Args:
        deployments: with their servers.
    """
    found: dict[tuple[int, str, str], MarketNow] = {}
    markets: dict[int, MarketNow] = {}
    for deployment in deployments:
        key = deployment.server_id, deployment.connector, deployment.trading_pair
        market = found.setdefault(key, MarketNow(deployment.server.name, deployment.connector, deployment.trading_pair))
        market.bots.append(deployment.bot_id)
        markets[deployment.pk] = market
    lately = now - STALE
    servers = {server for server, _, _ in found}
    for book in BookSample.objects.filter(server__in=servers, taken_at__gt=lately).order_by("taken_at"):
        if quoted := found.get((book.server_id, book.connector, book.trading_pair)):
            quoted.book = book
    newest = QuoteSample.objects.filter(deployment__in=markets, taken_at__gt=lately)
    latest: dict[int, QuoteSample] = {sample.deployment_id: sample for sample in newest.order_by("taken_at")}
    for pk, sample in latest.items():
        for name, values in (("own_bids", sample.bid_value), ("own_asks", sample.ask_value)):
            total = getattr(markets[pk], name)
            for distance, value in values.items():
                total[distance] = total.get(distance, 0.0) + value
    return [found[key] for key in sorted(found, key=lambda key: (found[key].connector, key))]
