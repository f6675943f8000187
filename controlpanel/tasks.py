"""The queue's side of the project itself."""

from django.core.management import call_command
from huey.contrib.djhuey import db_task

from controlpanel.access import brake, invitations, notices


@db_task()
def prune_sessions() -> None:
    call_command("clearsessions")
    notices.prune()
    brake.prune()


@db_task()
def send_invitations() -> None:
    invitations.outbox.send_due()


@db_task()
def send_notices() -> None:
    notices.outbox.send_due()
