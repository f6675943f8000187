"""Clients, their exchange keys (written, never read back) and their credentials profiles."""

from typing import Any, Literal

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Path, Query, Status

from accounts.definitions import client_define, client_save
from accounts.keys import key_store
from accounts.models import Client, ClientStatus, ExchangeKey
from bots.operations.steps.rotate_key import to_redeploy
from core.http import signed_in_user
from json_api.auth import may_administer, may_read, may_write_keys, require, require_scope
from json_api.models import Scope
from json_api.pagination import Paged, Term, page
from json_api.problems import FieldsInvalid
from json_api.router import PanelRouter
from json_api.schemas.clients import ClientChange, ClientIn, ClientOut, ClientPage, KeyIn, KeyOut, Rotation
from json_api.schemas.common import Id, Waiting
from json_api.schemas.operations import OperationOut
from json_api.submit import idempotent, respond, submit
from operations.models import Operation

router = PanelRouter(tags=["clients"])


class ClientFilters(Paged):
    server: str | None = Field(None, description="The server's name.")
    account: str | None = Field(None, description="The account name.")
    status: ClientStatus | None = None
    search: Term | None = Field(None, description="Part of the name.")
    order_by: Literal["id", "-id", "name", "-name"] = "name"


def visible(request: HttpRequest) -> Any:
    require(request.user, "accounts.view_client")
    return ClientOut.rows(Client.objects.visible_to(request.user))


@router.get("/clients", response=ClientPage, auth=may_read)
def list_clients(request: HttpRequest, asked: Query[ClientFilters]) -> Any:
    """Lists the clients that the token's user may see."""
    equal = {"server__name": asked.server, "account_name": asked.account, "status": asked.status}
    clients = visible(request).filter(**{name: value for name, value in equal.items() if value is not None})
    if asked.search:
        clients = clients.filter(name__icontains=asked.search)
    return page(request, clients, asked, asked.order_by)


@router.post("/clients", response={201: ClientOut}, auth=may_administer)
def create_client(request: HttpRequest, response: HttpResponse, body: ClientIn) -> Any:
    """Add a client. Nothing is sent to its server until its keys are pushed."""
    require(request.user, "accounts.add_client")
    client = client_define(user=signed_in_user(request), **body.model_dump())
    response["Location"] = f"/clients/{client.pk}"
    return Status(201, client)


@router.get("/clients/{client_id}", response=ClientOut, auth=may_read)
def get_client(request: HttpRequest, client_id: Path[Id]) -> Any:
    return get_object_or_404(visible(request), pk=client_id)


@router.patch("/clients/{client_id}", response=ClientOut, auth=may_administer)
@transaction.atomic
def change_client(request: HttpRequest, client_id: Path[Id], body: ClientChange) -> Any:
    require(request.user, "accounts.change_client")
    client = get_object_or_404(visible(request).select_for_update(of=("self",), no_key=True), pk=client_id)
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(client, name, value)
    client_save(client)
    return client


@router.get("/clients/{client_id}/keys", response=list[KeyOut], auth=may_read)
def list_keys(request: HttpRequest, client_id: Path[Id]) -> Any:
    """Lists the client's exchange keys with their state, never with their values."""
    require(request.user, "accounts.view_exchangekey")
    return get_object_or_404(visible(request), pk=client_id).keys.all()


@router.put("/clients/{client_id}/keys/{connector}", response={200: KeyOut, 201: KeyOut}, auth=may_write_keys)
@transaction.atomic
def write_key(request: HttpRequest, client_id: Path[Id], connector: str, body: KeyIn) -> Any:
    """Store a key, replacing the existing one. The next push sends it to the server."""
    # Locked, so that of two new keys for one connector the second finds the first.
    client = get_object_or_404(visible(request).select_for_update(of=("self",), no_key=True), pk=client_id)
    key = client.keys.filter(connector=connector).first()
    require(request.user, "accounts.change_exchangekey" if key else "accounts.add_exchangekey")
    stored = key_store(client=client, connector=connector, values=body.values)
    return Status(200 if key else 201, stored)


@router.delete("/clients/{client_id}/keys/{connector}", response={204: None}, auth=may_write_keys)
def delete_key(request: HttpRequest, client_id: Path[Id], connector: str) -> Any:
    """Delete a key from the panel. It remains on servers that it was pushed to: revoke it at the exchange."""
    require(request.user, "accounts.delete_exchangekey")
    client = get_object_or_404(visible(request), pk=client_id)
    get_object_or_404(client.keys, connector=connector).delete()
    return Status(204, None)


@router.post(
    "/clients/{client_id}/keys/{connector}/{action}",
    response={200: KeyOut, 202: OperationOut},
    auth=may_write_keys,
    operation_id="act_on_key",
)
def act_on_key(
    request: HttpRequest,
    response: HttpResponse,
    client_id: Path[Id],
    connector: str,
    action: Literal["test", "rotate"],
    waiting: Query[Waiting],
    body: Rotation | None = None,
) -> Any:
    """Test a key: send it to the server, which signs in to the exchange with it. Or rotate a key: push its new
    values to the server and request a redeploy of the bots that run with the previous ones.
    """
    require(request.user, "accounts.view_exchangekey")

    clients = visible(request).filter(pk=client_id).values("pk")
    keys = ExchangeKey.objects.filter(client__in=clients, connector=connector)

    def submit_for_key() -> Operation:
        key = get_object_or_404(keys)
        if action == "test":
            if body and body.model_fields_set:
                raise FieldsInvalid.not_taken(action, body.model_fields_set)
            return submit("test_key", key, request)
        chosen = body.bots if body else None
        bots = [deployment.bot_id for deployment in to_redeploy(key)] if chosen is None else chosen
        if bots:
            require_scope(request.auth, Scope.DEPLOY)  # type: ignore[attr-defined]
        return submit("rotate_key", key, request, bots=bots)

    operation = idempotent(request, submit_for_key)
    return respond(operation, waiting, response, keys)


@router.post(
    "/clients/{client_id}/profile/{action}",
    response={200: ClientOut, 202: OperationOut},
    auth=may_write_keys,
    operation_id="act_on_profile",
)
def act(
    request: HttpRequest,
    response: HttpResponse,
    client_id: Path[Id],
    action: Literal["push", "verify", "recreate"],
    waiting: Query[Waiting],
) -> Any:
    """Push the client's keys to its server, or verify which of them are there. Or recreate a profile that the panel
    created, when the server can no longer read its keys: this deletes the account on the server and pushes the keys
    again.
    """
    client = get_object_or_404(visible(request), pk=client_id)
    operation = idempotent(request, lambda: submit(f"{action}_profile", client, request))
    return respond(operation, waiting, response, visible(request))
