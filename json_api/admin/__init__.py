"""The JSON API in the admin: tokens to call it, webhooks that it notifies."""

from json_api.admin.token import TokenAdmin
from json_api.admin.webhook import WebhookAdmin, WebhookDeliveryAdmin

__all__ = ["TokenAdmin", "WebhookAdmin", "WebhookDeliveryAdmin"]
