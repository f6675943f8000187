"""Servers, clients and exchange keys in the admin. Thin: rules are on the models, the outside is in operations."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import NestedObjects
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.fields import Unreadable
from accounts.forms import (
    ClientForm,
    KeyPageForm,
    NewProfileClientForm,
    ServerForm,
    connector_choices,
    exchange_key_form,
)
from accounts.models import Balance, Client, ClientStatus, ExchangeKey, KeyState, Renewal, Server
from accounts.scope import ScopedMixin, VisibleFilter
from accounts.sheets import ClientSheet, KeySheet
from accounts.visibility import sees_every_client
from hummingbot_api.connectors import Money, entries, market_of
from hummingbot_api.exchanges import exchange_of
from operations import kinds
from operations.actions import OperatesMixin
from operations.kinds import Kind
from operations.lost_updates import KeepsOthersChangesMixin
from operations.models import Operation
from operations.rows import is_row_number
from operations.templatetags.connectors import with_badge
from spreadsheets.admin import SheetMixin

KEY_COLOURS = {
    KeyState.PUSHED: "success",
    KeyState.CHANGED: "warning",
    KeyState.NOT_PUSHED: "warning",
    KeyState.GONE: "danger",
    KeyState.UNREADABLE: "danger",
}


@admin.register(Server)
class ServerAdmin(OperatesMixin, KeepsOthersChangesMixin, ScopedMixin):
    form = ServerForm
    operation_kinds = ("check_server", "read_controllers")
    facts_template = "accounts/server_facts.html"
    when_empty = "A server is where bots run: a Hummingbot API host. Everything else begins with one."
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
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "base_url",
                    "username",
                    "password",
                    "verify_tls",
                    "allow_unencrypted",
                    "open_to_new_clients",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Server]:
        return super().get_queryset(request).defer("connectors")

    def get_fieldsets(self, request: HttpRequest, obj: Server | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            # Where it is and how one signs in there is for those who set it up.
            return ((None, {"fields": ("name", "open_to_new_clients")}),)
        return self.fieldsets

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return columns if self.has_change_permission(request) else [name for name in columns if name != "base_url"]

    def get_search_fields(self, request: HttpRequest) -> Any:
        return self.search_fields if self.has_change_permission(request) else ("name",)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # Asked letter by letter, a filter tells what no column shows.
        hidden = () if self.has_change_permission(request) else ("base_url", "username", "password", "verify_tls")
        return lookup.partition("__")[0] not in hidden and super().lookup_allowed(lookup, value, request)

    def has_delete_permission(self, request: HttpRequest, obj: Server | None = None) -> bool:
        # What is asked before a server is deleted names the clients on it.
        return super().has_delete_permission(request, obj) and sees_every_client(request.user)

    @display(
        description="connection",
        label={"ok": "success", "not checked yet": "info", "failed": "danger"},
        ordering="reachable",
    )
    def health(self, server: Server) -> tuple[str, str]:
        if isinstance(server.password, Unreadable):
            return "failed", "password can't be read"
        words = server.health_in_short
        return (words, words) if words in {"ok", "not checked yet"} else ("failed", words)

    @display(description="latency", ordering="latency_ms")
    def latency(self, server: Server) -> str:
        return "—" if server.latency_ms is None else f"{server.latency_ms} ms"


@admin.register(Client)
class ClientAdmin(SheetMixin, OperatesMixin, KeepsOthersChangesMixin, ScopedMixin):
    sheet_class = ClientSheet
    form = ClientForm
    operation_kinds = ("push_profile", "verify_profile", "recreate_profile")
    facts_template = "accounts/client_facts.html"
    list_before_template = "accounts/above_clients.html"
    when_empty = "A client is a customer whose money the bots trade. Add one, then its exchange keys, then a bot."
    list_display = ("name", "account_name", "server", "account_manager", "status_label", "profile_label")
    list_filter = ("status", ("server", VisibleFilter), ("account_manager", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("server", "account_manager")
    search_fields = ("name", "account_name")

    def operations_about(self, obj: Client) -> models.QuerySet[Operation]:
        """What was done to the client's keys and bots was done for the client."""
        of_each = Operation.objects.of_each
        return super().operations_about(obj) | of_each(obj.keys.all()) | of_each(obj.bots.all())

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Client]:
        return super().get_queryset(request).prefetch_related("keys", "profiles__pushed_keys")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # A client without a manager would be out of sight of the one who adds it.
        own = {} if sees_every_client(request.user) else {"account_manager": request.user.pk}
        return own | super().get_changeform_initial_data(request)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """With its balances counted, and neither read nor listed: they are thousands."""
        collector = _WithoutBalances(using=DEFAULT_DB_ALIAS, origin=objs)
        collector.collect(objs)
        rows: dict[Any, Any] = collector.model_objs
        counts = {model._meta.verbose_name_plural: len(found) for model, found in rows.items()}
        if balances := Balance.objects.filter(profile__client__in=objs).count():
            counts[Balance._meta.verbose_name_plural] = balances
        lacking = {
            model._meta.verbose_name
            for model in filter(self.admin_site.is_registered, rows)
            for row in rows[model]
            if not self.admin_site.get_model_admin(model).has_delete_permission(request, row)
        }
        return collector.nested(_as_listed), counts, lacking, list(map(_as_listed, collector.protected))

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        # Nobody takes a client, or hands one on, who may not: one that is added is the own one, see ``save_model``.
        return () if request.user.has_perm("accounts.assign_client") else ("manager",)

    @display(description="account manager")
    def manager(self, client: Client) -> str:
        """Without the link to a user's page that Django gives such a field: who may not assign may not open it."""
        return str(client.account_manager or "")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "server":
            kwargs["queryset"] = Server.objects.choosable_by(request.user)
        if db_field.name == "account_manager":
            kwargs["queryset"] = get_user_model().objects.filter(is_staff=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        details, profile = ["name", "server", "status"], ["account_name"]
        if obj or request.user.has_perm("accounts.assign_client"):
            details.insert(1, "account_manager" if request.user.has_perm("accounts.assign_client") else "manager")
        if self._may_choose_profile(request, obj):
            profile.append("existing_profile")
        if not (obj and obj.is_pushed):
            profile.append("use_master_account")
        return (
            (None, {"fields": details}),
            ("Credentials profile", {"fields": profile}),
            ("Notes", {"fields": ("notes",)}),
        )

    def get_form(self, request: HttpRequest, obj: Client | None = None, **kwargs: Any) -> Any:
        if not self._may_choose_profile(request, obj):
            # Not to show a field is not enough: a form takes each field that it declares.
            kwargs["form"] = NewProfileClientForm
        return super().get_form(request, obj, **kwargs)

    @staticmethod
    def _may_choose_profile(request: HttpRequest, client: Client | None) -> bool:
        return request.user.has_perm("accounts.take_over_profile") and not (client and client.is_pushed)

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if not change and not request.user.has_perm("accounts.assign_client"):
            obj.account_manager_id = request.user.pk
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


class _WithoutBalances(NestedObjects):
    """What is deleted together with a row, but for the balances."""

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> models.QuerySet[Any]:
        related: models.QuerySet[Any] = super().related_objects(related_model, related_fields, objs)
        return related.none() if related_model is Balance else related


def _as_listed(row: Any) -> str:
    """A row among those that are deleted: what it is, with a link where it has a page."""
    what, url = capfirst(row._meta.verbose_name), getattr(row, "get_absolute_url", None)
    return format_html('{}: <a href="{}">{}</a>', what, url(), row) if url else f"{what}: {row}"


class RenewalFilter(admin.SimpleListFilter):
    title = "rotation"
    parameter_name = "renewal"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(renewal.value, renewal.label) for renewal in Renewal]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.to_renew(self.value()) if self.value() else queryset  # type: ignore[attr-defined]


@admin.register(ExchangeKey)
class ExchangeKeyAdmin(SheetMixin, OperatesMixin, KeepsOthersChangesMixin, ScopedMixin):
    """A key is entered on its first page and on that for its rotation; its own page never asks for it."""

    sheet_class = KeySheet
    form = KeyPageForm
    operation_kinds = ("test_key", "rotate_key", "push_profile")
    facts_template = "accounts/key_facts.html"
    when_empty = "An exchange key lets bots trade for a client. It is entered once for each client and exchange."
    list_display = ("client", "connector_label", "api_key_hint", "state_label", "renewal_label", "changed_at")
    list_filter = (RenewalFilter, "connector", ("client", VisibleFilter))
    list_select_related = ("client__server",)
    search_fields = ("client__name", "connector")

    delete_confirmation_template = "accounts/delete_key.html"

    class Media:
        js = ("connector_fields.js",)

    def operation_subject(self, obj: ExchangeKey, kind: Kind) -> Any:
        return obj if kind.subject_model is ExchangeKey else obj.client

    def operations_about(self, obj: ExchangeKey) -> models.QuerySet[Operation]:
        """What was done to the client's profile, and to bots, sent the key too."""
        of_bots = Operation.objects.of_each(obj.client.bots.filter(connector=obj.connector))
        return super().operations_about(obj) | Operation.objects.of(obj.client) | of_bots

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        # Which bots are redeployed is chosen for each key.
        actions.pop("rotate_key", None)
        return actions

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ExchangeKey]:
        return super().get_queryset(request).prefetch_related("client__profiles__pushed_keys")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.rotate_view)
        return [path("<path:object_id>/rotate/", view, name="accounts_exchangekey_rotate"), *super().get_urls()]

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form for a key's new values. Saved, it leads to the page that asks for sending them."""
        key = self.get_object(request, object_id)
        if key is None:
            raise Http404
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        only_save = {"show_save_and_continue": False, "show_save_and_add_another": False, "show_delete": False}
        return self.changeform_view(request, object_id, "", {"title": f"Rotate {key}", **only_save})

    @staticmethod
    def _rotates(request: HttpRequest) -> bool:
        match = request.resolver_match
        return match is not None and match.url_name == "accounts_exchangekey_rotate"

    def save_model(self, request: HttpRequest, obj: ExchangeKey, form: Any, change: bool) -> None:
        if change and not self._rotates(request):
            # And nothing else: new values, or what the exchange said of them, may have been written meanwhile.
            obj.save(update_fields=("expires_on", "minimum_balances"))
        else:
            super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ExchangeKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        if {"_continue", "_addanother"}.isdisjoint(request.POST):
            messages.success(
                request, f"The key {obj} was added successfully. “Test key” sends it to the server and tries it."
            )
            return HttpResponseRedirect(obj.get_absolute_url())
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: ExchangeKey) -> HttpResponse:
        if not self._rotates(request):
            return super().response_change(request, obj)
        messages.success(request, "The new values are saved here, and sent nowhere yet.")
        if not request.user.has_perm(kinds.get("rotate_key").permission):
            return HttpResponseRedirect(obj.get_absolute_url())
        return HttpResponseRedirect(reverse("admin:accounts_exchangekey_operate", args=[obj.pk, "rotate_key"]))

    def get_readonly_fields(self, request: HttpRequest, obj: ExchangeKey | None = None) -> tuple[str, ...]:
        return ("client", "connector") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: ExchangeKey | None = None) -> Any:
        identity = ("client", "connector")
        if obj and not self._rotates(request):
            # Who may only look finds them above the form, in words.
            minimums = ("minimum_balances",) if self.has_change_permission(request, obj) else ()
            return [(None, {"fields": (*identity, "expires_on", *minimums)})]
        connector, server = self.chosen(request, obj)
        names = [field.name for field in entries(server.fields_of(connector) or ())]
        if not names:
            return [(None, {"fields": identity})]
        values = {"fields": [*names, "expires_on"], "description": _guide(connector, server, rotates=obj is not None)}
        return [(None, {"fields": identity}), ("New values" if obj else "Values", values)]

    def get_form(self, request: HttpRequest, obj: ExchangeKey | None = None, **kwargs: Any) -> Any:
        kwargs["fields"] = ("expires_on", "minimum_balances") if obj else None
        if obj is None or self._rotates(request):
            connector, server = self.chosen(request, obj)
            kwargs["form"] = exchange_key_form(connector, server.fields_of(connector))
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

    def chosen(self, request: HttpRequest, obj: ExchangeKey | None) -> tuple[str, Server]:
        """The connector and the server that say what the form asks for; without a client, a server of no host."""
        if obj is not None:
            return obj.connector, obj.client.server
        chosen = request.POST if request.method == "POST" else request.GET
        client_id = chosen.get("client", "")
        clients = Client.objects.visible_to(request.user)
        client = clients.filter(pk=client_id).first() if is_row_number(client_id) else None
        return chosen.get("connector", ""), client.server if client else Server()

    @display(description="connector", ordering="connector")
    def connector_label(self, key: ExchangeKey) -> str:
        return with_badge(key.connector)

    @display(
        description="rotation",
        ordering="changed_at",
        label={Renewal.EXPIRED: "danger", Renewal.DUE: "warning", Renewal.NOT_DUE: ""},
    )
    def renewal_label(self, key: ExchangeKey) -> tuple[str, str]:
        renewal = key.renewal
        return renewal.value, renewal.label

    @display(description="API key")
    def api_key_hint(self, key: ExchangeKey) -> str:
        return f"…{key.hint}" if key.hint else "hidden"

    @display(description="state", label=KEY_COLOURS)
    def state_label(self, key: ExchangeKey) -> tuple[str, str]:
        state = key.state
        return state.value, state.label


def _guide(connector: str, server: Server, *, rotates: bool) -> str:
    """How a key for the connector is made, above its fields."""
    exchange, market = exchange_of(connector), market_of(connector)
    facts: dict[str, Any] = {"connector": connector, "exchange": exchange, "host": server.host, "rotates": rotates}
    if exchange:
        facts["url"] = exchange.test_url if market.money is Money.TESTNET else exchange.url
        facts["allow"] = exchange.allow_perpetual if market.perpetual else exchange.allow
    return render_to_string("accounts/key_guide.html", facts)


def _say_what_stays(request: HttpRequest, key: ExchangeKey) -> None:
    """A key that was deleted here and had been pushed is on each of those servers still."""
    for profile in key.client.profiles.all():
        if profile.fingerprint_of(key.connector) is not None:
            messages.warning(
                request,
                f"The {key.connector} key was deleted here only: it is in {profile} still, and with bots that run. "
                "Archive them, then revoke the key at the exchange.",
            )
