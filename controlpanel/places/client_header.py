"""What stands above each of a client's pages."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts.balances.portfolio import valuations
from accounts.models import Client, ExchangeKey
from bots.models import Deployment
from markets.figures.quotes_now import QuotingCount, count_quoting, open_bots
from markets.models import Obligation
from markets.obligations.standing import standings


@dataclass(frozen=True)
class ClientHeader:
    """What stands above each of a client's pages.

    Attributes:
        balance: the value of its live accounts in US dollars, by the servers' last prices; ``None`` if unknown.
        quoting: by account type.
        obligations: how many are in each state, what is wrong first.
        next_key: the key that expires first, if any has a last day.
        has_bots: whether there is something to stop.
    """

    client: Client
    balance: float | None
    quoting: Sequence[QuotingCount]
    obligations: Sequence[tuple[str, int]]
    next_key: ExchangeKey | None
    has_bots: bool


def header_of(client: Client) -> ClientHeader:
    """Return the header. A fixed number of queries."""
    now = timezone.now()
    deployments = Deployment.objects.filter(bot__client=client)
    held = valuations(client.profiles.all(), now - timedelta(days=1))
    states = Counter(
        str(standing.state_text) for standing in standings(Obligation.objects.active().filter(client=client), now)
    )
    return ClientHeader(
        client=client,
        balance=sum(worth.now.value for worth in held) if held else None,
        quoting=count_quoting(open_bots(deployments, now)),
        obligations=sorted(states.items()),
        next_key=client.keys.filter(expires_on__isnull=False).order_by("expires_on").first(),
        has_bots=deployments.open().exists(),
    )
