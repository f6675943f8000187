"""The bot's form: its settings are fields, made from the JSON Schema of the strategy that is chosen."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from bots.models import Bot, Strategy
from bots.strategies.schema import setting_errors

Schema = Mapping[str, Any]


class NumbersField(forms.CharField):
    """Several numbers, separated by commas."""

    def to_python(self, value: Any) -> list[float] | None:  # type: ignore[override]
        text = super().to_python(value)
        if not text:
            return None
        try:
            return [float(part) for part in text.split(",") if part.strip()]
        except ValueError:
            raise ValidationError("Write numbers with commas between: 0.003, 0.006.") from None

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class NumberField(forms.FloatField):
    """A number that is shown as it was entered: 1600, not 1600.0."""

    def to_python(self, value: Any) -> int | float | None:  # type: ignore[override]
        number = super().to_python(value)
        return int(number) if number is not None and number.is_integer() else number


class Suggestions(UnfoldAdminTextInputWidget):
    """A text input that suggests values, and takes others."""

    template_name = "bots/suggestions.html"

    def __init__(self, suggestions: Iterable[str]) -> None:
        super().__init__(attrs={"autocomplete": "off"})
        self.suggestions = suggestions

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, {**(attrs or {}), "list": f"suggestions-{name}"})
        return context | {"suggestions": self.suggestions}


class BotForm(forms.ModelForm):
    """A bot with the settings of each strategy; only those of the chosen one count."""

    #: Made by ``bot_form``: strategy → its settings' names.
    settings_of: Mapping[int, Iterable[str]] = {}

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
            "max_global_drawdown_quote",
            "max_controller_drawdown_quote",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.strategy_id:
            for name, value in self.instance.settings.items():
                self.initial[field_name(self.instance.strategy_id, name)] = value

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        strategy = cleaned.get("strategy")
        if strategy is None:
            return cleaned
        for other, names in self.settings_of.items():
            if other != strategy.pk:
                for name in names:
                    self.errors.pop(field_name(other, name), None)
        entered = {name: cleaned.get(field_name(strategy.pk, name)) for name in self.settings_of[strategy.pk]}
        settings = {name: value for name, value in entered.items() if value is not None and value != ""}
        for name, message in setting_errors(strategy.settings_schema, strategy.defaults | settings).items():
            field = field_name(strategy.pk, name)
            if field not in self.errors:
                self.add_error(field if field in self.fields else None, message)
        self.instance.settings = strategy.defaults | settings
        return cleaned


def field_name(strategy_pk: int, setting: str) -> str:
    return f"strategy_{strategy_pk}_{setting}"


def bot_form(strategies: Iterable[Strategy], connectors: Iterable[str]) -> type[BotForm]:
    """The form with the settings of these strategies."""
    attributes: dict[str, Any] = {"settings_of": {}}
    for strategy in strategies:
        properties = strategy.settings_schema.get("properties", {})
        attributes["settings_of"][strategy.pk] = list(properties)
        for name, schema in properties.items():
            attributes[field_name(strategy.pk, name)] = setting_field(name, schema)
    attributes["connector"] = forms.CharField(
        max_length=80,
        widget=Suggestions(sorted(connectors)),
        help_text="Hummingbot's name for the exchange. Names that end with _paper_trade trade with simulated money.",
    )
    return type("BotFormFor", (BotForm,), attributes)


def setting_field(name: str, schema: Schema) -> forms.Field:
    """The form field for one setting. Bounds are the schema's to check, in ``BotForm.clean``."""
    unit = schema.get("unit", "")
    common: dict[str, Any] = {
        "required": False,
        "label": schema.get("title", name.replace("_", " ").capitalize()) + (f" ({unit})" if unit else ""),
        "help_text": schema.get("description", ""),
        "initial": schema.get("default"),
    }
    number = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
    match schema.get("type"):
        case "boolean":
            return forms.BooleanField(widget=UnfoldBooleanSwitchWidget(), **common)
        case "integer" | "number":
            return NumberField(widget=number, **common)
        case "array":
            return NumbersField(widget=UnfoldAdminTextInputWidget(), **common)
        case "object":
            return forms.JSONField(**common)
        case _:
            return forms.CharField(widget=UnfoldAdminTextInputWidget(), **common)
