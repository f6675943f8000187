"""The form for channels. An address or a token goes in, and never comes out again."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminPasswordWidget

from accounts.forms import SECRET_ATTRS, words_of_stored
from notifications.models import Channel, ChannelKind, IncidentKind


class ChannelForm(forms.ModelForm):
    secret = forms.CharField(
        required=False,
        label="Address or token",
        widget=UnfoldAdminPasswordWidget(attrs=SECRET_ATTRS),
        help_text="Slack, Discord and webhooks: the webhook's address, with https://. Telegram: the bot's token from "
        "@BotFather. E-mail: leave this empty. It can be replaced, and never read back.",
    )
    kinds = forms.MultipleChoiceField(
        required=False,
        label="Incidents",
        choices=IncidentKind.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="Which ones are told. None chosen means all of them.",
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "recipient", "client", "manager", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.secret != "" and "secret" in self.fields:
            self.fields["secret"].help_text = words_of_stored(self.instance.secret)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("kind") == ChannelKind.EMAIL:
            cleaned["secret"] = ""
        elif not cleaned.get("secret") and "kind" not in self.changed_data:
            # What is stored belongs to the kind that it was entered for.
            cleaned["secret"] = self.instance.secret
        return cleaned
