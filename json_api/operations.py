"""What the panel does with webhooks: a test event, whose outcome is seen at once."""

import json

from django.utils import timezone

from json_api.models import Webhook
from json_api.webhooks.sender import deliver
from operations.kinds import OperationType, StepContext, StepDefinition, register


def send_test_event(context: StepContext) -> str:
    """May be sent twice when a worker dies in it; the id is the same then."""
    webhook: Webhook = context.subject
    event = {"type": "webhook.test", "timestamp": timezone.now().isoformat(), "data": {"webhook": webhook.name}}
    deliver(webhook, f"evt_test_{context.operation.pk}", json.dumps(event))
    return f"{webhook.host} accepted the event."


@register
class TestWebhook(OperationType[Webhook]):
    name = "test_webhook"
    label = "Send a test event"
    icon = "send"
    subject_model = Webhook
    permission = "json_api.change_webhook"
    steps = (StepDefinition("send", "Send a signed event", send_test_event),)

    def link_for(self, subject: Webhook, concern: str) -> tuple[str, str] | None:
        return ("Open the webhook", subject.get_absolute_url()) if concern in {"webhook", "channel"} else None
