"""The bot's form: its settings are fields, made from the JSON Schema of the strategy that is chosen."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse_lazy
from django.utils.functional import cached_property
from django.utils.html import escape
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from bots.configuration.json_text import parse_settings
from bots.configuration.preview import as_json
from bots.models import LIMITS, RESTARTING, Bot, Strategy
from bots.strategies.schema import Setting, setting_errors, settings_in
from core.admin.widgets import CodeEditor
from core.exchanges import title_of
from core.fields import JsonField
from core.input.numbers import as_percent, read_number
from hummingbot_api.connectors import AccountType, market_of

NUMBERS = {"integer", "number"}
#: The side of a spread, by the first word of its name.
SIDES = {"bid": "bid", "buy": "bid", "ask": "ask", "sell": "ask"}


#: A fraction without its unit from this on may be meant in percent: 0.3 beside fields that show 0.3 %.
AMBIGUOUS = 0.01
_BARE = re.compile(r"[\d.,]+")


class NumberField(forms.FloatField):
    """A number that is shown as it was entered: 1600, not 1600.0. A fraction is shown in percent, 0.3 %, and may be
    typed as 0.003 or 30 bps, too.
    """

    def __init__(self, *, fraction: bool = False, asks: bool = True, **kwargs: Any) -> None:
        """Args:
        asks: whether a number that may be meant in percent is asked about: of a person, not of a file.
        """
        super().__init__(**kwargs)
        self.fraction, self.asks = fraction, asks

    def to_python(self, value: Any) -> int | float | None:  # type: ignore[override]
        if isinstance(value, str) and value.strip():
            value = self._read(value.strip())
        number = super().to_python(value)
        return int(number) if number is not None and number.is_integer() else number

    def _read(self, text: str) -> float:
        number = read_number(text, fraction=self.fraction)
        if self.fraction and self.asks and _BARE.fullmatch(text) and AMBIGUOUS <= number < 1:
            raise ValidationError(f"Is this {text} % or {as_percent(number)}? Enter it with its percent sign.")
        return number

    def prepare_value(self, value: Any) -> Any:
        return as_percent(value) if self.fraction and isinstance(value, int | float) else value


class ListField(forms.CharField):
    """Several values of one kind, separated by commas."""

    def __init__(self, item: forms.Field, refusal: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item, self.refusal = item, refusal

    def to_python(self, value: Any) -> Any:
        parts = [part.strip() for part in (super().to_python(value) or "").split(",")]
        try:
            return [self.item.clean(part) for part in parts if part] or self.empty_value
        except ValidationError:
            raise ValidationError(self.refusal) from None

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return ", ".join(str(self.item.prepare_value(item)) for item in value)


class Suggestions(UnfoldAdminTextInputWidget):
    """A text input that suggests values with their labels, and takes others."""

    template_name = "bots/suggestions.html"

    def __init__(self, suggestions: Mapping[str, str]) -> None:
        super().__init__(attrs={"autocomplete": "off"})
        self.suggestions = suggestions

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, {**(attrs or {}), "list": f"suggestions-{name}"})
        return context | {"suggestions": self.suggestions.items()}


class BotForm(forms.ModelForm):
    """A bot with the settings of each strategy; only those of the chosen one count."""

    #: Made by ``bot_form``: strategy → its settings by their fields' names.
    settings_of: Mapping[int, Mapping[str, Setting]] = {}

    settings_as_json = forms.BooleanField(
        required=False,
        label="Edit as JSON",
        widget=UnfoldBooleanSwitchWidget(attrs={"data-converts-settings": reverse_lazy("admin:bots_bot_settings")}),
        help_text="Replaces the fields above.",
    )
    settings_json = forms.CharField(
        required=False,
        strip=False,
        label="Settings",
        widget=CodeEditor("json", attrs={"rows": 12}),
        help_text="Settings that you leave out use their defaults.",
    )

    class Meta:
        model = Bot
        fields = (
            "client",
            "name",
            "server",
            "strategy",
            "connector",
            "trading_pair",
            "image",
            "headless",
            *LIMITS,
            *RESTARTING,
        )
        help_texts = {
            "trading_pair": "For example SHARP-USDT or kPEPE-USD. The pair is case-sensitive and must match the "
            "exchange's spelling."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in set(RESTARTING) & set(self.fields):
            self.fields[name].required = False  # left empty, it keeps its value
        if "strategy" in self.fields:
            self.fields["strategy"].label_from_instance = _describe_strategy  # type: ignore[attr-defined]
        for field, setting in self.settings_of.get(self.instance.strategy_id, {}).items():
            self.initial[field] = setting.value_in(self.instance.settings, self.fields[field].initial)
        if self.instance.strategy_id:
            self.initial["settings_json"] = as_json(self.instance.strategy.defaults | self.instance.settings)

    @cached_property
    def changed_data(self) -> list[str]:
        """Without the settings that don't count: other strategies', and either those of the fields or the JSON."""
        as_json, chosen = self["settings_as_json"].data, str(self["strategy"].value())
        left_out = {
            field for pk, fields in self.settings_of.items() if as_json or str(pk) != chosen for field in fields
        } | (set() if as_json else {"settings_json"})
        return [name for name in super().changed_data if name not in left_out]

    def clean_restart_policy(self) -> str:
        return self.cleaned_data["restart_policy"] or self.instance.restart_policy

    def clean_max_restarts_per_hour(self) -> int:
        return self.cleaned_data["max_restarts_per_hour"] or self.instance.max_restarts_per_hour

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        strategy = cleaned.get("strategy")
        for other, fields in self.settings_of.items():
            if strategy is None or other != strategy.pk or cleaned["settings_as_json"]:
                for field in fields:
                    self.errors.pop(field, None)
        if strategy is None:
            return cleaned
        try:
            self.instance.settings = self.entered_settings(strategy, cleaned)
        except ValidationError as error:
            self.add_error("settings_json", error)
            line = (error.params or {}).get("line", 0)
            self.fields["settings_json"].widget.marks = tuple((line, sentence) for sentence in error.messages if line)
            return cleaned
        for name, message in setting_errors(strategy.settings_schema, self.instance.settings).items():
            self.add_setting_error(strategy, name, message)
        return cleaned

    def add_setting_error(self, strategy: Strategy, name: str, message: str) -> None:
        """Report what is wrong with a setting next to its field, unless the field has an error already."""
        if self.cleaned_data["settings_as_json"]:
            self.add_error("settings_json", f"{name}: {message}")
        elif (place := self.field_of(strategy, name)) not in self.errors:
            self.add_error(place, message)

    def _post_clean(self) -> None:
        """Check the whole definition: would the exchange accept such orders? Sends no request to a server."""
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            for name, reason in self.instance.refused_settings().items():
                self.add_setting_error(self.instance.strategy, name, reason)

    def entered_settings(self, strategy: Strategy, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entered values, and those without a field. An emptied field is none, where that may be.

        Raises:
            ValidationError: it was entered as JSON, and is none.
        """
        if cleaned["settings_as_json"]:
            return strategy.defaults | parse_settings(cleaned.get("settings_json", ""))
        fields = self.settings_of[strategy.pk]
        described = {setting.path[0] for setting in fields.values()}
        kept = strategy.defaults
        if (
            strategy.pk == self.instance.strategy_id
            and strategy.settings_schema.get("additionalProperties") is not False
        ):
            kept |= self.instance.settings  # the schema allows names that it does not describe
        entered = {name: value for name, value in kept.items() if name not in described}
        for field, setting in fields.items():
            value = cleaned.get(field)
            if value is not None or setting.is_nullable:
                group = entered
                for name in setting.path[:-1]:
                    group = group.setdefault(name, {})
                group[setting.path[-1]] = value
        return entered

    def field_of(self, strategy: Strategy, name: str) -> str | None:
        """Return the field of a setting, or of the setting that contains it; nothing when no field does."""
        fields = self.settings_of[strategy.pk]
        path = name.split(".")
        names = (field_name(strategy.pk, *path[:length]) for length in range(len(path), 0, -1))
        return next((field for field in names if field in fields), None)


def field_name(strategy_pk: int, *path: str) -> str:
    return f"strategy_{strategy_pk}_{'__'.join(path)}"


def bot_form(strategies: Iterable[Strategy], connectors: Iterable[str]) -> type[BotForm]:
    """Return the form with the settings of these strategies."""
    settings_of: dict[int, dict[str, Setting]] = {}
    attributes: dict[str, Any] = {"settings_of": settings_of}
    for strategy in strategies:
        defaults = strategy.defaults
        settings = {field_name(strategy.pk, *s.path): s for s in settings_in(strategy.settings_schema)}
        settings_of[strategy.pk] = settings
        for field, setting in settings.items():
            attributes[field] = setting_field(setting, setting.value_in(defaults, setting.schema.get("default")))
    attributes["connector"] = forms.CharField(
        max_length=80,
        widget=Suggestions({name: _describe_account_type(name) for name in sorted(connectors)}),
        help_text="The exchange, by Hummingbot's name. Live (real money), unless the name ends with _paper_trade or "
        "_testnet.",
    )
    return type("BotFormFor", (BotForm,), attributes)


def _describe_strategy(strategy: Any) -> str:
    """Return its name and purpose: the first sentence of its description, up to a semicolon."""
    first = re.split(r"\.(?:\s|$)|[;:]\s", strategy.description.strip())[0]
    return f"{strategy.name}: {first}" if first else strategy.name


def _describe_account_type(connector: str) -> str:
    title = title_of(connector)
    return f"{title}, live" if market_of(connector).account_type is AccountType.REAL else title


def setting_field(setting: Setting, default: Any, *, asks: bool = True) -> forms.Field:
    """Return the form field for one setting. ``BotForm.clean`` checks the bounds of its schema.

    A field that is left empty gives ``None``, or the empty text or list that is the default.
    """
    schema, kinds = setting.schema, setting.types - {"null"}
    fraction = str(schema.get("unit", "")).startswith("fraction")
    nothing = default if default in ("", []) else None
    common: dict[str, Any] = {
        "required": not setting.is_nullable and nothing is None and (setting.required or default is not None),
        # A fraction is shown in percent, so that its unit stands beside its value.
        "label": setting.title if fraction else setting.label,
        "help_text": escape(schema.get("description", "")),
        "initial": default,
        "error_messages": {"required": "This field is required."},
    }
    text = UnfoldAdminTextInputWidget()
    if "enum" in schema:
        return _choice(setting, schema["enum"], schema.get("labels", ()), common)
    if kinds == {"boolean"}:
        if setting.is_nullable:
            return _choice(setting, [True, False], ["yes", "no"], common)
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget(), **common | {"required": False})
    if kinds <= NUMBERS:
        attrs = {"inputmode": "decimal", **_previewed(setting)}
        return NumberField(fraction=fraction, asks=asks, widget=UnfoldAdminTextInputWidget(attrs=attrs), **common)
    if kinds == {"array"}:
        match schema.get("items"):
            case {"type": "integer" | "number"}:
                example = "0.3 %, 0.6 %" if fraction else "0.003, 0.006"
                refusal = f"Separate numbers with commas: {example}."
                numbers = UnfoldAdminTextInputWidget(attrs=_previewed(setting))
                number = NumberField(fraction=fraction, asks=asks)
                return ListField(number, refusal, widget=numbers, empty_value=nothing, **common)
            case {"type": "string"}:
                refusal = "Separate values with commas: BTC-USDT, ETH-USDT."
                return ListField(forms.CharField(), refusal, widget=text, empty_value=nothing, **common)
    if "string" in kinds:
        return forms.CharField(widget=text, empty_value=nothing, **common)
    return JsonField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "class": "font-mono"}), **common)


def _previewed(setting: Setting) -> dict[str, str]:
    """Return what ``market.js`` reads to show an amount with its value, and the prices at which orders are placed."""
    if setting.schema.get("per") == "order" and setting.schema.get("unit") == "base asset":
        return {"data-amount": "base"}
    if setting.schema.get("of") == "price" and (side := SIDES.get(setting.path[-1].partition("_")[0])):
        return {"data-spread": side}
    return {}


def _choice(setting: Setting, values: list[Any], labels: Iterable[str], common: dict[str, Any]) -> forms.Field:
    """Return a select whose values keep their type."""
    label_of = dict(zip(map(str, values), labels, strict=False))
    value_of = {str(value): value for value in values if value is not None}
    choices = [(text, label_of.get(text, text)) for text in value_of]
    if setting.is_nullable or common["initial"] is None:
        choices.insert(0, ("", "none" if setting.is_nullable else "Choose …"))
    return forms.TypedChoiceField(
        choices=choices,
        coerce=lambda value: value_of.get(str(value)),
        empty_value=None,
        widget=UnfoldAdminSelectWidget(),
        **common,
    )
