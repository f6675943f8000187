"""Webhooks: registered, tested, with their deliveries."""

from typing import Any, Literal

from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Path, Query, Status

from core.acting import SHOWN_ONCE, note
from json_api.auth import may_administer, require
from json_api.models import EventType, Webhook
from json_api.pagination import Paged, page
from json_api.router import PanelRouter
from json_api.schemas.common import Id, Waiting
from json_api.schemas.operations import OperationOut
from json_api.schemas.webhooks import DeliveryOut, DeliveryPage, WebhookChange, WebhookIn, WebhookOut, WebhookWithSecret
from json_api.submit import idempotent, respond, submit
from notifications.sending.outbox import DeliveryState
from operations.problems import NotPossibleNow

router = PanelRouter(tags=["webhooks"])


class DeliveryFilters(Paged):
    state: DeliveryState | None = None
    type: EventType | None = None
    order_by: Literal["id", "-id"] = "-id"


def visible(request: HttpRequest) -> models.QuerySet[Webhook]:
    require(request.user, "json_api.view_webhook")
    return Webhook.objects.visible_to(request.user)


@router.get("/webhooks", response=list[WebhookOut], auth=may_administer)
def list_webhooks(request: HttpRequest) -> Any:
    """Lists the webhooks of the token's user."""
    return visible(request)


@router.post("/webhooks", response={201: WebhookWithSecret}, auth=may_administer)
@transaction.atomic
def create_webhook(request: HttpRequest, response: HttpResponse, body: WebhookIn) -> Any:
    """Register a webhook. Only this response contains the secret that signs its messages."""
    require(request.user, "json_api.add_webhook")
    webhook = Webhook(user=request.user, **body.model_dump())  # type: ignore[misc]
    webhook.renew_secret()
    webhook.full_clean()
    webhook.save()
    note(webhook, SHOWN_ONCE)
    response["Location"] = f"/webhooks/{webhook.pk}"
    return Status(201, webhook)


@router.get("/webhooks/{webhook_id}", response=WebhookOut, auth=may_administer)
def get_webhook(request: HttpRequest, webhook_id: Path[Id]) -> Any:
    return get_object_or_404(visible(request), pk=webhook_id)


@router.patch("/webhooks/{webhook_id}", response=WebhookOut, auth=may_administer)
@transaction.atomic
def change_webhook(request: HttpRequest, webhook_id: Path[Id], body: WebhookChange) -> Any:
    """Change a webhook. A webhook that is enabled again receives no earlier events."""
    require(request.user, "json_api.change_webhook")
    # Locked, so that a secret that is renewed meanwhile is not written back.
    webhook = get_object_or_404(visible(request).select_for_update(of=("self",), no_key=True), pk=webhook_id)
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(webhook, name, value)
    webhook.full_clean()
    webhook.save()
    return webhook


@router.delete("/webhooks/{webhook_id}", response={204: None}, auth=may_administer)
def delete_webhook(request: HttpRequest, webhook_id: Path[Id]) -> Any:
    """Delete a webhook and its deliveries."""
    require(request.user, "json_api.delete_webhook")
    get_object_or_404(visible(request), pk=webhook_id).delete()
    return Status(204, None)


@router.post("/webhooks/{webhook_id}/renew_secret", response=WebhookWithSecret, auth=may_administer)
@transaction.atomic
def renew_secret(request: HttpRequest, webhook_id: Path[Id]) -> Any:
    """Create a new secret. It applies at once, also to deliveries that are waiting."""
    require(request.user, "json_api.change_webhook")
    webhook = get_object_or_404(visible(request), pk=webhook_id)
    webhook.renew_secret()
    webhook.save(update_fields=["secret"])
    note(webhook, SHOWN_ONCE)
    return webhook


@router.post("/webhooks/{webhook_id}/test", response={200: WebhookOut, 202: OperationOut}, auth=may_administer)
def test_webhook(request: HttpRequest, response: HttpResponse, webhook_id: Path[Id], waiting: Query[Waiting]) -> Any:
    """Send one “webhook.test” event now."""
    webhook = get_object_or_404(visible(request), pk=webhook_id)
    operation = idempotent(request, lambda: submit("test_webhook", webhook, request))
    return respond(operation, waiting, response, visible(request))


@router.get("/webhooks/{webhook_id}/deliveries", response=DeliveryPage, auth=may_administer)
def list_deliveries(request: HttpRequest, webhook_id: Path[Id], asked: Query[DeliveryFilters]) -> Any:
    """Lists the webhook's deliveries, newest first. They are kept for 30 days."""
    equal = {"state": asked.state, "type": asked.type}
    deliveries = get_object_or_404(visible(request), pk=webhook_id).deliveries.filter(
        **{name: value for name, value in equal.items() if value is not None}
    )
    return page(request, deliveries, asked, asked.order_by)


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/retry", response=DeliveryOut, auth=may_administer)
def retry_delivery(request: HttpRequest, webhook_id: Path[Id], delivery_id: Path[Id]) -> Any:
    """Retry a delivery that has failed."""
    require(request.user, "json_api.change_webhook")
    delivery = get_object_or_404(get_object_or_404(visible(request), pk=webhook_id).deliveries, pk=delivery_id)
    if not delivery.try_again():
        raise NotPossibleNow("Only a failed delivery can be retried.")
    delivery.refresh_from_db()
    return delivery
