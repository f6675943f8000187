"""What clients' bots earned, traded and quoted in a time, by client and market, for tables of many."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import add

from django.db.models import Q

from accounts.models import Client
from bots.models import Deployment
from hummingbot_api.connectors import AccountType, market_of
from markets.figures.profit import Money, Total, profits
from markets.figures.quoting import Quoting, quoting_between
from markets.in_market import InMarket, quote_of
from markets.models import Obligation, Trade
from markets.obligations.standing import Standing, standings

#: What is wrong comes first, in this order.
_ORDER = ("lost", "broken", "not_measured", "met", "ended", "")


@dataclass
class MarketRow(InMarket):
    """One market of one client in a time.

    Attributes:
        quoting: what its bots quoted, one after the other; ``None`` without any report.
        deployed_seconds: the sum over its bots.
    """

    client: int
    client_name: str
    connector: str
    trading_pair: str
    total: Total
    quoting: Quoting | None = None
    deployed_seconds: float = 0.0
    standing: Standing | None = None
    bots: set[int] = field(default_factory=set)

    @property
    def uptime(self) -> float | None:
        """Share of the time that its bots were deployed in which they quoted both sides, on average; a fraction."""
        return None if self.quoting is None else self.quoting.uptime(self.deployed_seconds)

    @property
    def depth(self) -> tuple[float | None, float | None]:
        """Average depth of the bids and of the asks within 2 %, in the quote asset."""
        if self.quoting is None:
            return None, None
        return self.quoting.average_depth("bid", "2"), self.quoting.average_depth("ask", "2")


def market_rows(clients: Iterable[Client], begin: datetime, now: datetime) -> list[MarketRow]:
    """Return every market that these clients' bots traded or quoted since ``begin``: broken obligations first, then
    live accounts. A fixed number of queries.
    """
    of = list(clients)
    names = {client.pk: client.name for client in of}
    rows = _Rows(names)
    for profit in profits(Trade.objects.filter(client__in=names), begin, now, now):
        rows.of(profit.book.client, *profit.market).total.add(profit)
    _add_quoting(rows, begin, now)
    for standing in standings(Obligation.objects.active().filter(client__in=names).select_related("client"), now):
        obligation = standing.obligation
        rows.of(obligation.client_id, obligation.connector, obligation.trading_pair).standing = standing
    return sorted(rows.found.values(), key=_place)


class _Rows:
    """The rows so far, by client and market."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.found: dict[tuple[int, str, str], MarketRow] = {}

    def of(self, client: int, connector: str, pair: str) -> MarketRow:
        if (client, connector, pair) not in self.found:
            total = Total(Money(market_of(connector).account_type, quote_of(pair)))
            self.found[client, connector, pair] = MarketRow(client, self.names[client], connector, pair, total)
        return self.found[client, connector, pair]


def _add_quoting(rows: _Rows, begin: datetime, now: datetime) -> None:
    there = (
        Deployment.objects.filter(bot__client__in=rows.names, sent_at__isnull=False)
        .filter(Q(ended_at=None) | Q(ended_at__gt=begin))
        .values_list("pk", "bot", "bot__client", "connector", "trading_pair", "sent_at", "ended_at")
    )
    of_market: defaultdict[tuple[int, str, str], list[int]] = defaultdict(list)
    for pk, bot, client, connector, pair, sent, ended in there.order_by():
        of_market[client, connector, pair].append(pk)
        found = rows.of(client, connector, pair)
        found.bots.add(bot)
        found.deployed_seconds += max(0.0, (min(ended or now, now) - max(sent or now, begin)).total_seconds())
    quoted = quoting_between([pk for pks in of_market.values() for pk in pks], begin, now)
    for key, pks in of_market.items():
        if parts := [quoted[pk] for pk in pks if pk in quoted]:
            rows.of(*key).quoting = reduce(add, parts)


def _place(row: MarketRow) -> tuple[int, int, str, str]:
    state = row.standing.state if row.standing else ""
    return _ORDER.index(state), list(AccountType).index(row.account_type), row.client_name, row.trading_pair
