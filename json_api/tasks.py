"""The queue's side of the JSON API: what need not be remembered any longer is forgotten."""

from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from json_api.models import TakenRequest


@db_periodic_task(crontab(hour="3", minute="20"))
def forget_taken_requests() -> None:
    TakenRequest.objects.outdated(timezone.now()).delete()
