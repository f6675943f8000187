"""Who may call the JSON API, which requests it has taken already, and whom it tells of what happens."""

from json_api.models.taken_request import TakenRequest
from json_api.models.token import Scope, Token, token_hash, validate_networks
from json_api.models.webhook import LONGEST_ABOUT, SECRET_PREFIX, EventType, ToldState, Webhook, WebhookDelivery

__all__ = [
    "LONGEST_ABOUT",
    "SECRET_PREFIX",
    "EventType",
    "Scope",
    "TakenRequest",
    "Token",
    "ToldState",
    "Webhook",
    "WebhookDelivery",
    "token_hash",
    "validate_networks",
]
