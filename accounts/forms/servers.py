"""The form for servers."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import Server
from core.admin.widgets import SecretInput
from core.encryption import Unreadable
from hummingbot_api.http.urls import check_base_url


class ServerForm(forms.ModelForm):
    password = forms.CharField(
        required=False,
        strip=False,
        widget=SecretInput("Password"),
        help_text="The password of the Hummingbot API. You can replace it, but nobody can view it after you save.",
    )

    class Meta:
        model = Server
        fields = (
            "name",
            "base_url",
            "username",
            "verify_tls",
            "allow_unencrypted",
            "open_to_new_clients",
            "outbound_addresses",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields[
                "password"
            ].help_text = f"Current password: {self.instance.password_text}. Leave blank to keep it."

    def clean_password(self) -> str | Unreadable:
        password: str = self.cleaned_data["password"]
        if not password and not self.instance.pk:
            raise ValidationError("Enter the server's password.")
        if not password and self._leads_elsewhere():
            # Otherwise a user who may change the address could have the stored password sent to a host of their own.
            raise ValidationError("The stored password belongs to the previous base URL. Enter the password again.")
        return password or self.instance.password

    def save(self, commit: bool = True) -> Server:
        """Save it. One that did not answer is polled soon: it may have been for what was wrong here."""
        if self.changed_data:
            self.instance.failed_polls, self.instance.next_poll = 0, timezone.now()
        return super().save(commit)

    def _leads_elsewhere(self) -> bool:
        entered = self.cleaned_data.get("base_url")
        return entered is not None and check_base_url(entered) != self.initial["base_url"]
