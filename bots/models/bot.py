"""The definition of a bot: the desired state."""

import json
from itertools import count
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import Client, Server
from bots.models.deployment import DEFINING_FIELDS, LIMITS, Deployment
from bots.models.docker_image import DEFAULT_IMAGE, validate_image
from bots.models.restarting import OBSERVED_RESTARTS, RESTARTING, Restarting
from bots.models.strategy import Strategy, StrategyKind
from bots.models.trading_rules import TradingRules
from bots.problems import BotLive, ClientOffboarded, DefinitionInvalid, OrdersMayBeOpen
from bots.strategies.comparison import Difference, Row, compare
from bots.strategies.pairs import replace_pair
from bots.strategies.render import controller_config, script_config
from bots.strategies.schema import live_settings, setting_errors
from core.exchanges import connector_like, title_of
from core.fields import OrderedJSONField
from core.input.one_line import validate_one_line
from core.visibility import OfClientsQuerySet
from hummingbot_api.connectors import PAPER_TRADE, is_paper_trade, market_of
from hummingbot_api.names import slug
from operations.models import Operation

#: Every instance has this prefix: the server removes crashed containers only of that name.
INSTANCE_PREFIX = "hummingbot"
#: The fields of a definition, besides its client and its name.
DEFINITION = ("server", "strategy", "connector", "trading_pair", "settings", "image", "headless", *LIMITS, *RESTARTING)
#: What operations and the poll record about a bot, each with an UPDATE of its own.
OBSERVED = {"deployment", "compared_at", "differs", "runs_older_key", *OBSERVED_RESTARTS}


def _drawdown_limit(name: str, stopped: str) -> models.DecimalField:
    help_text = f"Controllers only. Stops {stopped} at this loss, in the quote asset."
    return models.DecimalField(name, max_digits=20, decimal_places=8, null=True, blank=True, help_text=help_text)


class Bot(Restarting):
    """The definition of a bot: the desired state. Its deployments record what was done."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="bots")
    name = models.CharField(
        max_length=60,
        validators=[validate_one_line],
        help_text="Any name, spaces included. The server gets a safe version of it.",
    )
    server = models.ForeignKey(
        Server,
        on_delete=models.PROTECT,
        related_name="bots",
        blank=True,
        help_text="Defaults to the client's server.",
    )
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="bots")
    connector = models.CharField(max_length=80, help_text="Hummingbot's name for the exchange.")
    trading_pair = models.CharField(max_length=40, help_text="For example SHARP-USDT or SHARP/USDT.")
    settings = OrderedJSONField(default=dict, blank=True)
    image = models.CharField(max_length=200, default=DEFAULT_IMAGE, validators=[validate_image])
    headless = models.BooleanField(
        default=True, help_text="Runs without a terminal. Only a headless bot connects to MQTT automatically."
    )
    max_global_drawdown_quote = _drawdown_limit("global drawdown limit", "the whole bot")
    max_controller_drawdown_quote = _drawdown_limit("controller drawdown limit", "one controller")
    deployment = models.ForeignKey(
        Deployment,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The latest deployment that was sent to a server.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(default=timezone.now, editable=False, help_text="When it was last saved.")
    compared_at = models.DateTimeField(
        null=True, editable=False, help_text="When its definition was last compared with what runs."
    )
    differs = models.BooleanField(
        default=False, editable=False, help_text="Whether they differed then. See ``bots.unapplied``."
    )
    runs_older_key = models.BooleanField(
        default=False, editable=False, help_text="Whether it ran with an exchange key then that had been replaced."
    )

    objects = OfClientsQuerySet["Bot"].as_manager()

    class Meta:
        ordering = ["client__name", "name"]
        permissions = [
            ("deploy_bot", "Can deploy and redeploy bots"),
            ("start_bot", "Can start stopped bots again"),
            ("stop_bot", "Can stop bots"),
            ("archive_bot", "Can archive the instances of bots"),
            ("declare_gone", "Can mark a bot's instance as gone from its server"),
            ("change_live_settings", "Can change, pause and resume running bots"),
            ("acknowledge_instance", "Can mark unmanaged bots as known"),
            ("resolve_orders", "Can mark orders that a bot left open as resolved"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"],
                name="unique_bot_name_per_client",
                violation_error_message="This client already has a bot with this name.",
            ),
        ]
        indexes = [
            models.Index(
                fields=["restart_policy"], condition=~models.Q(restart_policy="never"), name="bots_bot_restarts_idx"
            ),
            models.Index(fields=["changed_at"], name="bots_by_change"),
            models.Index(fields=["id"], condition=models.Q(differs=True), name="bots_that_differ"),
            models.Index(fields=["id"], condition=models.Q(runs_older_key=True), name="bots_with_an_older_key"),
        ]

    def __str__(self) -> str:
        return f"{self.client} · {self.name}"

    def save(self, **options: Any) -> None:
        """Save only the definition of an existing row, not what was observed: both may be written at once."""
        self.changed_at = timezone.now()
        if options.get("update_fields") is not None:
            options["update_fields"] = {*options["update_fields"], "changed_at"}
        elif not self._state.adding:
            names = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            options["update_fields"] = names - OBSERVED
        super().save(**options)

    def get_absolute_url(self) -> str:
        return reverse("admin:bots_bot_now", args=[self.pk])

    @property
    def instance_name(self) -> str:
        """The name that instances are requested with; the server appends a timestamp to it.

        No two bots of a server share one: what joins the account and the bot occurs in neither of them. A dash may be
        part of an account, and then two join them, which the bot's part never has.
        """
        account = self.client.account_name
        joint = "--" if "-" in account else "-"
        return f"{INSTANCE_PREFIX}-{account}{joint}{slug(self.name)}"

    @property
    def is_controller(self) -> bool:
        return self.strategy.kind == StrategyKind.CONTROLLER

    def require_active_client(self) -> None:
        """Make sure that the bot may begin to trade for its client.

        Raises:
            ClientOffboarded
        """
        if self.client.is_offboarded:
            raise ClientOffboarded(f"{self.client} is offboarded, so none of its bots can be deployed or started.")

    @property
    def trades_on(self) -> str:
        """The connector of its instance, or of its definition when it has none: edited since, the two may differ."""
        return self.deployment.connector if self.deployment and self.deployment.is_open else self.connector

    @property
    def trading_rules(self) -> TradingRules | None:
        """The exchange's rules for the bot's orders, once a server has reported them."""
        return TradingRules.objects.of(self.server, self.connector, self.trading_pair)

    @property
    def open_deployment(self) -> Deployment | None:
        """The deployment whose instance is on a server, or may be."""
        return self.deployment if self.deployment and self.deployment.is_open else None

    @property
    def duplicate_names(self) -> str:
        """The running instances that have the bot's name and that the panel did not deploy; empty for none."""
        return ", ".join(instance.name for instance in self.duplicates.all())

    @property
    def remedy_for_duplicates(self) -> str:
        """What to do about another instance with the bot's name, which the panel never touches."""
        first, *others = (instance.name for instance in self.duplicates.all())
        then = f" Then do the same with {', '.join(others)}." if others else ""
        return (
            f"Archive {first} with the tool that deployed it, or call the API of {self.server}: POST "
            f"/bot-orchestration/stop-and-archive-bot/{first}. If neither works, run “docker stop {first}” on the "
            f"server's host, then cancel its orders at the exchange.{then}"
        )

    @property
    def live_settings(self) -> set[str]:
        """The names of the settings that the instance applies while it runs.

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
        """Return its settings as saved, as deployed and live; none without an instance."""
        deployment = self.open_deployment
        if deployment is None:
            return []
        return compare(
            self.strategy.settings_schema,
            saved=self.render_config(deployment.config_name),
            deployed=deployment.config,
            live=deployment.live_config,
            live_settings=self.live_settings,
            pausable=deployment.is_controller,
        )

    def settings_to_apply(self) -> list[Row]:
        """Return the settings that the instance would apply as they are saved now."""
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
        """Whether the instance runs by another definition than the current one."""
        return self.needs_redeploy or bool(self.settings_to_apply())

    @property
    def has_newer_key(self) -> bool:
        """Whether the live instance has an exchange key that has been replaced since."""
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
            errors["name"] = "Enter a name with at least one letter (a-z) or digit."
        elif self.client_id and self._shares_its_instance_name():
            errors["name"] = "This client has a bot whose server name would be the same. Choose another name."
        try:
            self.trading_pair = TradingRules.objects.spelling(self.server_id, self.connector, self.trading_pair)
        except ValidationError as error:
            errors["trading_pair"] = error.messages
        is_named = self.server_id and self.connector and not is_paper_trade(self.connector)
        if is_named and self.server.fields_of(self.connector) is None:
            like = connector_like(self.connector, [*self.server.connector_names, *PAPER_TRADE])
            meant = f" Did you mean {title_of(like)} ({like})?" if like else ""
            errors["connector"] = f"{self.server} has no connector “{self.connector}”.{meant}"
        if self.strategy_id:
            if self.strategy.spot_only and market_of(self.connector).perpetual:
                errors["connector"] = (
                    f"The strategy {self.strategy} supports spot markets only. Choose a spot connector."
                )
            if not self.is_controller:
                for limit in LIMITS:
                    if getattr(self, limit) is not None:
                        errors[limit] = "Drawdown limits apply to controllers only. This strategy is a script."
        for limit in LIMITS:
            if (value := getattr(self, limit)) is not None and value <= 0:
                errors[limit] = "Enter a limit above zero, or leave it empty for none."
        if errors:
            raise ValidationError(errors)

    def require_valid(self) -> None:
        """Check the whole definition again: its strategy or its server may have changed since it was saved.

        Raises:
            DefinitionInvalid
        """
        try:
            self.full_clean()
        except ValidationError as error:
            raise DefinitionInvalid(" ".join(error.messages)) from None

    def refused_settings(self) -> dict[str, str]:
        """Return the settings with which the exchange would refuse orders, and why, by its rules as they are stored."""
        rules = self.trading_rules
        return rules.refusals(self.strategy.settings_schema, self.settings) if rules else {}

    def take_spelling(self, pair: str) -> None:
        """Write the pair as its exchange lists it, also in the stored definition."""
        previous, self.trading_pair = self.trading_pair, pair
        self.settings = replace_pair(self.settings, previous, pair)
        with transaction.atomic():
            row = Bot.objects.select_for_update().filter(pk=self.pk, trading_pair=previous).first()
            if row is not None:  # or else the market has been changed since
                row.trading_pair, row.settings = pair, replace_pair(row.settings, previous, pair)
                row.save(update_fields=["trading_pair", "settings"])

    @property
    def definition_mark(self) -> str:
        """A text that changes with everything that a check or a deployment looks at."""
        planned = self.plan_deployment()
        facts = json.dumps([getattr(planned, name) for name in DEFINING_FIELDS], default=str, sort_keys=True)
        return salted_hmac(__name__, facts).hexdigest()[:16]

    def is_defined_like(self, other: "Bot") -> bool:
        """Return whether both definitions are equal, regardless of their clients and names."""
        return all(getattr(self, name) == getattr(other, name) for name in DEFINITION)

    def remove(self) -> None:
        """Delete the definition with what is recorded of its deployments. Its operations stay on record.

        Raises:
            BotLive: an instance of it may be on a server.
            OperationActive: an operation on it has not ended, and may be about to make one.
        """
        with transaction.atomic():
            if active := Operation.objects.of(self).active().first():
                raise active.as_problem()
            if self.deployments.open().exists():
                raise BotLive(f"{self} has, or may have, an instance on {self.server}.")
            unresolved = self.deployments.filter(orphaned_orders__isnull=False, orphaned_orders__resolved_at=None)
            if deployment := unresolved.first():
                raise OrdersMayBeOpen(f"{deployment} may have left orders open that are not resolved.")
            self.deployments.all().delete()
            self.delete()

    def name_for_a_clone(self) -> str:
        """Return a name that no bot of the client has, and that a server can tell from all others."""
        taken = set(map(slug, self.client.bots.values_list("name", flat=True)))
        names = (f"{self.name[:50]} copy {number}" if number > 1 else f"{self.name[:50]} copy" for number in count(1))
        return next(name for name in names if slug(name) not in taken)

    def _shares_its_instance_name(self) -> bool:
        others = Bot.objects.filter(client=self.client_id).exclude(pk=self.pk).values_list("name", flat=True)
        return slug(self.name) in map(slug, others)

    def render_config(self, config_name: str) -> dict[str, Any]:
        """Return the configuration file's content for the server: the market, and the settings with their defaults."""
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

    def plan_deployment(self) -> Deployment:
        """Return an unsaved deployment of the current definition."""
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
