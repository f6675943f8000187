"""The queue's side of the project itself."""

from django.core.management import call_command
from huey.contrib.djhuey import db_task

from controlpanel.access.invitations import outbox


@db_task()
def prune_sessions() -> None:
    call_command("clearsessions")


@db_task()
def send_invitations() -> None:
    outbox.send_due()
