"""Telling webhooks of events, signed as the convention of standardwebhooks.com has it."""

import base64
import hashlib
import hmac
import time

from bots.models import Bot
from core.encryption import Unreadable
from json_api.models import SECRET_PREFIX, EventType, Webhook, WebhookDelivery
from json_api.problems import WebhookNotAllowed, WebhookOff, WebhookRefused, WebhookUnreadable
from notifications.problems import ChannelRefused
from notifications.sending.http import post
from notifications.sending.outbox import Outbox
from operations.models import Operation


def deliver(webhook: Webhook, event_id: str, body: str) -> None:
    """Post once, signed.

    Raises:
        WebhookRefused, WebhookUnreadable, ChannelForbidden, ChannelUnreachable, ChannelBusy
    """
    if isinstance(webhook.address, Unreadable) or isinstance(webhook.secret, Unreadable):
        raise WebhookUnreadable
    timestamp = str(int(time.time()))
    headers = {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": signature(webhook.secret, event_id, timestamp, body),
    }
    try:
        post(webhook.address, body.encode(), headers=headers, secrets=(webhook.secret,))
    except ChannelRefused as problem:
        refusal = WebhookRefused(problem.message)
    else:
        return
    raise refusal


def signature(secret: str, event_id: str, timestamp: str, body: str) -> str:
    """HMAC-SHA256 over id, time and body, so that neither can be changed nor an old message be sent again unnoticed."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{event_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _notify(delivery: WebhookDelivery) -> None:
    # As it is now: the delivery was read when the pass began.
    webhook = Webhook.objects.filter(pk=delivery.webhook_id, active=True).select_related("user").first()
    if webhook is None:
        raise WebhookOff
    if delivery.type == EventType.BOT_STATE_CHANGED:
        allowed = webhook.may_be_notified_of(Bot, delivery.bot_id)
    else:
        allowed = webhook.may_be_notified_of(Operation, delivery.operation_id)
    if not allowed:
        raise WebhookNotAllowed
    deliver(webhook, delivery.event_id, delivery.body)


outbox = Outbox(WebhookDelivery, "webhook", _notify)
