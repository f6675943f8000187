"""One run of a bot as an instance on a server: what we did, and what the server shows of it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.urls import reverse
from django.utils import timezone

from accounts.models import Server
from bots.models.strategy import Strategy, StrategyKind
from bots.strategies.pairs import replace_pair
from bots.strategies.render import KILL_SWITCH
from bots.strategies.schema import live_settings
from core.fields import OrderedJSONField
from core.visibility import OfClientsQuerySet
from hummingbot_api.connectors import AccountType, market_of
from hummingbot_api.names import DEPLOY_TIMESTAMP
from operations.models import Operation

#: At which loss a controller's bot or one controller of it stops, in the quote asset. Scripts have none.
LIMITS = ("max_global_drawdown_quote", "max_controller_drawdown_quote")
#: The fields that a deployment copies from the bot's definition.
DEFINING_FIELDS = (
    "server_id",
    "profile",
    "connector",
    "trading_pair",
    "strategy_name",
    "strategy_kind",
    "script_name",
    "script_source",
    "config",
    "image",
    "headless",
    *LIMITS,
)


class BotState(models.TextChoices):
    """What the server last showed of a deployment."""

    PLANNED = "planned", "not sent yet"
    UNCONFIRMED = "unconfirmed", "unconfirmed"
    STARTING = "starting", "starting"
    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    STOPPED = "stopped", "stopped"
    UNRESPONSIVE = "unresponsive", "unresponsive"
    CRASHED = "crashed", "crashed"
    NOT_LISTED = "not_listed", "not listed"
    GONE = "gone", "gone"
    ARCHIVED = "archived", "archived"
    NOT_CREATED = "not_created", "not created"
    UNKNOWN = "unknown", "unknown"


class Trouble(models.TextChoices):
    """What keeps a bot that is up and connected from quoting."""

    ORDERS_REJECTED = "orders_rejected", "orders rejected"
    NOT_READY = "not_ready", "exchange not ready"
    NO_BALANCE = "no_balance", "balance too low"


#: An exchange may take a moment to get ready.
NOT_READY_FOR = timedelta(minutes=2)


def shown_state(now: datetime, prefix: str = "") -> Case:
    """Return the state that is shown as an expression, see ``Deployment.state``.

    Args:
        prefix: the lookup that leads to the deployment, such as ``deployment__``.
    """
    not_seen = {"sent_at__isnull": False, "ended_at": None, "observed_at__lt": _seen_since(now)}
    return Case(
        When(**{f"{prefix}{name}": value for name, value in not_seen.items()}, then=Value(BotState.UNKNOWN.value)),
        default=F(f"{prefix}observed_state"),
        output_field=models.CharField(),
    )


def _seen_since(now: datetime) -> datetime:
    return now - timedelta(seconds=settings.FLEET["STALE"])


class DeploymentQuerySet(OfClientsQuerySet["Deployment"]):
    account_manager = "bot__client__account_manager"

    def open(self) -> Self:
        """Return those that were sent to a server and have not ended."""
        return self.filter(sent_at__isnull=False, ended_at__isnull=True)

    def one_per_market(self) -> Self:
        """Return one deployment for each market of these: of a server, a connector and a trading pair."""
        markets = self.order_by().values("server", "connector", "trading_pair")
        return self.filter(pk__in=markets.annotate(first=models.Min("pk")).values("first"))

    def in_markets_of(self, others: Iterable["Deployment"]) -> Self:
        """Return those of these that are in the same market as one of the others."""
        markets = (
            Q(server=other.server_id, connector=other.connector, trading_pair=other.trading_pair) for other in others
        )
        return self.filter(reduce(or_, markets, Q(pk__in=[])))

    def crashed_beside(self, deployment: "Deployment") -> Self:
        """Return those of the client's other bots in its market whose container is not up, and that may have orders."""
        in_market = self.open().filter(
            bot__client=deployment.bot.client_id,
            connector=deployment.connector,
            trading_pair=deployment.trading_pair,
            observed_state__in=(BotState.CRASHED, BotState.NOT_LISTED),
            exposed_since__isnull=False,
        )
        return in_market.exclude(bot=deployment.bot_id).select_related("bot")


class Deployment(models.Model):
    """One run of a bot as an instance on a server: what we did, and apart from that what the server shows of it."""

    bot = models.ForeignKey("bots.Bot", on_delete=models.PROTECT, related_name="deployments")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="deployments")
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="deployment")
    requested_name = models.CharField(max_length=160)
    instance_name = models.CharField(max_length=180, blank=True, help_text="The server's name for the instance.")

    profile = models.CharField("credentials profile", max_length=80)
    connector = models.CharField(max_length=80)
    trading_pair = models.CharField(max_length=40)
    strategy_name = models.CharField("strategy", max_length=60)
    strategy_kind = models.CharField("strategy type", max_length=10, choices=StrategyKind)
    script_name = models.CharField("uploaded script", max_length=80, blank=True)
    script_source = models.TextField(blank=True)
    config_name = models.CharField("configuration name", max_length=160)
    config = OrderedJSONField("configuration", default=dict)
    image = models.CharField(max_length=200)
    headless = models.BooleanField(default=True)
    max_global_drawdown_quote = models.DecimalField(
        "global drawdown limit", max_digits=20, decimal_places=8, null=True, help_text="In the quote asset."
    )
    max_controller_drawdown_quote = models.DecimalField(
        "controller drawdown limit", max_digits=20, decimal_places=8, null=True, help_text="In the quote asset."
    )
    key_fingerprint = models.CharField(
        max_length=32, blank=True, help_text="Of the exchange key that was copied into the instance."
    )

    seen_before = models.JSONField(
        default=list,
        help_text="Containers with its name that existed before the deploy was sent. They are not its own.",
    )
    planned_at = models.DateTimeField("planned", default=timezone.now)
    sent_at = models.DateTimeField("deploy sent", null=True, help_text="Written just before the deploy is sent.")
    started_at = models.DateTimeField("started", null=True, help_text="The latest deploy or start.")
    verified_at = models.DateTimeField("first connected", null=True)
    stopped_at = models.DateTimeField(
        "stopped", null=True, help_text="When its log first showed that it stopped, regardless of who stopped it."
    )
    exposed_since = models.DateTimeField(
        "may have orders since",
        null=True,
        help_text="Since when it may have orders at its exchange. Empty once they are confirmed as cancelled.",
    )
    open_orders = models.JSONField(
        default=list, help_text="Its open orders, as last shown in its log. See ``bots.orders.OpenOrder``."
    )
    open_orders_complete = models.BooleanField(
        default=True, help_text="Whether its log is complete, so that it has no other open orders."
    )
    connected_at = models.DateTimeField(
        null=True, help_text="When its latest run connected, by its log. On the bot's clock."
    )
    stop_wanted_at = models.DateTimeField(
        null=True, help_text="When a stop was requested before its instance had appeared."
    )
    log_read_to = models.DateTimeField(null=True, help_text="The latest general entry of its log. On the bot's clock.")
    run_began_after = models.DateTimeField(
        null=True,
        help_text="Log entries up to this one belong to an earlier run of its container. On the bot's clock.",
    )
    kill_switch_before = models.BooleanField(
        null=True, help_text="Its kill switch before a recovery set it. Empty when no recovery is in progress."
    )
    paused_at = models.DateTimeField("paused", null=True, help_text="A pause, confirmed by the bot's log.")
    archive_sent_at = models.DateTimeField(
        "archive sent", null=True, help_text="Written just before the archive is sent."
    )
    ended_at = models.DateTimeField("ended", null=True)

    observed_state = models.CharField(max_length=12, choices=BotState, default=BotState.PLANNED)
    observed_at = models.DateTimeField("seen", default=timezone.now)
    live_config = OrderedJSONField(
        "live configuration", default=dict, help_text="The content of the instance's own file when it was last read."
    )
    live_config_at = models.DateTimeField("read", null=True)
    logs_read_at = models.DateTimeField(null=True)
    trouble = models.CharField(
        max_length=20, choices=Trouble, blank=True, help_text="What keeps it from quoting, by its log."
    )
    trouble_reason = models.TextField(blank=True)
    trouble_since = models.DateTimeField(null=True)
    last_error = models.TextField(
        blank=True, help_text="The latest error in the bot's log, or the cause of its failure."
    )
    last_error_at = models.DateTimeField(null=True)
    pnl_quote = models.FloatField("profit and loss", null=True, help_text="In the quote asset; controllers only.")
    volume_quote = models.FloatField("volume", null=True, help_text="In the quote asset; controllers only.")

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            # What must never happen: two instances of one bot. No deploy is sent before this row is written.
            models.UniqueConstraint(
                fields=["bot"],
                condition=Q(sent_at__isnull=False, ended_at__isnull=True),
                name="unique_open_deployment_per_bot",
            ),
            models.UniqueConstraint(
                fields=["server", "instance_name"],
                condition=~Q(instance_name=""),
                name="unique_instance_name_per_server",
            ),
        ]
        indexes = [models.Index(fields=["server", "ended_at"])]

    def __str__(self) -> str:
        return self.instance_name or self.requested_name

    def get_absolute_url(self) -> str:
        return reverse("admin:bots_deployment_change", args=[self.pk])

    @property
    def state(self) -> BotState:
        """What is shown: the observed state, or unknown when it was not seen lately."""
        age = timezone.now() - self.observed_at
        if self.is_open and age > timedelta(seconds=settings.FLEET["STALE"]):
            return BotState.UNKNOWN
        return BotState(self.observed_state)

    @property
    def contact_word(self) -> str:
        """What its newest time is: a bot that does not respond was looked at then, and gave no sign of life."""
        return "last contact" if self.state in {BotState.RUNNING, BotState.PAUSED} else "checked"

    @property
    def shown_trouble(self) -> Trouble | None:
        """What keeps a running bot from quoting; an exchange that has just started to get ready is not an issue yet."""
        if not self.trouble or self.state != BotState.RUNNING:
            return None
        young = self.trouble_since is not None and timezone.now() - self.trouble_since < NOT_READY_FOR
        return None if self.trouble == Trouble.NOT_READY and young else Trouble(self.trouble)

    @property
    def state_text(self) -> str:
        """The state that is shown, with what keeps a running bot from its work."""
        trouble = self.shown_trouble
        return f"{self.state.label}, {trouble.label}" if trouble else str(self.state.label)

    @property
    def last_error_summary(self) -> str:
        """Its first line, and of a traceback the last one, which names the cause."""
        first, _, rest = self.last_error.strip().partition("\n")
        cause = rest.rpartition("\n")[2].strip()
        return f"{first} … {cause}" if cause else first

    @property
    def is_controller(self) -> bool:
        return self.strategy_kind == StrategyKind.CONTROLLER

    @property
    def quote_asset(self) -> str:
        return self.trading_pair.partition("-")[2]

    @property
    def is_open(self) -> bool:
        return self.sent_at is not None and self.ended_at is None

    def exposed(self) -> datetime | None:
        """Return since when it may have orders at an exchange, if it is up now; simulated ones end with their bot."""
        if market_of(self.connector).account_type is AccountType.PAPER:
            return None
        return self.exposed_since or timezone.now()

    @property
    def may_trade(self) -> bool:
        """Whether its instance trades, or may for all that is known: also when it was not seen lately, or is paused."""
        return self.is_open and self.state not in {BotState.STOPPED, BotState.CRASHED}

    @property
    def is_settled(self) -> bool:
        """Whether it was lately seen stopped, and has left no order that is not accounted for."""
        return self.state == BotState.STOPPED and self.exposed_since is None

    @property
    def is_held(self) -> bool:
        """Whether a user wants it not to quote: it is paused, or a pause is requested and not confirmed yet."""
        switched = self.live_config.get(KILL_SWITCH) if self.kill_switch_before is None else self.kill_switch_before
        return self.paused_at is not None or switched is True

    def is_like(self, planned: "Deployment") -> bool:
        """Whether its instance is what the other one would make, if it is up: by the same definition, with the key of
        now, and not stopped.
        """
        keys = [key.fingerprint for key in planned.bot.client.keys.all() if key.connector == planned.connector]
        has_key_of_now = [self.key_fingerprint] == (keys or [""])
        return self.stopped_at is None and has_key_of_now and self.is_defined_like(planned)

    def is_defined_like(self, other: "Deployment") -> bool:
        return all(getattr(self, name) == getattr(other, name) for name in DEFINING_FIELDS)

    def plan_again(self) -> "Deployment":
        """Return an unsaved copy with the same strategy, settings and image, for the bot's profile and server now."""
        planned = self.bot.plan_deployment()
        identity = {"id": planned.config_name} if self.is_controller else {}
        for name in set(DEFINING_FIELDS) - {"server_id", "profile"}:
            setattr(planned, name, getattr(self, name))
        planned.config = self.config | identity
        return planned

    def plan_as_it_runs(self) -> "Deployment":
        """Return an unsaved copy for its own server, with the settings that were changed live since."""
        planned = self.plan_again()
        planned.server = self.server
        strategy = Strategy.objects.filter(name=self.strategy_name).first()
        changeable = live_settings(strategy.settings_schema) if strategy and self.is_controller else set()
        planned.config |= {name: value for name, value in self.live_config.items() if name in changeable}
        return planned

    def take_spelling(self, pair: str) -> None:
        """Write the pair as its exchange lists it: in what will be sent, and in the bot's definition."""
        self.bot.refresh_from_db(fields=["trading_pair", "settings"])
        if self.bot.trading_pair == self.trading_pair:
            self.bot.take_spelling(pair)
        self.update(trading_pair=pair, config=replace_pair(self.config, self.trading_pair, pair))

    def order(self) -> dict[str, Any]:
        """Return the arguments of the API's ``deploy_script`` or ``deploy_controllers``."""
        common = {
            "instance_name": self.requested_name,
            "credentials_profile": self.profile,
            "image": self.image,
            "headless": self.headless,
        }
        if self.strategy_kind == StrategyKind.SCRIPT:
            return common | {"config_name": self.config_name}
        limits = {name: None if (limit := getattr(self, name)) is None else float(limit) for name in LIMITS}
        return common | {"controllers": [self.config_name]} | limits

    def find_instance(self, container_names: Iterable[str]) -> str:
        """Find this deployment's container: its own, or the one of a deploy that was never answered."""
        if self.instance_name:
            return self.instance_name
        others = set(Deployment.objects.filter(server=self.server_id).values_list("instance_name", flat=True))
        return self.newest_instance(set(container_names) - others)

    def newest_instance(self, free: Iterable[str]) -> str:
        """Return which of these containers can be this one's, the newest of several. They are no other deployment's."""
        mine = [name for name in free if self.is_instance(name) and name not in self.seen_before]
        # The timestamp at the end sorts the newest last.
        return max(mine, default="")

    def is_instance(self, container_name: str) -> bool:
        """Return whether a container on the server can be this deployment's: its name, with the server's timestamp."""
        prefix, rest = self.requested_name, container_name.removeprefix(self.requested_name)
        return container_name.startswith(prefix) and bool(DEPLOY_TIMESTAMP.fullmatch(rest))

    def observe(self, state: BotState, **also: Any) -> None:
        """Record what the server shows now."""
        self.update(observed_state=state, observed_at=timezone.now(), **also)

    def end(self, state: BotState, **also: Any) -> None:
        """Record that the instance is no longer on the server."""
        self.observe(state, ended_at=timezone.now(), **also)

    def update(self, **values: Any) -> None:
        """Set these columns and no others, so that a poll and an operation don't undo each other's."""
        for name, value in values.items():
            setattr(self, name, value)
        Deployment.objects.filter(pk=self.pk).update(**values)
