"""The queue's side of the JSON API: webhooks are notified, and outdated rows are pruned."""

from datetime import timedelta

from django.utils import timezone
from huey.contrib.djhuey import db_task

from json_api.models import IdempotencyRecord, WebhookDelivery
from json_api.webhooks.events import detect
from json_api.webhooks.sender import outbox

#: How long deliveries are kept: longer than events are searched for, or they would be sent again.
KEPT = timedelta(days=30)


@db_task()
def detect_and_send() -> None:
    try:
        detect(timezone.now())
    finally:
        outbox.send_due()


@db_task()
def prune_old() -> None:
    now = timezone.now()
    IdempotencyRecord.objects.outdated(now).delete()
    WebhookDelivery.objects.filter(occurred_at__lt=now - KEPT).delete()
