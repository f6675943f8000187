"""What trades: strategies, bots (what we want), deployments (what we did, and what the server shows of it)."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, Server, sees_every_client
from bots import records  # noqa: F401  Django finds an app's models from here
from bots.differences import Difference, Row, compare
from bots.fields import OrderedJSONField
from bots.problems import BotLive
from bots.rules import TradingRules
from bots.strategies.render import KILL_SWITCH, MARKET, RESERVED, controller_config, script_config
from bots.strategies.schema import live_settings, schema_error, schema_from, setting_errors
from bots.strategies.source import read_script
from hummingbot_api.connectors import is_paper_trade, market_of
from hummingbot_api.errors import InvalidName
from hummingbot_api.names import DEPLOY_TIMESTAMP, check_name, slug
from operations.models import Operation
from operations.problems import OperationActive

#: Every instance has this prefix: the server removes crashed containers only of that name.
INSTANCE_PREFIX = "hummingbot"
DEFAULT_IMAGE = "hummingbot/hummingbot:latest"
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]*")
#: Hummingbot's own, with a tag, a digest or both.
_OFFICIAL_IMAGE = re.compile(r"hummingbot/hummingbot(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", re.ASCII)
_RESERVED_NAMES = "Leave out {}: the panel writes that itself."
_PAIR = re.compile(r"([A-Z0-9.:]+)-([A-Z0-9.:]+)")


class StrategyKind(models.TextChoices):
    SCRIPT = "script", "script"
    CONTROLLER = "controller", "controller"


def validate_controller(value: str) -> None:
    try:
        check_name(value, "a controller")
    except InvalidName as problem:
        raise ValidationError(problem.message, code=problem.code) from None


class Strategy(models.Model):
    """A script that the panel uploads, or a controller that the server has, with its settings and their rules."""

    name = models.SlugField(
        max_length=60, unique=True, help_text="For a controller the server's name for it, unless that is given below."
    )
    kind = models.CharField(max_length=10, choices=StrategyKind, default=StrategyKind.SCRIPT)
    controller_name = models.CharField(
        max_length=255,
        blank=True,
        validators=[validate_controller],
        help_text="For a controller: the server's name for it, where the strategy has another.",
    )
    description = models.CharField(max_length=300, blank=True)
    source = models.TextField(
        blank=True,
        help_text="For a script: Python source with a class on StrategyV2Base and one on StrategyV2ConfigBase.",
    )
    controller_type = models.CharField(
        max_length=40,
        blank=True,
        help_text="For a controller: generic, market_making or directional_trading.",
    )
    default_settings = OrderedJSONField(default=dict, blank=True)
    schema = OrderedJSONField(
        "settings schema",
        default=dict,
        blank=True,
        help_text="JSON Schema of the settings. Left empty, a script's config class says which there are. It may "
        "say which of them are amounts, to be checked against the exchange's trading rules: see docs/settings.md.",
    )
    template = OrderedJSONField(
        default=list, editable=False, help_text="What a server told of the controller when the schema was made of it."
    )
    spot_only = models.BooleanField(
        default=False, help_text="Refuses perpetual connectors: with leverage a position can outgrow the balance."
    )
    bundled = models.BooleanField(
        default=False, editable=False, help_text="Comes with the product and is updated with it."
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "strategies"
        permissions = [("write_script", "Can add and change scripts: code that runs with clients' keys")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:bots_strategy_change", args=[self.pk])

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        if self.kind == StrategyKind.SCRIPT:
            if problems := read_script(self.source).problems:
                errors["source"] = list(problems)
        elif not self.controller_type:
            errors["controller_type"] = "A controller needs its type."
        if problem := schema_error(self.schema):
            errors["schema"] = problem
        elif taken := [
            name for name in self.schema.get("properties", {}) if name in (*RESERVED, *self.market_settings)
        ]:
            errors["schema"] = _RESERVED_NAMES.format(", ".join(taken))
        if not isinstance(self.default_settings, dict):
            errors["default_settings"] = "Settings are a group of names and values."
        elif taken := [name for name in RESERVED if name in self.default_settings]:
            errors["default_settings"] = _RESERVED_NAMES.format(", ".join(taken))
        if errors:
            raise ValidationError(errors)

    @property
    def server_name(self) -> str:
        """A controller's name on servers."""
        return self.controller_name or self.name

    @property
    def market_settings(self) -> tuple[str, ...]:
        """Where the controller expects the bot's connector and trading pair; empty when it has no place for them."""
        return tuple(self.schema.get("market", MARKET))

    @property
    def settings_schema(self) -> dict[str, Any]:
        """JSON Schema of the settings: as entered, or as the script's config class or the defaults tell it."""
        return self.schema or read_script(self.source).schema or schema_from(self.default_settings)

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings that a bot gets when it does not say otherwise."""
        properties = self.settings_schema.get("properties", {})
        return {name: s["default"] for name, s in properties.items() if "default" in s} | self.default_settings

    @property
    def script_name(self) -> str:
        """The script's name on servers. It holds a hash of the source, so that an upload never changes what a
        running bot loads at its next start.
        """
        return f"{self.name}_{hashlib.sha256(self.source.encode()).hexdigest()[:8]}"


def normalise_pair(text: str) -> str:
    """``SHARP/USDT``, ``sharp-usdt`` and ``SHARP-USDT`` all become ``SHARP-USDT``.

    Raises:
        ValidationError: it is not a base and a quote asset.
    """
    pair = re.sub(r"\s*[/_-]\s*", "-", text.strip().upper())
    match = _PAIR.fullmatch(pair)
    if not match or match[1] == match[2]:
        raise ValidationError("Write the base and the quote asset with a dash between: SHARP-USDT.")
    return pair


def validate_image(value: str) -> None:
    if not _IMAGE.fullmatch(value):
        raise ValidationError(f"This is not the name of a Docker image, such as {DEFAULT_IMAGE}.")


def validate_image_choice(user: Any, image: str) -> None:
    """May the user have bots run this image? Hummingbot's own anyone may, and one that is in use already.

    The server hands each container its config password, the host's network and every bot's scripts to write to: who
    chooses an image has code run with all clients' keys, like one who writes a script.

    Raises:
        ValidationError
    """
    if _OFFICIAL_IMAGE.fullmatch(image) or user.has_perm("bots.write_script"):
        return
    if not Bot.objects.filter(image=image).exists():
        raise ValidationError(
            f"Choose an image of Hummingbot's own, such as {DEFAULT_IMAGE}: another one runs with every client's keys. "
            "Who may write scripts can give it to a first bot; then it can be chosen for others."
        )


#: What a deployment takes over from the bot's definition.
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
    "max_global_drawdown_quote",
    "max_controller_drawdown_quote",
)

#: What operations and the poll write about a bot, each with an UPDATE of its own.
OBSERVED = {"deployment", "strangers"}


class BotQuerySet(models.QuerySet["Bot"]):
    def visible_to(self, user: Any) -> Self:
        return self if sees_every_client(user) else self.filter(client__account_manager=user)


class Bot(models.Model):
    """The definition of a bot: what we want. What was done about it is in its deployments."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="bots")
    name = models.CharField(max_length=60, help_text="Any name, also with spaces: the server gets a safe one.")
    server = models.ForeignKey(
        Server,
        on_delete=models.PROTECT,
        related_name="bots",
        blank=True,
        help_text="The client's by default.",
    )
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="bots")
    connector = models.CharField(max_length=80, help_text="Hummingbot's name for the exchange.")
    trading_pair = models.CharField(
        max_length=40, help_text="Base and quote asset: SHARP-USDT. SHARP/USDT is understood too."
    )
    settings = OrderedJSONField(default=dict, blank=True)
    image = models.CharField(max_length=200, default=DEFAULT_IMAGE, validators=[validate_image])
    headless = models.BooleanField(
        default=True, help_text="Without a terminal. Only a headless bot connects to MQTT by itself."
    )
    max_global_drawdown_quote = models.DecimalField(
        "global drawdown limit",
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="Controllers only: stops the whole bot at this loss, in the quote asset.",
    )
    max_controller_drawdown_quote = models.DecimalField(
        "controller drawdown limit",
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="Controllers only: stops one controller at this loss, in the quote asset.",
    )
    deployment = models.ForeignKey(
        "Deployment",
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The newest one that was sent to a server.",
    )
    strangers = models.TextField(
        blank=True, editable=False, help_text="Live instances with the bot's name that the panel did not deploy."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BotQuerySet.as_manager()

    class Meta:
        ordering = ["client__name", "name"]
        permissions = [
            ("deploy_bot", "Can deploy and redeploy bots"),
            ("start_bot", "Can start stopped bots again"),
            ("stop_bot", "Can stop bots"),
            ("archive_bot", "Can archive the instances of bots"),
            ("declare_gone", "Can declare that a bot's instance is gone from its server"),
            ("change_live_settings", "Can change, pause and resume running bots"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"],
                name="bot_name_stands_once_for_a_client",
                violation_error_message="This client has a bot of that name already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.client} · {self.name}"

    def save(self, **options: Any) -> None:
        """Once it is there, save what people define and not what was observed: both may be written at once."""
        if not self._state.adding and options.get("update_fields") is None:
            names = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            options["update_fields"] = names - OBSERVED
        super().save(**options)

    def get_absolute_url(self) -> str:
        return reverse("admin:bots_bot_now", args=[self.pk])

    @property
    def instance_name(self) -> str:
        """The name that instances are asked for with; the server appends a timestamp to it."""
        return f"{INSTANCE_PREFIX}-{self.client.account_name}-{slug(self.name)}"

    @property
    def is_controller(self) -> bool:
        return self.strategy.kind == StrategyKind.CONTROLLER

    @property
    def trades_on(self) -> str:
        """The connector of its instance, or of its definition when it has none: edited since, the two may differ."""
        return self.deployment.connector if self.deployment and self.deployment.is_open else self.connector

    @property
    def trading_rules(self) -> TradingRules | None:
        """What the exchange asks of the bot's orders, when a server has told it."""
        return TradingRules.objects.of(self.server, self.connector, self.trading_pair)

    @property
    def open_deployment(self) -> "Deployment | None":
        """The deployment whose instance is on a server, or may be."""
        return self.deployment if self.deployment and self.deployment.is_open else None

    @property
    def remedy_for_strangers(self) -> str:
        """What to do about another instance with the bot's name, which the panel never touches."""
        first, *others = self.strangers.split(", ")
        then = f" Then do the same with {', '.join(others)}." if others else ""
        return (
            f"Archive {first} with the tool that deployed it, or ask the API of {self.server} for it: POST "
            f"/bot-orchestration/stop-and-archive-bot/{first}. Where neither works, run “docker stop {first}” on that "
            f"server's host, and cancel its orders at the exchange.{then}"
        )

    @property
    def live_settings(self) -> set[str]:
        """The names of the settings that the instance takes over while it runs.

        None for a script, which reads its settings at its start, nor when the definition is for another market or of
        another strategy by now: an amount that is meant for one token must not reach the orders of another.
        """
        instance = self.open_deployment
        if instance is None or not instance.is_controller:
            return set()
        made_for = (instance.server_id, instance.connector, instance.trading_pair, instance.strategy_name)
        if made_for != (self.server_id, self.connector, self.trading_pair, self.strategy.name):
            return set()
        return live_settings(self.strategy.settings_schema)

    def compare_settings(self) -> list[Row]:
        """Its settings as saved, as deployed and live; none without an instance."""
        return compare(self, self.open_deployment) if self.open_deployment else []

    def settings_to_apply(self) -> list[Row]:
        """Those that the instance would take over as they are saved now."""
        return [row for row in self.compare_settings() if row.difference == Difference.APPLY]

    @property
    def needs_redeploy(self) -> bool:
        """Whether something of today's definition reaches the instance in no other way."""
        instance = self.open_deployment
        if instance is None:
            return False
        planned, changeable = self.plan_deployment(), self.live_settings
        fixed = [
            {name: value for name, value in deployment.config.items() if name not in changeable}
            for deployment in (planned, instance)
        ]
        others = set(DEFINING_FIELDS) - {"config"}
        return fixed[0] != fixed[1] or any(getattr(instance, name) != getattr(planned, name) for name in others)

    @property
    def has_unsent_changes(self) -> bool:
        """Whether the instance goes by another definition than today's."""
        return self.needs_redeploy or bool(self.settings_to_apply())

    @property
    def has_newer_key(self) -> bool:
        """Whether the live instance holds an exchange key that has been replaced since."""
        instance = self.open_deployment
        if instance is None or not instance.key_fingerprint:
            return False
        keys = (key for key in self.client.keys.all() if key.connector == instance.connector)
        return any(key.fingerprint != instance.key_fingerprint for key in keys)

    def clean_fields(self, exclude: Any = None) -> None:
        if self.client_id and not self.server_id:
            self.server = self.client.server
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude=exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        # A form that has a field for each setting checks them itself, and leaves them out here.
        if self.strategy_id and "settings" not in (exclude or ()):
            if isinstance(self.settings or {}, dict):  # or else it is refused below
                self.settings = self.strategy.defaults | (self.settings or {})
            if wrong := setting_errors(self.strategy.settings_schema, self.settings):
                errors["settings"] = [f"{name}: {sentence}" for name, sentence in wrong.items()]
        if errors:
            raise ValidationError(errors)

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        if not slug(self.name):
            errors["name"] = "The name needs at least one letter (a-z) or digit."
        elif self.client_id and self._shares_its_instance_name():
            errors["name"] = "This client has a bot whose name looks the same to a server."
        try:
            self.trading_pair = normalise_pair(self.trading_pair)
        except ValidationError as error:
            errors["trading_pair"] = error.messages
        if self.server_id and not is_paper_trade(self.connector) and self.server.fields_of(self.connector) is None:
            errors["connector"] = f"{self.server} has no connector “{self.connector}”."
        if self.strategy_id:
            if self.strategy.spot_only and market_of(self.connector).perpetual:
                errors["connector"] = f"The strategy {self.strategy} trades spot markets only: choose a spot connector."
            if not self.is_controller:
                for limit in ("max_global_drawdown_quote", "max_controller_drawdown_quote"):
                    if getattr(self, limit) is not None:
                        errors[limit] = "Only controllers have drawdown limits; this strategy is a script."
        for limit in ("max_global_drawdown_quote", "max_controller_drawdown_quote"):
            if (value := getattr(self, limit)) is not None and value <= 0:
                errors[limit] = "A limit is more than zero, or empty for none."
        if errors:
            raise ValidationError(errors)

    def remove(self) -> None:
        """Delete the definition with what is recorded of its deployments. Its operations stay on record.

        Raises:
            BotLive: an instance of it may be on a server.
            OperationActive: an operation on it has not ended, and may be about to make one.
        """
        with transaction.atomic():
            if active := Operation.objects.of(self).active().first():
                raise OperationActive(active)
            if self.deployments.open().exists():
                raise BotLive(f"{self} has an instance on {self.server}, or may have one.")
            self.deployments.all().delete()
            self.delete()

    def name_for_a_clone(self) -> str:
        """A name that no bot of the client has, nor one that looks the same to a server."""
        taken = set(map(slug, self.client.bots.values_list("name", flat=True)))
        names = (f"{self.name[:50]} copy {number}" if number > 1 else f"{self.name[:50]} copy" for number in count(1))
        return next(name for name in names if slug(name) not in taken)

    def _shares_its_instance_name(self) -> bool:
        others = Bot.objects.filter(client=self.client_id).exclude(pk=self.pk).values_list("name", flat=True)
        return slug(self.name) in map(slug, others)

    def render_config(self, config_name: str) -> dict[str, Any]:
        """The configuration file's content for the server: the market, and the settings with their defaults."""
        market = self.connector, self.trading_pair
        chosen = self.strategy.defaults | self.settings
        if self.is_controller:
            return controller_config(
                config_name,
                self.strategy.controller_type,
                self.strategy.server_name,
                market,
                chosen,
                self.strategy.market_settings,
            )
        return script_config(self.strategy.script_name, market, chosen)

    def plan_deployment(self) -> "Deployment":
        """What a deployment of today's definition would be made of. Not saved."""
        is_script = self.strategy.kind == StrategyKind.SCRIPT
        return Deployment(
            bot=self,
            server=self.server,
            requested_name=self.instance_name,
            profile=self.client.account_name,
            connector=self.connector,
            trading_pair=self.trading_pair,
            strategy_name=self.strategy.name,
            strategy_kind=self.strategy.kind,
            script_name=self.strategy.script_name if is_script else "",
            script_source=self.strategy.source if is_script else "",
            config_name=self.instance_name,
            config=self.render_config(self.instance_name),
            image=self.image,
            headless=self.headless,
            max_global_drawdown_quote=self.max_global_drawdown_quote,
            max_controller_drawdown_quote=self.max_controller_drawdown_quote,
        )


class BotState(models.TextChoices):
    """What the server last showed of a deployment."""

    PLANNED = "planned", "not sent yet"
    UNCONFIRMED = "unconfirmed", "unconfirmed"
    STARTING = "starting", "starting"
    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    STOPPED = "stopped", "stopped"
    SILENT = "silent", "silent"
    CRASHED = "crashed", "crashed"
    MISSING = "missing", "missing"
    ARCHIVED = "archived", "archived"
    NOT_CREATED = "not_created", "not created"
    UNKNOWN = "unknown", "unknown"


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def visible_to(self, user: Any) -> Self:
        return self if sees_every_client(user) else self.filter(bot__client__account_manager=user)

    def open(self) -> Self:
        """Those that were sent to a server and have not ended."""
        return self.filter(sent_at__isnull=False, ended_at__isnull=True)

    def in_state(self, state: str, now: datetime) -> Self:
        """By the state that is shown, see ``Deployment.state``."""
        seen_lately = Q(observed_at__gte=now - timedelta(seconds=settings.FLEET["STALE"]))
        certain = seen_lately | Q(sent_at__isnull=True) | Q(ended_at__isnull=False)
        if state == BotState.UNKNOWN:
            return self.filter(~certain | Q(observed_state=state))
        return self.filter(certain, observed_state=state)


class Deployment(models.Model):
    """One run of a bot as an instance on a server: what we did, and apart from that what the server shows of it."""

    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="deployments")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="deployments")
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="deployment")
    requested_name = models.CharField(max_length=160)
    instance_name = models.CharField(max_length=180, blank=True, help_text="The server's name for it.")

    profile = models.CharField("credentials profile", max_length=80)
    connector = models.CharField(max_length=80)
    trading_pair = models.CharField(max_length=40)
    strategy_name = models.CharField("strategy", max_length=60)
    strategy_kind = models.CharField("kind of strategy", max_length=10, choices=StrategyKind)
    script_name = models.CharField("uploaded script", max_length=80, blank=True)
    script_source = models.TextField(blank=True)
    config_name = models.CharField("configuration's name", max_length=160)
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
        default=list, help_text="Containers with its name that were there before the deploy was sent: not its own."
    )
    planned_at = models.DateTimeField("planned", default=timezone.now)
    sent_at = models.DateTimeField("deploy sent", null=True, help_text="Written just before.")
    started_at = models.DateTimeField("started", null=True, help_text="The last deploy or start.")
    verified_at = models.DateTimeField("first heard", null=True)
    stopped_at = models.DateTimeField(
        "stopped", null=True, help_text="When its log was first seen to say that it stopped, whoever stopped it."
    )
    paused_at = models.DateTimeField("paused", null=True, help_text="A pause, confirmed by the bot's log.")
    archive_sent_at = models.DateTimeField("archive sent", null=True, help_text="Written just before.")
    ended_at = models.DateTimeField("ended", null=True)

    observed_state = models.CharField(max_length=12, choices=BotState, default=BotState.PLANNED)
    observed_at = models.DateTimeField("seen", default=timezone.now)
    live_config = OrderedJSONField(
        "live configuration", default=dict, help_text="What the instance's own file held when it was read last."
    )
    live_config_at = models.DateTimeField("read", null=True)
    logs_read_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, help_text="The newest error in the bot's log, or why it failed.")
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
                name="one_open_deployment_for_a_bot",
            ),
            models.UniqueConstraint(
                fields=["server", "instance_name"],
                condition=~Q(instance_name=""),
                name="one_deployment_for_an_instance",
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
    def is_controller(self) -> bool:
        return self.strategy_kind == StrategyKind.CONTROLLER

    @property
    def quote_asset(self) -> str:
        return self.trading_pair.partition("-")[2]

    @property
    def is_open(self) -> bool:
        return self.sent_at is not None and self.ended_at is None

    @property
    def is_held(self) -> bool:
        """Whether somebody wants it not to quote: paused, or told to pause and not confirmed yet."""
        return self.paused_at is not None or self.live_config.get(KILL_SWITCH) is True

    def plan_again(self) -> "Deployment":
        """The same strategy, settings and image once more, for today's profile and server of the bot. Not saved."""
        planned = self.bot.plan_deployment()
        identity = {"id": planned.config_name} if self.is_controller else {}
        for name in set(DEFINING_FIELDS) - {"server_id", "profile"}:
            setattr(planned, name, getattr(self, name))
        planned.config = self.config | identity
        return planned

    def plan_as_it_runs(self) -> "Deployment":
        """The same once more, on its own server, with the settings that were changed live since. Not saved."""
        planned = self.plan_again()
        planned.server = self.server
        strategy = Strategy.objects.filter(name=self.strategy_name).first()
        changeable = live_settings(strategy.settings_schema) if strategy and self.is_controller else set()
        planned.config |= {name: value for name, value in self.live_config.items() if name in changeable}
        return planned

    def order(self) -> dict[str, Any]:
        """What the server is asked for: the arguments of the API's ``deploy_script`` or ``deploy_controllers``."""
        common = {
            "instance_name": self.requested_name,
            "credentials_profile": self.profile,
            "image": self.image,
            "headless": self.headless,
        }
        if self.strategy_kind == StrategyKind.SCRIPT:
            return common | {"config_name": self.config_name}
        limits = {
            name: None if (limit := getattr(self, name)) is None else float(limit)
            for name in ("max_global_drawdown_quote", "max_controller_drawdown_quote")
        }
        return common | {"controllers": [self.config_name]} | limits

    def find_instance(self, container_names: Iterable[str]) -> str:
        """Which container is this deployment's: its own, or what came of a deploy that was never answered."""
        if self.instance_name:
            return self.instance_name
        others = set(Deployment.objects.filter(server=self.server_id).values_list("instance_name", flat=True))
        mine = [name for name in container_names if self.is_instance(name) and name not in self.seen_before]
        # The timestamp at the end sorts the newest last.
        return max(set(mine) - others, default="")

    def is_instance(self, container_name: str) -> bool:
        """Whether a container on the server can be this deployment's: its name, with the server's timestamp."""
        prefix, rest = self.requested_name, container_name.removeprefix(self.requested_name)
        return container_name.startswith(prefix) and bool(DEPLOY_TIMESTAMP.fullmatch(rest))

    def observe(self, state: BotState, **also: Any) -> None:
        """Write down what the server shows now."""
        self.update(observed_state=state, observed_at=timezone.now(), **also)

    def end(self, state: BotState, **also: Any) -> None:
        """Nothing of it is on the server any more."""
        self.observe(state, ended_at=timezone.now(), **also)

    def update(self, **values: Any) -> None:
        """Set these columns and no others, so that a poll and an operation don't undo each other's."""
        for name, value in values.items():
            setattr(self, name, value)
        Deployment.objects.filter(pk=self.pk).update(**values)
