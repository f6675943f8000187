"""What the worker does about the trail: seals what a crash left, and prunes what is too old."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from huey.contrib.djhuey import db_task

from audit import chain
from audit.models import AuditEvent, ChainHead
from core.acting import note

#: Batches of one run: the rows from before there was a chain take several.
BATCHES = 40


@db_task()
def seal_left() -> None:
    """Seal what was not sealed after its transaction. Usually nothing, and then the chain's head is not locked."""
    for _ in range(BATCHES):
        if not AuditEvent.objects.unsealed().exists() or not chain.seal():
            return


@db_task()
def prune_old() -> None:
    days = settings.AUDIT_KEPT_DAYS
    if days and (pruned := chain.prune(before=timezone.now() - timedelta(days=days))):
        head = ChainHead.objects.get()
        note(None, "pruned", f"{pruned} rows, up to {head.pruned_position}:{head.pruned_hash}")
