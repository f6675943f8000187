"""Servers in the admin."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.decorators import display

from accounts.admin.drafts import DraftsMixin
from accounts.forms.servers import ServerForm
from accounts.models import Server
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.scoped import ScopedMixin
from core.encryption import Unreadable
from core.visibility import sees_every_client
from operations.actions import OperatesMixin

#: The columns by which everybody may filter servers: all can see them.
FILTERED_BY_ALL = frozenset({"id", "pk", "name", "reachable", "docker_running", "mqtt_connected", "version"})


@admin.register(Server)
class ServerAdmin(OperatesMixin, DraftsMixin, EditConflictMixin, ScopedMixin):
    form = ServerForm
    operation_kinds = ("check_server", "read_controllers")
    facts_template = "accounts/server_facts.html"
    when_empty = "A server is a Hummingbot API host that runs bots. Add one to get started."
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
    search_help_text = "Search by name"
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
                    "outbound_addresses",
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
        # Probed letter by letter, a filter reveals what no column shows: of a server that clients share, the others'
        # names are in its accounts and instances.
        open_to_all = self.has_change_permission(request) or lookup.partition("__")[0] in FILTERED_BY_ALL
        return open_to_all and super().lookup_allowed(lookup, value, request)

    def has_delete_permission(self, request: HttpRequest, obj: Server | None = None) -> bool:
        # The confirmation of a server's deletion names the clients on it.
        return super().has_delete_permission(request, obj) and sees_every_client(request.user)

    @display(
        description="connection",
        label={"ok": "success", "not checked yet": "info", "failed": "danger"},
        ordering="reachable",
    )
    def health(self, server: Server) -> tuple[str, str]:
        if isinstance(server.password, Unreadable):
            return "failed", "password can't be read"
        words = server.health_summary
        return (words, words) if words in {"ok", "not checked yet"} else ("failed", words)

    @display(description="latency", ordering="latency_ms")
    def latency(self, server: Server) -> str:
        return "—" if server.latency_ms is None else f"{server.latency_ms} ms"


def as_listed(row: models.Model) -> str:
    """Return a row of the list of deleted objects: what it is, with a link where it has a page."""
    what, url = capfirst(row._meta.verbose_name), getattr(row, "get_absolute_url", None)
    return format_html('{}: <a href="{}">{}</a>', what, url(), row) if url else f"{what}: {row}"
