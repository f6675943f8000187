"""The queue's side of the JSON API: webhooks are told, and what need not be remembered any longer is forgotten."""

from datetime import timedelta

from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task

from json_api.models import IdempotencyRecord, WebhookDelivery
from json_api.webhooks.events import look
from json_api.webhooks.sender import outbox
from operations.tasks import schedule_within_minute

#: Seconds between two looks.
INTERVAL = 20
#: For so long the log of deliveries is kept: longer than events are looked for, or they would be told again.
KEPT = timedelta(days=30)


@db_periodic_task(crontab())
def plan_events() -> None:
    schedule_within_minute(detect_and_send, INTERVAL)


@db_task()
def detect_and_send() -> None:
    try:
        look(timezone.now())
    finally:
        outbox.send_what_is_due()


@db_periodic_task(crontab(hour="3", minute="20"))
def prune_old() -> None:
    now = timezone.now()
    IdempotencyRecord.objects.outdated(now).delete()
    WebhookDelivery.objects.filter(occurred_at__lt=now - KEPT).delete()
