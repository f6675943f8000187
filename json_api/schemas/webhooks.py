"""Webhooks and their deliveries: what the JSON API takes and answers."""

from datetime import datetime
from typing import Literal

from ninja import Field, Schema
from pydantic import ConfigDict

from json_api.models import EventType, Webhook, WebhookDelivery
from json_api.schemas.common import Page
from notifications.outbox import DeliveryState


class WebhookIn(Schema):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["name", "address"]})

    name: str = ""
    address: str = Field("", description="Where to post, with https://. It can be replaced, and not read back.")
    events: list[EventType] = Field([], description="What to tell; all of it when this is empty.")
    active: bool = True


class WebhookChange(Schema):
    """What to change of a webhook. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    address: str = ""
    events: list[EventType] = []
    active: bool = True


class WebhookOut(Schema):
    id: int
    url: str
    name: str
    host: str = Field(description="Whom it tells: the address without what may be a password in it.")
    events: list[str]
    active: bool
    since: datetime = Field(description="It is told of nothing older.")

    @staticmethod
    def resolve_url(webhook: Webhook) -> str:
        return f"/webhooks/{webhook.pk}"


class WebhookWithSecret(WebhookOut):
    secret: str = Field(description="What its messages are signed with. It is shown this once.")


class DeliveryOut(Schema):
    id: int
    event_id: str = Field(description="The header Webhook-Id.")
    type: str
    about: str
    occurred_at: datetime
    state: Literal["waiting", "sent", "failed"]
    attempts: int
    next_attempt_at: datetime | None = Field(description="While it waits.")
    sent_at: datetime | None
    error_code: str
    last_error: str

    @staticmethod
    def resolve_next_attempt_at(delivery: WebhookDelivery) -> datetime | None:
        return delivery.next_attempt_at if delivery.state == DeliveryState.WAITING else None


class DeliveryPage(Page):
    results: list[DeliveryOut]
