"""The queue's side of notifications: detect incidents, notify channels, prune in the end."""

from datetime import timedelta

from django.utils import timezone
from huey.contrib.djhuey import db_task

from notifications.models import Incident
from notifications.sending.delivery import outbox
from notifications.watching.detection import detect

#: Resolved incidents are pruned after this time.
KEPT = timedelta(days=90)


@db_task()
def detect_and_notify() -> None:
    try:
        detect(timezone.now())
    finally:
        outbox.send_due()


@db_task()
def prune_old() -> None:
    """Prune incidents with their deliveries."""
    Incident.objects.filter(resolved_at__lt=timezone.now() - KEPT).delete()
