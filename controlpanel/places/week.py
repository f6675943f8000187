"""The week against the week before: what clients' bots earned and traded, from trades."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import QuerySet

from accounts.models import Client
from core.visibility import AnyUser
from markets.figures.profit import Money, Total, profits, totals
from markets.models import Trade

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class WeekTotal:
    """One kind of money in the last seven days, and in the seven before; ``before`` is ``None`` without a trade."""

    money: Money
    now: Total
    before: Total | None

    @property
    def volume_change(self) -> Decimal | None:
        """A fraction of the volume before; ``None`` when there was none."""
        if self.before is None or not self.before.volume:
            return None
        return self.now.volume / self.before.volume - 1


def week_of(user: AnyUser, now: datetime) -> list[WeekTotal]:
    """Return the week of all clients that the user sees, live accounts first. A fixed number of queries."""
    return weeks_of(Client.objects.visible_to(user), now)


def weeks_of(clients: QuerySet[Client] | Sequence[Client], now: datetime) -> list[WeekTotal]:
    """Return the week of these clients."""
    trades = Trade.objects.filter(client__in=clients)
    this = {total.money: total for total in totals(profits(trades, now - WEEK, now, now))}
    last = {total.money: total for total in totals(profits(trades, now - 2 * WEEK, now - WEEK, now))}
    return [WeekTotal(money, this.get(money) or Total(money), last.get(money)) for money in {**this, **last}]
