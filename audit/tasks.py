from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from huey.contrib.djhuey import db_task

from audit.models import AuditEvent


@db_task()
def prune_old() -> None:
    if days := settings.AUDIT_KEPT_DAYS:
        AuditEvent.objects.all().prune(before=timezone.now() - timedelta(days=days))
