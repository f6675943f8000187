"""What a bot does: a script that the panel uploads, or a controller that the server has."""

import hashlib
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from bots.strategies import bundled
from bots.strategies.render import MARKET, RESERVED
from bots.strategies.schema import schema_error, schema_from
from bots.strategies.source import read_script
from core.fields import OrderedJSONField
from hummingbot_api.errors import InvalidName
from hummingbot_api.names import check_name

_RESERVED_NAMES = "Leave out {}: the panel sets it."


class StrategyKind(models.TextChoices):
    SCRIPT = "script", "script"
    CONTROLLER = "controller", "controller"


def validate_controller(value: str) -> None:
    try:
        check_name(value, "a controller")
    except InvalidName as problem:
        raise ValidationError(problem.message, code=problem.code) from None


class StrategyQuerySet(models.QuerySet["Strategy"]):
    def update_bundled(self) -> None:
        """Update the rows of the bundled strategies to this version of the product."""
        for name, facts in bundled.BUNDLED.items():
            self.update_or_create(
                name=name,
                defaults={
                    "kind": facts["kind"],
                    "controller_type": facts.get("controller_type", ""),
                    "description": facts["description"],
                    "spot_only": facts.get("spot_only", False),
                    "source": bundled.source_of(name),
                    "schema": facts["schema"],
                    "default_settings": bundled.defaults(name),
                    "bundled": True,
                },
            )


class Strategy(models.Model):
    """A script that the panel uploads, or a controller that the server has, with its settings and their rules."""

    name = models.SlugField(
        max_length=60, unique=True, help_text="For a controller: the server's name for it, unless set below."
    )
    kind = models.CharField(max_length=10, choices=StrategyKind, default=StrategyKind.SCRIPT)
    controller_name = models.CharField(
        max_length=255,
        blank=True,
        validators=[validate_controller],
        help_text="For a controller: the server's name for it, if the strategy has another name.",
    )
    description = models.CharField(max_length=300, blank=True)
    source = models.TextField(
        blank=True,
        help_text="For a script: Python source with one class based on StrategyV2Base and one based on "
        "StrategyV2ConfigBase.",
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
        help_text="JSON Schema of the settings. If empty, a script's config class defines them. The schema can mark "
        "settings as amounts, which are then checked against the exchange's trading rules: see "
        "docs/settings.md.",
    )
    template = OrderedJSONField(
        default=list,
        editable=False,
        help_text="The controller's settings as the server reported them when the schema was created.",
    )
    spot_only = models.BooleanField(
        default=False, help_text="Rejects perpetual connectors: with leverage a position can exceed the balance."
    )
    bundled = models.BooleanField(
        default=False, editable=False, help_text="Included with the product and updated with it."
    )

    changed_at = models.DateTimeField(auto_now=True)

    objects = StrategyQuerySet.as_manager()

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
            errors["controller_type"] = "Enter the controller's type."
        if problem := schema_error(self.schema):
            errors["schema"] = problem
        elif taken := [
            name for name in self.schema.get("properties", {}) if name in (*RESERVED, *self.market_settings)
        ]:
            errors["schema"] = _RESERVED_NAMES.format(", ".join(taken))
        if not isinstance(self.default_settings, dict):
            errors["default_settings"] = "Settings must be a group of names and values."
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
        """The JSON Schema of the settings: as entered, or derived from the script's config class or the defaults."""
        return self.schema or read_script(self.source).schema or schema_from(self.default_settings)

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings that a bot gets unless it sets its own."""
        properties = self.settings_schema.get("properties", {})
        return {name: s["default"] for name, s in properties.items() if "default" in s} | self.default_settings

    @property
    def script_name(self) -> str:
        """The script's name on servers. It contains a hash of the source, so that an upload never changes what a
        running bot loads at its next start.
        """
        return f"{self.name}_{hashlib.sha256(self.source.encode()).hexdigest()[:8]}"
