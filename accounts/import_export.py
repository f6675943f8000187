"""Clients and exchange keys as rows of a table."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from accounts.definitions import account_managers, not_found
from accounts.forms.exchange_keys import ENTERED_AS
from accounts.keys import read_key
from accounts.models import Client, ClientStatus, ExchangeKey, Server
from accounts.models.client import NAME_TAKEN
from core.encryption import fingerprint
from core.exchanges import wording_of
from hummingbot_api.connectors import KNOWN_CONNECTORS, choice_for, entries, is_paper_trade
from hummingbot_api.results import ConnectorField
from spreadsheets.sheets import NONE, Change, Column, Group, Sheet
from spreadsheets.tables import Row

NO_SUCH_CLIENT = "This client does not exist."


class ClientSheet(Sheet[Client]):
    model = Client
    key = ("name",)
    fields = ("account_name", "server", "account_manager", "status", "notes")
    columns = (
        Column("name", "The client's name. It identifies the row.", "Sample Trading", required=True),
        Column("server", "The name of the server.", "My server", required=True),
        Column(
            "account_name",
            "The name of the credentials profile. If empty, it is made from the client's name.",
            "client_sample",
        ),
        Column("account_manager", "The username of the account manager. If empty, yourself or nobody."),
        Column("status", f"One of {', '.join(ClientStatus.labels)}.", ClientStatus.ONBOARDING.label),
        Column("notes", "Free text."),
        Column("created_at", "When the client was added, in UTC.", read_only=True),
    )
    next_step = "Nothing was sent to a server. Next, add or import the clients' exchange keys."

    def prepare(self, rows: Sequence[Row]) -> None:
        names = {row.text("name") for row in rows}
        own = Client.objects.visible_to(self.user).filter(name__in=names).select_related("server", "account_manager")
        locked = own.order_by("pk").select_for_update(of=("self",), no_key=True)
        self.clients = {client.name: client for client in locked}
        self.taken = set(Client.objects.filter(name__in=names).values_list("name", flat=True)) - set(self.clients)
        self.servers = {server.name: server for server in Server.objects.choosable_by(self.user).defer("connectors")}
        self.may_assign = self.user.has_perm("accounts.assign_client")
        managers = account_managers() if self.may_assign else User.objects.filter(pk=self.user.pk)
        self.managers = {user.get_username(): user for user in managers}

    def find(self, row: Row) -> Client | None:
        name = row.text("name")
        if name in self.taken:
            row.wrong("name", NAME_TAKEN)
            return None
        # Without a manager it would be out of sight of the one who adds it.
        return self.clients.get(name) or Client(name=name, account_manager=None if self.may_assign else self.user)

    def fill(self, obj: Client, row: Row) -> None:
        if name := row.text("server"):
            if name in self.servers:
                obj.server = self.servers[name]
            else:
                row.wrong("server", not_found("server", name, self.servers))
        if account := row.text("account_name"):
            obj.account_name = account
        self._fill_manager(obj, row)
        if status := row.text("status").lower():
            labels = {word: value for value, label in ClientStatus.choices for word in (value, label.lower())}
            if status in labels:
                obj.status = labels[status]
            else:
                row.wrong("status", f"Choose one of {', '.join(ClientStatus.labels)}.")
        if notes := row.text("notes"):
            obj.notes = "" if notes.lower() == NONE else notes

    def _fill_manager(self, client: Client, row: Row) -> None:
        username = row.text("account_manager")
        present = client.account_manager.get_username() if client.account_manager else NONE
        if not username or username == present:
            return
        if not self.may_assign:
            row.wrong("account_manager", "You don't have permission to choose an account manager. Leave this empty.")
        elif username == NONE:
            client.account_manager = None
        elif username in self.managers:
            client.account_manager = self.managers[username]
        else:
            row.wrong("account_manager", "No user of this name can manage clients.")

    def cells(self, obj: Client) -> dict[str, Any]:
        return {
            "name": obj.name,
            "server": obj.server.name,
            "account_name": obj.account_name,
            "account_manager": obj.account_manager.get_username() if obj.account_manager else None,
            "status": obj.get_status_display(),
            "notes": obj.notes,
            "created_at": obj.created_at,
        }

    def for_export(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.select_related("server", "account_manager").prefetch_related(None)


class KeySheet(Sheet[ExchangeKey]):
    """Values go in, and never come out. No sentence repeats a cell: it may be a secret in the wrong column."""

    model = ExchangeKey
    key = ("client", "connector")
    columns = (
        Column("client", "The client's name.", "Sample Trading", required=True),
        Column("connector", "Hummingbot's name for the exchange.", required=True),
        Column("expires_on", "The last day on which the exchange accepts the key: 2027-01-31. If empty, none."),
        Column("hint", "The API key's last characters.", read_only=True),
        Column("state", "Whether the key matches the one on the server.", read_only=True),
        Column("changed_at", "When the key was entered, in UTC.", read_only=True),
    )
    group_word = "connector"
    note = (
        "A row replaces the whole key, so it needs every value that the connector requires. The file holds keys in "
        "plain text: delete it after the import, and empty the trash."
    )
    next_step = (
        "Nothing was sent to a server. Next, select the clients in their list and use “Push keys”. Running bots keep "
        "their old keys until they are redeployed."
    )

    def groups(self) -> list[Group]:
        connectors: dict[str, Sequence[ConnectorField]] = {}
        for server in Server.objects.visible_to(self.user):
            connectors |= {name: server.fields_of(name) or () for name in server.connector_names}
        connectors = connectors or dict(KNOWN_CONNECTORS)
        return [
            Group(name, tuple(_column(name, field, choice_for(field.name, fields)) for field in entries(fields)))
            for name, fields in sorted(connectors.items())
        ]

    def prepare(self, rows: Sequence[Row]) -> None:
        names = {row.text("client") for row in rows}
        # Each server once: the list of its connectors is long.
        servers = {server.pk: server for server in Server.objects.visible_to(self.user)}
        self.clients = {client.name: client for client in Client.objects.visible_to(self.user).filter(name__in=names)}
        for client in self.clients.values():
            client.server = servers[client.server_id]
        by_pk = {client.pk: client for client in self.clients.values()}
        self.keys: dict[tuple[str, str], ExchangeKey] = {}
        for key in ExchangeKey.objects.select_for_update().filter(client__in=by_pk):
            key.client = by_pk[key.client_id]
            self.keys[key.client.name, key.connector] = key

    def find(self, row: Row) -> ExchangeKey | None:
        client, connector = self.clients.get(row.text("client")), row.text("connector")
        if client is None:
            row.wrong("client", NO_SUCH_CLIENT)
        elif is_paper_trade(connector):
            row.wrong("connector", "Paper trade needs no key. Remove this row.")
        elif client.server.fields_of(connector) is None:
            row.wrong("connector", f"{client.server} has no such connector.")
        else:
            return self.keys.get((client.name, connector)) or ExchangeKey(client=client, connector=connector)
        return None

    def fill(self, obj: ExchangeKey, row: Row) -> None:
        fields = obj.client.server.fields_of(obj.connector) or ()
        texts = {field.name for field in entries(fields) if field.kind == "text"}
        own = {column.name for column in self.columns}
        given = {name: row.verbatim(name) if name in texts else row.values[name] for name in row.values.keys() - own}
        entered = obj.changed_at
        if given or obj._state.adding:
            values, errors = read_key(given, fields)
            for name, sentence in errors.items():
                row.wrong(name, sentence)
            if not row.errors.keys() - {"expires_on"} and (
                not obj.is_readable or fingerprint(values) != obj.fingerprint
            ):
                obj.set_values(values)
        # Another key has another last day.
        day = row.day("expires_on") or (obj.expires_on if obj.changed_at == entered else None)
        if day and day != obj.expires_on and day < timezone.localdate():
            row.wrong("expires_on", "This date has passed. Enter the expiry date of the current key.")
        obj.expires_on = day

    def cells(self, obj: ExchangeKey) -> dict[str, Any]:
        return {
            "client": obj.client.name,
            "connector": obj.connector,
            "expires_on": obj.expires_on,
            "hint": obj.hint,
            "state": obj.state.label,
            "changed_at": obj.changed_at,
        }

    def snapshot(self, obj: ExchangeKey) -> dict[str, Any]:
        return {"values": obj.changed_at, "expires_on": obj.expires_on}

    def changes(self, before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
        # Not which of them: a user who may enter keys could guess one value after the other.
        changes = super().changes(before, after)
        return tuple(Change("values", hidden=True) if change.column == "values" else change for change in changes)

    def validate(self, obj: ExchangeKey, row: Row) -> None:
        if not row.errors:
            super().validate(obj, row)

    def for_export(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.select_related("client__server").prefetch_related("client__profiles__pushed_keys")


def _column(connector: str, field: ConnectorField, choice_of_group: str) -> Column:
    words = wording_of(connector, field.name)
    choice = {"bool": " Yes or no."}.get(field.kind) or f" {ENTERED_AS.get(field.kind, '')}".rstrip()
    if field.allowed_values:
        choice = f" One of {', '.join(field.allowed_values)}."
    if choice_of_group:
        choice += f" Only for {choice_of_group}."
    example = f"made-up-{field.name.replace('_', '-')}" if field.required else ""
    return Column(field.name, f"{words.label}. {words.help}{choice}", example, required=field.required)
