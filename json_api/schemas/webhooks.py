"""Webhooks and their deliveries: what the JSON API takes and answers."""

from datetime import datetime
from typing import Literal

from ninja import Field, Schema
from pydantic import ConfigDict

from json_api.models import EventType, Webhook, WebhookDelivery
from json_api.schemas.common import Body, Page
from notifications.sending.outbox import DeliveryState


class WebhookIn(Body):
    model_config = ConfigDict(json_schema_extra={"required": ["name", "address"]})

    name: str = ""
    address: str = Field("", description="The https:// address to post to. It can be replaced, but not read back.")
    events: list[EventType] = Field([], description="The events to send. If empty, all events.")
    active: bool = True


class WebhookChange(Body):
    """Changes to a webhook. Omitted fields keep their values."""

    name: str = ""
    address: str = ""
    events: list[EventType] = []
    active: bool = True


class WebhookOut(Schema):
    id: int
    url: str
    name: str
    host: str = Field(description="The receiver: the address without any part that may be a password.")
    events: list[str]
    active: bool
    since: datetime = Field(description="Only events after this time are sent.")

    @staticmethod
    def resolve_url(webhook: Webhook) -> str:
        return f"/webhooks/{webhook.pk}"


class WebhookWithSecret(WebhookOut):
    secret: str = Field(description="The secret that signs its messages. It is shown only once.")


class DeliveryOut(Schema):
    id: int
    event_id: str = Field(description="The value of the Webhook-Id header.")
    type: str
    about: str
    occurred_at: datetime
    state: Literal["waiting", "sent", "failed"]
    attempts: int
    next_attempt_at: datetime | None = Field(description="Set while the delivery is waiting.")
    sent_at: datetime | None
    error_code: str
    last_error: str

    @staticmethod
    def resolve_next_attempt_at(delivery: WebhookDelivery) -> datetime | None:
        return delivery.next_attempt_at if delivery.state == DeliveryState.WAITING else None


class DeliveryPage(Page):
    results: list[DeliveryOut]
