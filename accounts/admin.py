"""Servers, clients and exchange keys in the admin. Thin: rules are on the models, the outside is in operations."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.fields import Unreadable
from accounts.forms import (
    ClientForm,
    ExchangeKeyForm,
    NewProfileClientForm,
    ServerForm,
    connector_choices,
    exchange_key_form,
)
from accounts.models import Client, ClientStatus, ExchangeKey, KeyState, Server, sees_every_client
from accounts.scope import ScopedMixin, VisibleFilter
from operations.actions import OperatesMixin

KEY_COLOURS = {
    KeyState.PUSHED: "success",
    KeyState.CHANGED: "warning",
    KeyState.NOT_PUSHED: "warning",
    KeyState.GONE: "danger",
    KeyState.UNREADABLE: "danger",
}


@admin.register(Server)
class ServerAdmin(OperatesMixin, ScopedMixin):
    form = ServerForm
    operation_kinds = ("check_server",)
    facts_template = "accounts/server_facts.html"
    list_display = (
        "name",
        "base_url",
        "health",
        "docker_running",
        "mqtt_connected",
        "version",
        "latency",
        "checked_at",
    )
    search_fields = ("name", "base_url")
    fieldsets = ((None, {"fields": ("name", "base_url", "username", "password", "verify_tls")}),)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Server]:
        return super().get_queryset(request).defer("connectors")

    def get_fieldsets(self, request: HttpRequest, obj: Server | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            # Who may only look is shown each field's value, and this one is nobody's to see.
            return ((None, {"fields": ("name", "base_url", "username", "verify_tls")}),)
        return self.fieldsets

    @display(
        description="connection",
        label={"ok": "success", "not checked yet": "info", "failed": "danger"},
        ordering="reachable",
    )
    def health(self, server: Server) -> tuple[str, str]:
        if isinstance(server.password, Unreadable):
            return "failed", "password can't be read"
        # The sentence is on the server's page; a list has room for a word.
        words = server.last_error_code.replace("_", " ") or server.health
        return (words, words) if words in {"ok", "not checked yet"} else ("failed", words)

    @display(description="latency", ordering="latency_ms")
    def latency(self, server: Server) -> str:
        return "—" if server.latency_ms is None else f"{server.latency_ms} ms"


@admin.register(Client)
class ClientAdmin(OperatesMixin, ScopedMixin):
    form = ClientForm
    operation_kinds = ("push_profile", "verify_profile")
    facts_template = "accounts/client_facts.html"
    list_display = ("name", "account_name", "server", "account_manager", "status_label", "profile_label")
    list_filter = ("status", ("server", VisibleFilter), ("account_manager", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("server", "account_manager")
    search_fields = ("name", "account_name")
    fieldsets = (
        (None, {"fields": ("name", "account_manager", "server", "status")}),
        (
            "Credentials profile",
            {"fields": ("account_name", "existing_profile", "use_master_account")},
        ),
        ("Notes", {"fields": ("notes",)}),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Client]:
        return super().get_queryset(request).prefetch_related("keys", "profiles__pushed_keys")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # A client without a manager would be out of sight of the one who adds it.
        own = {} if sees_every_client(request.user) else {"account_manager": request.user.pk}
        return own | super().get_changeform_initial_data(request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Client | None:
        client = super().get_object(request, object_id, from_field)
        if client is not None:
            # Its page lists the bots with their states.
            models.prefetch_related_objects([client], "bots__deployment")
        return client

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        if self._may_choose_profile(request, obj):
            return self.fieldsets
        details, (title, _), notes = self.fieldsets
        fields = ("account_name",) if obj and obj.is_pushed else ("account_name", "use_master_account")
        return (details, (title, {"fields": fields}), notes)

    def get_form(self, request: HttpRequest, obj: Client | None = None, **kwargs: Any) -> Any:
        if not self._may_choose_profile(request, obj):
            # Not to show a field is not enough: a form takes each field that it declares.
            kwargs["form"] = NewProfileClientForm
        return super().get_form(request, obj, **kwargs)

    @staticmethod
    def _may_choose_profile(request: HttpRequest, client: Client | None) -> bool:
        return request.user.has_perm("accounts.take_over_profile") and not (client and client.is_pushed)

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        form.take_over()

    @display(
        description="status",
        ordering="status",
        label={
            ClientStatus.ONBOARDING: "info",
            ClientStatus.ACTIVE: "success",
            ClientStatus.PAUSED: "warning",
            ClientStatus.OFFBOARDED: "danger",
        },
    )
    def status_label(self, client: Client) -> tuple[str, str]:
        return client.status, client.get_status_display()

    @display(
        description="profile",
        label={"no key yet": "info"} | {state.label: colour for state, colour in KEY_COLOURS.items()},
    )
    def profile_label(self, client: Client) -> str:
        return client.profile_in_words


@admin.register(ExchangeKey)
class ExchangeKeyAdmin(OperatesMixin, ScopedMixin):
    form = ExchangeKeyForm
    operation_kinds = ("push_profile",)
    facts_template = "accounts/key_facts.html"
    list_display = ("client", "connector", "api_key_hint", "state_label", "changed_at")
    list_filter = ("connector", ("client", VisibleFilter))
    list_select_related = ("client__server",)
    search_fields = ("client__name", "connector")

    delete_confirmation_template = "accounts/delete_key.html"

    class Media:
        js = ("connector_fields.js",)

    def operation_subject(self, key: ExchangeKey) -> Client:
        return key.client

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ExchangeKey]:
        return super().get_queryset(request).prefetch_related("client__profiles__pushed_keys")

    def get_readonly_fields(self, request: HttpRequest, obj: ExchangeKey | None = None) -> tuple[str, ...]:
        return ("client", "connector") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: ExchangeKey | None = None) -> Any:
        names = [field.name for field in self._connector_fields(request, obj) or ()]
        groups: list[Any] = [(None, {"fields": ("client", "connector")})]
        if names and (obj is None or self.has_change_permission(request, obj)):
            description = (
                "Allow the key to trade, never to withdraw, and bind it to the server's address at the exchange. "
                "What you enter is encrypted and can't be read back; saving it sends it nowhere."
            )
            title = "New values" if obj else "Values"
            groups.append((title, {"fields": names, "description": description}))
        return groups

    def get_form(self, request: HttpRequest, obj: ExchangeKey | None = None, **kwargs: Any) -> Any:
        kwargs["form"] = exchange_key_form(self._connector_fields(request, obj))
        kwargs["fields"] = None if obj is None else ()
        return super().get_form(request, obj, **kwargs)

    def delete_model(self, request: HttpRequest, obj: ExchangeKey) -> None:
        super().delete_model(request, obj)
        _say_what_stays(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[ExchangeKey]) -> None:
        keys = list(queryset)
        super().delete_queryset(request, queryset)
        for key in keys:
            _say_what_stays(request, key)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "connector":
            servers = Server.objects.visible_to(request.user)
            return forms.ChoiceField(
                choices=connector_choices(servers),
                widget=UnfoldAdminSelectWidget(attrs={"data-reloads-fields": ""}),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @staticmethod
    def _connector_fields(request: HttpRequest, obj: ExchangeKey | None) -> Any:
        """What the chosen connector asks for: as the client's server said, or as known beforehand."""
        if obj is not None:
            return obj.client.server.fields_of(obj.connector)
        chosen = request.POST if request.method == "POST" else request.GET
        client_id = chosen.get("client", "")
        client = Client.objects.visible_to(request.user).filter(pk=client_id).first() if client_id.isdecimal() else None
        server = client.server if client else Server()
        return server.fields_of(chosen.get("connector", ""))

    @display(description="API key")
    def api_key_hint(self, key: ExchangeKey) -> str:
        return f"…{key.hint}" if key.hint else "hidden"

    @display(description="state", label=KEY_COLOURS)
    def state_label(self, key: ExchangeKey) -> tuple[str, str]:
        state = key.state
        return state.value, state.label


def _say_what_stays(request: HttpRequest, key: ExchangeKey) -> None:
    """A key that was deleted here and had been pushed is on each of those servers still."""
    for profile in key.client.profiles.all():
        if profile.fingerprint_of(key.connector) is not None:
            messages.warning(
                request,
                f"The {key.connector} key was deleted here only: it is in {profile} still, and with bots that run. "
                "Archive them, then revoke the key at the exchange.",
            )
