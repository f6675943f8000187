"""The form for clients."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.db import models
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.definitions import account_managers
from accounts.models import Client, CredentialsProfile


class ClientForm(forms.ModelForm):
    """A client, with a new profile or one that a server has already."""

    #: Those whose names the user may see.
    visible_clients: models.QuerySet[Client] = Client.objects.none()

    existing_profile = forms.ChoiceField(
        required=False,
        label="Adopt a profile",
        widget=UnfoldAdminSelectWidget(),
        help_text="Choose a profile that exists on the server, from its last check. It then belongs to this client. A "
        "pushed key replaces the profile's key for the same connector; nothing else in it changes.",
    )
    use_master_account = forms.BooleanField(
        required=False,
        label="Use master_account anyway (unsafe)",
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Every new account on the server is a copy of master_account, so other clients may inherit this key.",
    )

    class Meta:
        model = Client
        fields = ("name", "account_name", "account_manager", "server", "status", "notes")
        help_texts: ClassVar = {
            "status": "A label only: no status starts or stops a bot. Onboarding: not ready to trade yet. Active: "
            "bots may trade. Paused: no onboarding reminders, but running bots keep trading. Offboarded: "
            "the client has left, and its bots can't be deployed or started. Archive all bots first."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.is_pushed and "account_name" in self.fields:
            self.fields["account_name"].disabled = True
        if "account_manager" in self.fields:
            self.fields["account_manager"].queryset = account_managers(self.instance.account_manager_id)  # type: ignore[attr-defined]
        if {"existing_profile", "server"} <= set(self.fields):
            self.fields["existing_profile"].choices = [("", "No, create a new one"), *self._existing_profiles()]  # type: ignore[attr-defined]

    def _existing_profiles(self) -> Iterable[tuple[str, list[tuple[str, str]]]]:
        """Return the profiles by server, without those that are another client's already."""
        others = Client.objects.exclude(pk=self.instance.pk).values_list("server", "account_name")
        taken = {*others, *CredentialsProfile.objects.values_list("server", "account_name")}
        for server in self.fields["server"].queryset:  # type: ignore[attr-defined]
            free = [name for name in server.account_names if (server.pk, name) not in taken]
            if free:
                yield server.name, [(f"{server.pk}:{name}", name) for name in free]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if chosen := cleaned.get("existing_profile"):
            server_pk, _, name = chosen.partition(":")
            server = cleaned.get("server")
            if server and str(server.pk) != server_pk:
                self.add_error("existing_profile", f"This profile is not on {server}. Choose one that is.")
            elif "account_name" in self.changed_data and cleaned.get("account_name") not in {"", name}:
                self.add_error("existing_profile", "Choose a profile or enter an account name, not both.")
            else:
                cleaned["account_name"] = name
        self.instance.means_master_account = cleaned.get("use_master_account", False)
        return cleaned

    def _post_clean(self) -> None:
        """Report an error in the name of a chosen profile at the field where it was chosen, and which client of the
        user's has the account name, if one has it.
        """
        super()._post_clean()  # type: ignore[misc]
        own = self.visible_clients.filter(server=self.instance.server_id, account_name=self.instance.account_name)
        taken = own.exclude(pk=self.instance.pk).first() if self.has_error(NON_FIELD_ERRORS) else None
        if taken is not None:
            del self.errors[NON_FIELD_ERRORS]
            self.add_error(
                None, f"The client {taken} already has the account name {taken.account_name} on {taken.server}."
            )
        if self.cleaned_data.get("existing_profile") and "account_name" in self.errors:
            self.add_error("existing_profile", self.errors.pop("account_name").as_data())

    def validate_unique(self) -> None:
        """Report a taken name once: the account name that is derived from it is taken, too. What takes it is named if
        the user manages it, and never otherwise.
        """
        super().validate_unique()
        if self.has_error("name", "unique"):
            self.errors.pop(NON_FIELD_ERRORS, None)
            if self.visible_clients.filter(name=self.instance.name).exists():
                self.errors.pop("name")
                self.add_error("name", "You already have a client with this name. Choose another one.")

    def adopt(self) -> None:
        """Keep the choice with the saved client: from now on the profile counts as this client's."""
        if self.cleaned_data.get("existing_profile"):
            client = self.instance
            client.profiles.create(server=client.server, account_name=client.account_name, adopted=True)


class NewProfileClientForm(ClientForm):
    """For those who may take no profile over, and for clients that have theirs."""

    existing_profile = None  # type: ignore[assignment]
