"""The forms for exchange keys. Secrets go in, and never come out again."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.balances.minimums import describe, read_minimums
from accounts.keys import PAPER_NEEDS_NO_KEY, UNBROKEN, VERBATIM, read_key
from accounts.models import ExchangeKey, Server
from core.admin.widgets import SecretInput
from core.exchanges import exchange_name, title_of, wording_of
from hummingbot_api.connectors import (
    KNOWN_CONNECTORS,
    PAPER_TRADE,
    AccountType,
    choice_for,
    entries,
    is_paper_trade,
    market_of,
)
from hummingbot_api.results import ConnectorField

#: How a value of several is entered.
ENTERED_AS = {
    "list": "Separate values with commas, or enter a JSON list.",
    "object": "Enter a JSON object: {…}.",
}


class KeyDetailsForm(forms.ModelForm):
    """The details of a key that can change without entering it again."""

    class Meta:
        model = ExchangeKey
        fields: tuple[str, ...] = ("expires_on",)

    def clean_expires_on(self) -> date | None:
        last: date | None = self.cleaned_data["expires_on"]
        if last and last < timezone.localdate() and "expires_on" in self.changed_data:
            raise ValidationError("This date has passed. Enter the expiry date of the current key.")
        return last


class MinimumsField(forms.CharField):
    """Amounts with their assets: ``500 USDT, 20000 SHARP``."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return describe(value) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        return read_minimums(value or "")


class KeyPageForm(KeyDetailsForm):
    minimum_balances = MinimumsField(
        required=False,
        label="Minimum balances",
        help_text="For example 500 USDT, 20000 SHARP. A lower balance at the exchange raises an incident. The server "
        "reads balances every five minutes. If it reports no assets at all, no incident is raised, because "
        "the read may have failed.",
    )


class ExchangeKeyForm(KeyDetailsForm):
    """A key's fields are those of its connector, see ``exchange_key_form``. What was stored is never shown."""

    #: The connector's fields, and the same as form fields, one for each value.
    connector_fields: tuple[ConnectorField, ...] = ()
    entries: tuple[ConnectorField, ...] = ()
    values: dict[str, Any]

    class Meta(KeyDetailsForm.Meta):
        fields = ("client", "connector", "expires_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Another key has another last day.
        self.initial["expires_on"] = None
        # The input replaces the values that this stands for: see ``core.admin.edit_conflicts``.
        self.initial["the key's values"] = self.instance.fingerprint

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.connector_fields:
            if is_paper_trade(self.data.get("connector", "")):
                self.add_error("connector", PAPER_NEEDS_NO_KEY)
            elif "connector" not in self.fields:
                self.add_error(None, "The client's server no longer has this connector. Check the server's connection.")
            elif "connector" not in self.errors:
                self.add_error("connector", "Choose a connector that the client's server has, then enter its key.")
            return cleaned
        entered = {field.name: cleaned.get(field.name) for field in self.entries}
        self.values, errors = read_key(entered, self.connector_fields)
        for name, message in errors.items():
            if name in self.fields and name not in self.errors:
                self.add_error(name, message)
        return cleaned

    def save(self, commit: bool = True) -> Any:
        self.instance.set_values(self.values)
        return super().save(commit)


def exchange_key_form(connector: str, fields: tuple[ConnectorField, ...] | None) -> type[ExchangeKeyForm]:
    """Return the form for a connector with these ``fields``."""
    attributes: dict[str, Any] = {"connector_fields": fields or (), "entries": entries(fields or ())}
    for field in attributes["entries"]:
        attributes[field.name] = _form_field(connector, field)
        if choice := choice_for(field.name, fields or ()):
            attributes[field.name].help_text = f"Only for {choice}. {attributes[field.name].help_text}".strip()
    return type("ExchangeKeyFormFor", (ExchangeKeyForm,), attributes)


def _form_field(connector: str, field: ConnectorField) -> forms.Field:
    words = wording_of(connector, field.name)
    common: dict[str, Any] = {
        "required": field.required,
        "label": words.label,
        "help_text": words.help,
        "error_messages": {"required": "This field is required."},
    }
    if field.allowed_values:
        choices = [("", "the server's default"), *((v, words.choices.get(v, v)) for v in field.allowed_values)]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **common)
    if field.kind == "bool" and "." in field.name:
        # Of a group that may not be chosen: a switch would answer for it.
        choices = [("", "---------"), ("yes", "yes"), ("no", "no")]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **common)
    if field.kind == "bool":
        # A switch that is off is an answer too.
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget(), **common | {"required": False})
    if field.kind == "int":
        return forms.IntegerField(widget=UnfoldAdminTextInputWidget(), **common)
    if field.kind in {"list", "object"}:
        common["help_text"] = f"{words.help} {ENTERED_AS[field.kind]}".strip()
        return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}), **common)
    common["strip"] = not field.name.endswith(VERBATIM)
    if field.secret:
        unbroken = field.name.endswith(UNBROKEN) and not field.name.endswith(VERBATIM)
        return forms.CharField(widget=SecretInput(words.label, unbroken=unbroken), **common)
    return forms.CharField(widget=UnfoldAdminTextInputWidget(), **common)


_GROUPS = {
    AccountType.REAL: "Live (real money)",
    AccountType.TESTNET: "Testnet (no real money)",
    AccountType.PAPER: "Paper trade (no real money, no key required)",
}


def connector_choices(servers: Iterable[Server]) -> list[tuple[str, Any]]:
    """Return every connector of the servers, or the known ones before any was read, grouped by account type."""
    names = {name for server in servers for name in server.connectors} or set(KNOWN_CONNECTORS)
    titles = sorted((title_of(name), name) for name in names.union(PAPER_TRADE))
    groups = [
        (label, [(name, f"{title} · {name}") for title, name in titles if market_of(name).account_type is account_type])
        for account_type, label in _GROUPS.items()
    ]
    return [("", "---------"), *((label, choices) for label, choices in groups if choices)]


def tile_choices(server: Server) -> list[tuple[str, Any]]:
    """Return the exchanges that a key can be entered for, in the order of their names, grouped by account type."""
    titles = sorted((exchange_name(name), name) for name in server.connector_names)
    groups = [
        (_GROUPS[kind], [(name, title) for title, name in titles if market_of(name).account_type is kind])
        for kind in (AccountType.REAL, AccountType.TESTNET)
    ]
    return [(label, choices) for label, choices in groups if choices]
