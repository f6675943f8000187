"""Orders that bots may have left open at their exchange: which, and that a person has dealt with them."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Path, Schema

from bots.models import OrphanedOrders
from json_api.auth import may_deploy, may_read, require
from json_api.problems import FieldsInvalid
from json_api.router import PanelRouter
from json_api.routes.bots import visible
from json_api.schemas.common import Body, Id

router = PanelRouter(tags=["bots"])


class OpenOrderOut(Schema):
    """An order that may be open. Unknown values are empty. Numbers are strings, with all their digits."""

    side: str
    amount: str
    price: str
    trading_pair: str
    exchange_order_id: str
    client_order_id: str


class OrphanedOrdersOut(Schema):
    """Orders that one instance may have left open."""

    version: str = Field(description="Identifies these orders as listed here. Send it to confirm them.")
    instance: str
    connector: str
    pair: str
    reason: str
    found_at: datetime
    orders: list[OpenOrderOut]

    @staticmethod
    def resolve_instance(orphaned: OrphanedOrders) -> str:
        return str(orphaned.deployment)

    @staticmethod
    def resolve_connector(orphaned: OrphanedOrders) -> str:
        return orphaned.deployment.connector

    @staticmethod
    def resolve_pair(orphaned: OrphanedOrders) -> str:
        return orphaned.deployment.trading_pair


class Confirmation(Body):
    """The records that a user has resolved, at the version that was listed."""

    versions: list[str] = Field(
        [], description="The “version” of each record, as listed by GET /bots/{id}/orphaned-orders."
    )


def _unresolved(request: HttpRequest, bot_id: int) -> Any:
    bot = get_object_or_404(visible(request), pk=bot_id)
    return OrphanedOrders.objects.unresolved().filter(deployment__bot=bot).select_related("deployment")


@router.get("/bots/{bot_id}/orphaned-orders", response=list[OrphanedOrdersOut], auth=may_read)
def list_orphaned_orders(request: HttpRequest, bot_id: Path[Id]) -> Any:
    """Lists the unresolved orders that the bot may have left open at its exchange."""
    return list(_unresolved(request, bot_id))


@router.post("/bots/{bot_id}/orphaned-orders/resolve", response=list[OrphanedOrdersOut], auth=may_deploy)
def resolve_orphaned_orders(request: HttpRequest, bot_id: Path[Id], body: Confirmation | None = None) -> Any:
    """Confirm that a user has checked the exchange and canceled any open orders. Returns the records that were
    resolved. Records that changed since they were listed stay unresolved.

    Only after that can bots be deployed or started in that market for the client again.
    """
    require(request.user, "bots.resolve_orders")
    unresolved, versions = _unresolved(request, bot_id), body.versions if body else []
    if not versions:
        raise FieldsInvalid(
            {"versions": [f"List the versions that you have resolved, from GET /bots/{bot_id}/orphaned-orders."]}
        )
    listed = [orphaned for orphaned in unresolved if orphaned.version in versions]
    return [orphaned for orphaned in listed if orphaned.resolve(request.user)]
