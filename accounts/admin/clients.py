"""Clients in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import NestedObjects
from django.db import DEFAULT_DB_ALIAS, models
from django.http import HttpRequest
from unfold.decorators import display

from accounts.admin.drafts import DraftsMixin
from accounts.admin.exchange_keys import KEY_COLORS
from accounts.admin.servers import as_listed
from accounts.forms.clients import ClientForm, NewProfileClientForm
from accounts.import_export import ClientSheet
from accounts.models import Balance, Client, ClientStatus, Server
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.scoped import ScopedMixin, VisibleFilter
from core.visibility import sees_every_client
from operations.actions import OperatesMixin
from operations.models import Operation
from spreadsheets.admin import SheetMixin


@admin.register(Client)
class ClientAdmin(SheetMixin, OperatesMixin, DraftsMixin, EditConflictMixin, ScopedMixin):
    sheet_class = ClientSheet
    form = ClientForm
    operation_kinds = ("push_profile", "verify_profile", "recreate_profile")
    change_form_outer_before_template = "controlpanel/client/settings.html"
    list_before_template = "accounts/above_clients.html"
    when_empty = "A client is a customer whose money the bots trade. Add a client, then its exchange keys, then a bot."
    list_display = ("name", "account_name", "server", "account_manager", "status_label", "profile_label")
    list_filter = ("status", ("server", VisibleFilter), ("account_manager", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("server", "account_manager")
    search_fields = ("name", "account_name", "bots__trading_pair", "bots__connector")
    search_help_text = "Search by client, account name, pair, exchange or a key's last characters"

    def operations_about(self, obj: Client) -> models.QuerySet[Operation]:
        """Return the operations of the client, of its keys and of its bots."""
        of_each = Operation.objects.of_each
        return super().operations_about(obj) | of_each(obj.keys.all()) | of_each(obj.bots.all())

    def get_search_fields(self, request: HttpRequest) -> Any:
        # A search must not confirm guesses about keys to a user who may not see them.
        of_keys = ("keys__connector", "keys__hint") if request.user.has_perm("accounts.view_exchangekey") else ()
        return (*self.search_fields, *of_keys)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Client]:
        return super().get_queryset(request).prefetch_related("keys", "profiles__pushed_keys")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # A client without a manager would be out of sight of the one who adds it.
        own = {} if sees_every_client(request.user) else {"account_manager": request.user.pk}
        return own | super().get_changeform_initial_data(request)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Count the client's balances instead of reading and listing them: they are thousands."""
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
        return collector.nested(as_listed), counts, lacking, list(map(as_listed, collector.protected))

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        # A user without the permission can neither claim nor reassign a client: a new one is their own, see
        # ``save_model``.
        return () if request.user.has_perm("accounts.assign_client") else ("manager",)

    @display(description="account manager")
    def manager(self, client: Client) -> str:
        """Return the manager's name, without Django's link to a user's page: users who can't assign may not open it."""
        return str(client.account_manager or "")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "server":
            kwargs["queryset"] = Server.objects.choosable_by(request.user)
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
        form = super().get_form(request, obj, **kwargs)
        form.visible_clients = Client.objects.visible_to(request.user)
        return form

    @staticmethod
    def _may_choose_profile(request: HttpRequest, client: Client | None) -> bool:
        return request.user.has_perm("accounts.adopt_profile") and not (client and client.is_pushed)

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if not change and not request.user.has_perm("accounts.assign_client"):
            obj.account_manager_id = request.user.pk
        super().save_model(request, obj, form, change)
        form.adopt()

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
        label={"no key yet": "info"} | {state.label: color for state, color in KEY_COLORS.items()},
    )
    def profile_label(self, client: Client) -> str:
        return client.profile_text


class _WithoutBalances(NestedObjects):
    """What is deleted together with a row, but for the balances."""

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> models.QuerySet[Any]:
        related: models.QuerySet[Any] = super().related_objects(related_model, related_fields, objs)
        return related.none() if related_model is Balance else related
