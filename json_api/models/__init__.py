"""Who may call the JSON API, which requests it has accepted already, and which webhooks it notifies."""

from json_api.models.idempotency_record import IdempotencyRecord
from json_api.models.token import EXPIRES_SOON, STALE_AFTER, Scope, Token, token_hash, validate_networks
from json_api.models.webhook import MAX_SUBJECT, SECRET_PREFIX, EventType, LastNotifiedState, Webhook, WebhookDelivery

__all__ = [
    "EXPIRES_SOON",
    "MAX_SUBJECT",
    "SECRET_PREFIX",
    "STALE_AFTER",
    "EventType",
    "IdempotencyRecord",
    "LastNotifiedState",
    "Scope",
    "Token",
    "Webhook",
    "WebhookDelivery",
    "token_hash",
    "validate_networks",
]
