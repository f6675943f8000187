"""The queue's side of the project itself."""

from django.core.management import call_command
from huey import crontab
from huey.contrib.djhuey import db_periodic_task


@db_periodic_task(crontab(hour="3", minute="35"))
def prune_sessions() -> None:
    call_command("clearsessions")
