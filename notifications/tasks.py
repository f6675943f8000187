"""The queue's side of notifications: look for incidents, tell of them, forget them in the end."""

from datetime import timedelta

from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task

from notifications.delivery import outbox
from notifications.models import Incident
from notifications.watch import look

#: Seconds between two looks within the minute that Huey's periodic tasks know.
INTERVAL = 20
#: What is over for so long is forgotten.
KEPT = timedelta(days=90)


@db_periodic_task(crontab())
def plan_looks() -> None:
    for delay in range(0, 60, INTERVAL):
        look_and_tell.schedule(delay=delay)


@db_task()
def look_and_tell() -> None:
    try:
        look(timezone.now())
    finally:
        outbox.send_what_is_due()


@db_periodic_task(crontab(hour="3", minute="23"))
def forget_the_old() -> None:
    """With an incident go its deliveries."""
    Incident.objects.filter(closed_at__lt=timezone.now() - KEPT).delete()
