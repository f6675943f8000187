"""The queue's side of the project itself."""

from django.core.management import call_command
from huey.contrib.djhuey import db_task


@db_task()
def prune_sessions() -> None:
    call_command("clearsessions")
