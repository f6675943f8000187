"""Exchange keys in the admin: values go in, and never come out."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import mark_safe
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin.drafts import DraftsMixin
from accounts.drafts import draft_of
from accounts.forms.exchange_keys import KeyPageForm, connector_choices, exchange_key_form
from accounts.import_export import KeySheet
from accounts.keys import PAPER_NEEDS_NO_KEY
from accounts.models import Client, ExchangeKey, FormDraft, KeyState, Renewal, Server
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.exchanges import exchange_of
from core.http import is_row_number
from core.templatetags.connectors import with_badge
from hummingbot_api.connectors import AccountType, entries, is_paper_trade, market_of
from operations import kinds
from operations.actions import OperatesMixin
from operations.kinds import OperationType
from operations.models import Operation
from spreadsheets.admin import SheetMixin

KEY_COLORS = {
    KeyState.PUSHED: "success",
    KeyState.CHANGED: "warning",
    KeyState.NOT_PUSHED: "warning",
    KeyState.GONE: "danger",
    KeyState.UNREADABLE: "danger",
}
#: In place of the fields, until an exchange is chosen. The button is for browsers without scripts.
CHOOSE_FIRST = mark_safe(
    "<p>Choose an exchange to see what it needs.</p>"
    '<noscript><button type="submit" name="_choose" value="1" formnovalidate>Show its fields</button></noscript>'
)


class RenewalFilter(admin.SimpleListFilter):
    title = "rotation"
    parameter_name = "renewal"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(renewal.value, renewal.label) for renewal in Renewal]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.to_renew(self.value()) if self.value() else queryset  # type: ignore[attr-defined]


@admin.register(ExchangeKey)
class ExchangeKeyAdmin(SheetMixin, OperatesMixin, DraftsMixin, EditConflictMixin, ScopedMixin):
    """A key is entered on its first page and on the page for its rotation; its own page never shows fields for it."""

    sheet_class = KeySheet
    form = KeyPageForm
    operation_kinds = ("test_key", "rotate_key", "push_profile")
    facts_template = "accounts/key_facts.html"
    when_empty = "An exchange key lets bots trade for a client. Enter it once per client and exchange."
    list_display = (
        *("client", "connector_label", "api_key_hint", "state_label", "test_label", "expiry_label", "renewal_label"),
        "changed_at",
    )
    list_filter = (RenewalFilter, "connector", ("client", VisibleFilter))
    list_select_related = ("client__server",)
    search_fields = ("client__name", "connector", "hint")
    search_help_text = "Search by client, exchange or the key's last characters"

    delete_confirmation_template = "accounts/delete_key.html"

    class Media:
        js = ("connector_fields.js", "tiles.js")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method == "POST" and "_choose" in request.POST:
            # Without scripts: the page again, with the fields of the exchange that was chosen.
            names = ("client", "connector")
            return HttpResponseRedirect(f"?{urlencode({name: request.POST.get(name, '') for name in names})}")
        return super().changeform_view(request, object_id, form_url, extra_context)

    def kept_names(self, request: HttpRequest, draft: FormDraft) -> set[str]:
        """Return the values if they are for the same client and connector; another one's don't count, whatever their
        names.
        """
        sent = {name: request.POST.get(name, "") for name in ("client", "connector")}
        is_same = all(draft.values.get(name, [value]) == [value] for name, value in sent.items())
        return set(draft.values) if is_same else set()

    def operation_subject(self, obj: ExchangeKey, kind: OperationType[Any]) -> Any:
        return obj if kind.subject_model is ExchangeKey else obj.client

    def operations_about(self, obj: ExchangeKey) -> models.QuerySet[Operation]:
        """Return the operations of the client's profile and bots, which sent the key too."""
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
        """Show the form for a key's new values. Saving redirects to the confirmation of sending them."""
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
            # And nothing else: new values, or the exchange's answer about them, may have been written meanwhile.
            obj.save(update_fields=("expires_on", "minimum_balances"))
        else:
            super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ExchangeKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        if {"_continue", "_addanother"}.isdisjoint(request.POST):
            messages.success(
                request,
                f"The key {obj} was added successfully. Use “Test key” to send it to the server and test it at the "
                "exchange.",
            )
            return HttpResponseRedirect(obj.get_absolute_url())
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: ExchangeKey) -> HttpResponse:
        if not self._rotates(request):
            return super().response_change(request, obj)
        messages.success(request, "The new key is saved, but not sent yet.")
        if not request.user.has_perm(kinds.get("rotate_key").permission):
            return HttpResponseRedirect(obj.get_absolute_url())
        return HttpResponseRedirect(reverse("admin:accounts_exchangekey_operate", args=[obj.pk, "rotate_key"]))

    def get_readonly_fields(self, request: HttpRequest, obj: ExchangeKey | None = None) -> tuple[str, ...]:
        return ("client", "connector") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: ExchangeKey | None = None) -> Any:
        identity = ("client", "connector")
        if obj and not self._rotates(request):
            # A user with view permission only finds them above the form, as text.
            minimums = ("minimum_balances",) if self.has_change_permission(request, obj) else ()
            return [(None, {"fields": (*identity, "expires_on", *minimums)})]
        connector, server = self.chosen(request, obj)
        names = [field.name for field in entries(server.fields_of(connector) or ())]
        guide = self.guide(request, connector, server, obj) if names else ""
        without = PAPER_NEEDS_NO_KEY if is_paper_trade(connector) else CHOOSE_FIRST
        values = {"fields": names, "description": guide or without, "classes": ["connector-fields"]}
        return [
            (None, {"fields": identity}),
            ("New API key" if obj else "API key", values),
            ("Expiry", {"fields": ["expires_on"]}),
        ]

    def guide(self, request: HttpRequest, connector: str, server: Server, key: ExchangeKey | None) -> str:
        """Return how a key for the connector is created, to be read beside its fields."""
        exchange, market = exchange_of(connector), market_of(connector)
        may_set = request.user.has_perm("accounts.change_server") and server.pk
        facts: dict[str, Any] = {
            "connector": connector,
            "exchange": exchange,
            "server": server,
            "set_addresses": f"{server.get_absolute_url()}#id_outbound_addresses" if may_set else "",
            "rotates": key is not None,
        }
        if exchange:
            facts["url"] = exchange.test_url if market.account_type is AccountType.TESTNET else exchange.url
            facts["allow"] = exchange.allow_perpetual if market.perpetual else exchange.allow
        return render_to_string("accounts/key_guide.html", facts)

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
                widget=UnfoldAdminSelectWidget(attrs={"data-chooses-fields": ""}),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def chosen(self, request: HttpRequest, obj: ExchangeKey | None) -> tuple[str, Server]:
        """Return the connector and the server that define the form's fields; without a client, a server without a
        host.
        """
        if obj is not None:
            return obj.connector, obj.client.server
        chosen: Any = request.POST if request.method == "POST" else request.GET
        if request.method == "GET" and "connector" not in chosen and (draft := draft_of(request)):
            chosen = {name: entries[0] for name, entries in draft.values.items() if entries}
        client_id = chosen.get("client", "")
        clients = Client.objects.visible_to(request.user)
        client = clients.filter(pk=client_id).first() if is_row_number(client_id) else None
        return chosen.get("connector", ""), client.server if client else Server()

    @display(description="exchange", ordering="connector")
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

    @display(description="at the exchange", label={"accepted": "success", "rejected": "danger", "not tested": ""})
    def test_label(self, key: ExchangeKey) -> str:
        if key.test_passed is None:
            return "not tested"
        return "accepted" if key.test_passed else "rejected"

    @display(description="expires", ordering=models.F("expires_on").asc(nulls_last=True), empty_value="—")
    def expiry_label(self, key: ExchangeKey) -> str | None:
        """Return the last day, with the days that are left."""
        if key.expires_on is None:
            return None
        left = (key.expires_on - timezone.localdate()).days
        when = "today" if left == 0 else f"{-left} days ago" if left < 0 else f"in {left} day{'' if left == 1 else 's'}"
        return f"{date_format(key.expires_on, 'j M Y')}, {when}"

    @display(description="API key")
    def api_key_hint(self, key: ExchangeKey) -> str:
        return f"…{key.hint}" if key.hint else "hidden"

    @display(description="state", label=KEY_COLORS)
    def state_label(self, key: ExchangeKey) -> tuple[str, str]:
        state = key.state
        return state.value, state.label


def _say_what_stays(request: HttpRequest, key: ExchangeKey) -> None:
    """Warn that a deleted key remains on the servers to which it was pushed."""
    for profile in key.client.profiles.all():
        if profile.fingerprint_of(key.connector) is not None:
            messages.warning(
                request,
                f"The {key.connector} key was deleted in the panel only. It is still in {profile} and in running "
                "bots. Archive them, then revoke the key at the exchange.",
            )
