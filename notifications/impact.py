"""What an incident puts at risk: which bots, whose money and how much, and how many orders. Read from stored data."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import OuterRef, Q, Subquery, prefetch_related_objects

from accounts.models import Balance, Client, CredentialsProfile, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, OrphanedOrders
from core.exchanges import title_of
from core.visibility import OfClientsQuerySet
from hummingbot_api.connectors import AccountType, market_of
from markets.models import Obligation
from notifications.models import Incident


@dataclass(frozen=True)
class AffectedBot:
    """One of the bots that an incident is about.

    Attributes:
        orders: how many may be open at the exchange; ``None`` if there may be some, and nobody knows how many.
        left_orders: whether an instance of it left some that nobody has dealt with.
        balance: what its account holds at its exchange, in US dollars by the server's prices; ``None`` if unknown.
            Other bots may trade the same account.
    """

    bot: Bot
    orders: int | None
    left_orders: bool
    balance: float | None

    @property
    def deployment(self) -> Deployment | None:
        return self.bot.deployment

    @property
    def connector(self) -> str:
        return self.bot.trades_on

    @property
    def account_type(self) -> AccountType:
        return market_of(self.connector).account_type

    @property
    def is_live(self) -> bool:
        return self.account_type is AccountType.REAL

    @property
    def market(self) -> str:
        pair = self.deployment.trading_pair if self.deployment and self.deployment.is_open else self.bot.trading_pair
        return f"{pair} on {title_of(self.connector)}"

    @property
    def account(self) -> tuple[int, str]:
        """What identifies the money: bots of one client at one exchange share it."""
        return self.bot.client_id, self.connector

    @property
    def risk(self) -> str:
        """What may go on at the exchange meanwhile, in a few words."""
        if self.left_orders or (self.orders != 0 and not (self.deployment and self.deployment.may_trade)):
            return _orders(self.orders)
        if self.deployment is None or not self.deployment.is_open:
            return "no instance"
        if self.deployment.state == BotState.RUNNING and self.deployment.server.reachable:
            return "trading"
        return "may still be trading" if self.deployment.may_trade else "no open orders"


#: How a risk of some bots among others is said.
_OF_SEVERAL = {
    "orders may still be open": "with orders that may still be open",
    "no open orders": "without open orders",
    "no instance": "without an instance",
}


def _orders(count: int | None) -> str:
    if count is None:
        return "orders may still be open"
    return f"up to {count} open order{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Impact:
    """What one incident affects.

    Attributes:
        bots: those that its reader may see, live ones first.
        others: how many more there are, which belong to clients of others.
    """

    bots: Sequence[AffectedBot] = ()
    others: int = 0

    @property
    def live(self) -> list[AffectedBot]:
        return [affected for affected in self.bots if affected.is_live]

    @property
    def balance(self) -> float | None:
        """What the live accounts hold together, in US dollars; ``None`` if none of it is known."""
        known = {affected.account: affected.balance for affected in self.live if affected.balance is not None}
        return sum(known.values()) if known else None

    @property
    def rank(self) -> tuple[bool, float]:
        """Its place among others: real money first, the most of it first."""
        return not self.live, -(self.balance or 0.0)

    @property
    def text(self) -> str:
        """Whose money it is, how much, and what may happen to it, in a line; empty if no bot is affected."""
        if not self.bots:
            return self._others()
        parts = [self._who(), self._risks()]
        if self.balance is not None:
            parts.append(f"${self.balance:,.0f} in the account{'' if len(self.live) == 1 else 's'}")
        return " · ".join(filter(None, [*parts, self._others()]))

    def _others(self) -> str:
        if not self.others:
            return ""
        return f"{self.others} bot{'' if self.others == 1 else 's'} of other clients"

    def _who(self) -> str:
        if len(self.bots) == 1:
            [only] = self.bots
            return f"{only.bot.client} · {only.market} · {only.account_type.value}"
        counts = Counter(affected.account_type for affected in self.bots)
        kinds = ", ".join(f"{counts[kind]} {kind.value}" for kind in AccountType if counts[kind])
        clients = {affected.bot.client for affected in self.bots}
        whose = str(*clients) if len(clients) == 1 else f"{len(clients)} clients"
        return f"{kinds} bots of {whose}"

    def _risks(self) -> str:
        """The risk of the live bots, or else of all: simulated orders are nobody's."""
        risks = Counter(affected.risk for affected in self.live or self.bots)
        if len(risks) == 1:
            return next(iter(risks))
        return ", ".join(f"{count} {_OF_SEVERAL.get(risk, risk)}" for risk, count in risks.most_common())


#: Of what affects no bot.
NO_IMPACT = Impact()


def impacts(incidents: Collection[Incident], visible: "OfClientsQuerySet[Bot]") -> dict[int, Impact]:
    """Return what each of the incidents affects, by its primary key. A fixed number of queries.

    Args:
        visible: the bots that the reader may see.
    """
    wanted = reduce(or_, map(_bots_of, incidents), Q(pk__in=[]))
    prefetch_related_objects([incident for incident in incidents if incident.client_id], "subject")
    related = visible.filter(wanted).select_related("client", "deployment__server")
    bots = list(related.defer("deployment__server__password", "deployment__server__connectors"))
    balances, orphaned = _balances({bot.client_id for bot in bots}), _orphaned(bots)
    affected = [_affected(bot, balances, orphaned) for bot in bots]
    on_server = _instances_on({incident.server_id for incident in incidents if _is_about(incident, Server)})
    return {incident.pk: _impact(incident, affected, on_server) for incident in incidents}


def impact_of(incident: Incident, visible: "OfClientsQuerySet[Bot]") -> Impact:
    return impacts([incident], visible)[incident.pk]


def _impact(incident: Incident, affected: Iterable[AffectedBot], on_server: Counter[int]) -> Impact:
    concerned = sorted(
        (found for found in affected if _concerns(incident, found.bot)),
        key=lambda found: (not found.is_live, -(found.balance or 0.0), found.bot.name),
    )
    others = on_server[incident.server_id] - len(concerned) if _is_about(incident, Server) else 0
    return Impact(tuple(concerned), max(0, others))


def _is_about(incident: Incident, model: type[Any]) -> bool:
    return incident.subject_type_id == ContentType.objects.get_for_model(model).pk


def _bots_of(incident: Incident) -> Q:
    """Return which bots an incident is about, as a condition."""
    if _is_about(incident, Bot):
        return Q(pk=incident.subject_id)
    if _is_about(incident, Server):
        return Q(deployment__server=incident.server_id, deployment__ended_at=None, deployment__sent_at__isnull=False)
    if _is_about(incident, Client) or _is_about(incident, ExchangeKey) or _is_about(incident, Obligation):
        return Q(client=incident.client_id)
    return Q(pk__in=[])


def _concerns(incident: Incident, bot: Bot) -> bool:
    """Return the same of a bot at hand, and for keys and obligations whether it trades there."""
    if _is_about(incident, Bot):
        return bot.pk == incident.subject_id
    instance = bot.open_deployment
    if _is_about(incident, Server):
        return instance is not None and instance.server_id == incident.server_id
    if bot.client_id != incident.client_id or instance is None:
        return False
    subject = incident.subject
    if isinstance(subject, ExchangeKey):
        return instance.connector == subject.connector
    if isinstance(subject, Obligation):
        return (instance.connector, instance.trading_pair) == (subject.connector, subject.trading_pair)
    return isinstance(subject, Client)


def _affected(bot: Bot, balances: dict[tuple[int, str], float], orphaned: dict[int, int | None]) -> AffectedBot:
    orders: int | None = 0
    deployment = bot.deployment
    if bot.pk in orphaned:
        orders = orphaned[bot.pk]
    elif deployment is not None and deployment.exposed_since is not None:
        orders = len(deployment.open_orders) if deployment.open_orders_complete and deployment.open_orders else None
    return AffectedBot(bot, orders, bot.pk in orphaned, balances.get((bot.client_id, bot.trades_on)))


def _orphaned(bots: Collection[Bot]) -> dict[int, int | None]:
    """Return how many orders each bot's instances left; ``None`` where they are not known one by one."""
    records = OrphanedOrders.objects.unresolved().filter(deployment__bot__in=bots).select_related("deployment")
    found: dict[int, int | None] = {}
    for record in records:
        before, more = found.get(record.deployment.bot_id, 0), len(record.open_orders) or None
        found[record.deployment.bot_id] = None if before is None or more is None else before + more
    return found


def _balances(clients: Collection[int]) -> dict[tuple[int, str], float]:
    """Return what each client's account holds at each exchange, in US dollars, by the last reading."""
    newest = Balance.objects.filter(profile=OuterRef("pk"), holdings__isnull=False).order_by("-taken_at")
    profiles = CredentialsProfile.objects.filter(client__in=clients).annotate(newest=Subquery(newest.values("pk")[:1]))
    rows = Balance.objects.filter(pk__in=profiles.values("newest")).select_related("profile")
    found: dict[tuple[int, str], float] = {}
    for balance in rows:
        for connector, tokens in (balance.holdings or {}).items():
            key = balance.profile.client_id, connector
            found[key] = found.get(key, 0.0) + sum(token["value"] or 0.0 for token in tokens)
    return found


def _instances_on(servers: Collection[int]) -> Counter[int]:
    return Counter(Deployment.objects.open().filter(server__in=servers).order_by().values_list("server", flat=True))
