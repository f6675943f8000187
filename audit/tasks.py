"""What the worker does about the trail: seals what a crash left, records what expires, and prunes what is too old."""

from datetime import UTC, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db.models import CharField, Exists, OuterRef, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone
from huey.contrib.djhuey import db_task

from audit import chain
from audit.models import AuditEvent
from client_reports.models import ShareLink
from core.acting import note
from json_api.models import Token

#: Batches of one run: the rows from before there was a chain take several.
BATCHES = 40
#: What expired before is not looked for, in case the worker was off.
LOOKED_BACK = timedelta(days=7)


@db_task()
def seal_left() -> None:
    """Seal what was not sealed after its transaction. Usually nothing, and then the chain's head is not locked."""
    for _ in range(BATCHES):
        if not AuditEvent.objects.unsealed().exists() or not chain.seal():
            return


@db_task()
def record_expired() -> None:
    """Record that tokens and links have expired, which nobody does and no row shows when it happens."""
    now = timezone.now()
    for model in (Token, ShareLink):
        recorded = AuditEvent.objects.filter(
            subject_kind=model._meta.label_lower,
            subject_id=Cast(OuterRef("pk"), CharField()),
            verb="expired",
            at__gte=OuterRef("expires_at"),
        )
        rows: QuerySet[Any] = model._default_manager.filter(expires_at__gt=now - LOOKED_BACK, expires_at__lte=now)
        for row in rows.filter(revoked_at=None).exclude(Exists(recorded)):
            note(row, "expired", f"{row.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


@db_task()
def prune_old() -> None:
    if days := settings.AUDIT_KEPT_DAYS:
        before = timezone.now() - timedelta(days=days)
        chain.prune(before)
        LogEntry.objects.filter(action_time__lt=before).delete()
