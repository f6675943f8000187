"""The queue's tasks for client reports."""

from django.utils import timezone
from huey.contrib.djhuey import db_task

from client_reports.delivery import send_due


@db_task()
def send_reports() -> None:
    send_due(timezone.now())
