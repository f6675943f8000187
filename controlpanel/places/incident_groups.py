"""Open incidents of one kind on one server, many at once: “312 bots are unresponsive” is one alert."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.contenttypes.models import ContentType
from django.db.models import Case, Count, Min, OuterRef, Q, QuerySet, Subquery, When
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import Server
from bots.models import Bot
from hummingbot_api.connectors import AccountType, market_of
from notifications.kinds import SAID_OF_MANY, TRADE_ENDING_OPERATIONS
from notifications.models import Incident

#: Up to so many of one kind on one server are named one by one.
NAMED = 5


@dataclass(frozen=True)
class GroupImpact:
    """Whose money it is in a few words, and the place among others: real money first, the most bots first."""

    text: str
    rank: tuple[bool, float]


@dataclass
class IncidentGroup:
    """What is known about a group without reading its incidents."""

    kind: str
    server_id: int
    count: int = 0
    since: datetime | None = None
    acknowledged: int = 0
    by_account_type: dict[AccountType, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.count} {SAID_OF_MANY[self.kind]} on"

    @property
    def impact(self) -> "GroupImpact":
        counts = self.by_account_type
        live = counts.get(AccountType.REAL, 0)
        text = ", ".join(f"{counts[kind]} {kind.value}" for kind in AccountType if kind in counts)
        return GroupImpact(text, (not live, -float(live)))

    @property
    def url(self) -> str:
        """The list of these incidents."""
        query = {"state": "open", "kind__exact": self.kind, "server__id__exact": str(self.server_id)}
        return f"{reverse('admin:notifications_incident_changelist')}?{urlencode(query)}"

    @property
    def condition(self) -> Q:
        return Q(kind=self.kind, server=self.server_id) & ~Q(operation_kind__in=TRADE_ENDING_OPERATIONS)


def groups_of(incidents: QuerySet[Incident]) -> list[IncidentGroup]:
    """Return the groups of these incidents that are too large to be named one by one. One query, which returns a row
    for each kind, server and connector.
    """
    of_bot = Subquery(Bot.objects.order_by().filter(pk=OuterRef("subject_id")).values("connector")[:1])
    connector = Case(When(subject_type=ContentType.objects.get_for_model(Bot), then=of_bot))
    # Each of these may be a bot that trades on against somebody's wish.
    several = incidents.exclude(operation_kind__in=TRADE_ENDING_OPERATIONS)
    rows = several.order_by().annotate(connector=connector).values("kind", "server", "connector").annotate(
        count=Count("pk"), since=Min("seen_at"), acknowledged=Count("acknowledged_at")
    )  # fmt: skip
    found: dict[tuple[str, int], IncidentGroup] = {}
    for row in rows:
        place = row["kind"], row["server"]
        group = found.setdefault(place, IncidentGroup(*place))
        group.count += row["count"]
        group.acknowledged += row["acknowledged"]
        group.since = row["since"] if group.since is None else min(group.since, row["since"])
        if row["connector"]:
            account_type = market_of(row["connector"]).account_type
            group.by_account_type[account_type] = group.by_account_type.get(account_type, 0) + row["count"]
    large = [group for group in found.values() if group.count > NAMED]
    return sorted(large, key=lambda group: -group.count)


def names_of_servers(groups: Sequence[IncidentGroup]) -> dict[int, str]:
    return dict(Server.objects.filter(pk__in={group.server_id for group in groups}).values_list("pk", "name"))
