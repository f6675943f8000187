"""Clients and their exchange keys: what the JSON API takes and answers. Secrets are taken, and never answered."""

from datetime import datetime
from typing import Any, Literal

from django.db import models
from ninja import Field, Schema
from pydantic import ConfigDict

from accounts.models import Client, ExchangeKey
from json_api.schemas.common import Body, Id, Page


class ClientIn(Body):
    model_config = ConfigDict(json_schema_extra={"required": ["name", "server"]})

    name: str = ""
    server: str = Field("", description="A server's name.")
    account_name: str = Field(
        "", description="The name of its profile on the server. Defaults to a name made from the client's name."
    )
    notes: str = ""


class ClientChange(Body):
    """Changes to a client. Omitted fields keep their values."""

    name: str = ""
    status: Literal["onboarding", "active", "paused", "offboarded"] = "active"
    notes: str = ""


class ClientOut(Schema):
    id: int
    url: str
    name: str
    account: str = Field(alias="account_name")
    server: str
    account_manager: str | None
    status: str
    profile: str = Field(alias="profile_text", description="How its keys compare to those on the server.")
    created_at: datetime

    @staticmethod
    def rows(clients: models.QuerySet[Client]) -> models.QuerySet[Client]:
        """Return the rows with their related rows, in a constant number of queries."""
        return clients.select_related("server", "account_manager").prefetch_related(
            "keys__client__profiles__pushed_keys", "keys__client__server", "profiles__pushed_keys"
        )

    @staticmethod
    def resolve_url(client: Client) -> str:
        return f"/clients/{client.pk}"

    @staticmethod
    def resolve_server(client: Client) -> str:
        return client.server.name

    @staticmethod
    def resolve_account_manager(client: Client) -> str | None:
        return str(client.account_manager) if client.account_manager else None


class KeyIn(Body):
    """An exchange key: the connector's fields with their values. They are encrypted and can't be read back.

    The fields of a group are nested in it, or named ``group.field``. Send lists and objects as JSON.
    """

    values: dict[str, Any]


class Rotation(Body):
    """The options of a rotation."""

    bots: list[Id] | None = Field(
        None,
        description="IDs of the client's bots to redeploy. Defaults to all bots that trade with the previous key. "
        "Redeploying requires the scope “deploy”.",
    )


class KeyOut(Schema):
    client: str
    connector: str
    hint: str = Field(description="The API key's last characters.")
    state: str = Field(description="How the key compares to the one on the server.")
    changed_at: datetime

    @staticmethod
    def resolve_client(key: ExchangeKey) -> str:
        return key.client.name


class ClientPage(Page):
    results: list[ClientOut]
