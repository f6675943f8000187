"""The form for channels. An address or a token can be entered, and is never shown again."""

from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from core.admin.widgets import SECRET_ATTRS, describe_stored
from notifications.kinds import IncidentKind
from notifications.models import Channel, ChannelKind

#: The columns that mean something else for each kind of channel. A kind's field for one is named after both.
COLUMNS = ("secret", "recipient")


def _secret(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        required=False,
        label=label,
        widget=UnfoldAdminPasswordWidget(attrs=SECRET_ATTRS),
        help_text=f"{help_text} You can replace it, but nobody can view it after you save.",
    )


def _recipient(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        required=False,
        label=label,
        max_length=Channel._meta.get_field("recipient").max_length,
        widget=UnfoldAdminTextInputWidget(),
        help_text=help_text,
    )


class ChannelForm(forms.ModelForm):
    """Each kind has its own fields. The fields of other kinds are ignored, even if they have values."""

    email_recipient = _recipient("E-mail addresses", "Separate addresses with commas.")
    slack_secret = _secret("Webhook address", "As shown by Slack: https://hooks.slack.com/services/…")
    discord_secret = _secret("Webhook address", "As shown by Discord: https://discord.com/api/webhooks/…")
    telegram_secret = _secret("Bot token", "As provided by @BotFather: digits, a colon, then letters.")
    telegram_recipient = _recipient("Chat", "The chat ID (-1001234567890), or @ and the channel's name.")
    webhook_secret = _secret("Address", "The address of the receiver, with https://.")
    kinds = forms.MultipleChoiceField(
        required=False,
        label="Incidents",
        choices=IncidentKind.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="None selected: all.",
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "client", "manager", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = fields_of(self.instance.kind)
        if "recipient" in stored:
            self.initial.setdefault(stored["recipient"], self.instance.recipient)
        if self.instance.pk and self.instance.secret != "" and stored.get("secret") in self.fields:
            self.fields[stored["secret"]].help_text = describe_stored(self.instance.secret)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        own = fields_of(cleaned.get("kind", ""))
        # What is stored belongs to the kind that it was entered for.
        kept = self.instance.secret if "secret" in own and "kind" not in self.changed_data else ""
        self.instance.secret = cleaned.get(own.get("secret", "")) or kept
        self.instance.recipient = cleaned.get(own.get("recipient", "")) or ""
        return cleaned

    def add_error(self, field: str | None, error: Any) -> None:
        """Report an error in a column at the form field for it; above the form when there is none, because no kind
        was chosen.
        """
        if field is None and hasattr(error, "error_dict"):
            own = fields_of(self.cleaned_data.get("kind", ""))
            errors: dict[str, list[Any]] = {}
            for column, found in error.error_dict.items():
                name = own.get(column, column)
                errors.setdefault(name if name in self.fields else NON_FIELD_ERRORS, []).extend(found)
            error = ValidationError(errors)
        super().add_error(field, error)


def fields_of(kind: str) -> dict[str, str]:
    """Return a kind's own fields in the form, by the columns that they are for."""
    names = {column: f"{kind}_{column}" for column in COLUMNS}
    return {column: name for column, name in names.items() if name in ChannelForm.declared_fields}


#: The fields of all kinds, each with the kind that it is for.
FIELDS_OF_KINDS = {name: kind for kind in ChannelKind.values for name in fields_of(kind).values()}
