"""The operations that have not ended: what is worked on, what waits, and how long."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from operations.models import Operation, State


@dataclass(frozen=True)
class Backlog:
    """Attributes:
    queued: not begun.
    acting: worked on, or abandoned by a worker that was lost.
    waiting: begun, and waiting for something without a worker.
    oldest_seconds: how long the oldest of the queued ones has waited; 0 when there is none.
    """

    queued: int
    acting: int
    waiting: int
    oldest_seconds: float


def backlog(now: datetime) -> Backlog:
    """One query."""
    queued = Q(state=State.QUEUED)
    found = Operation.objects.active().aggregate(
        queued=Count("pk", filter=queued),
        acting=Count("pk", filter=Q(state=State.RUNNING, wake_at=None)),
        waiting=Count("pk", filter=Q(state=State.RUNNING, wake_at__isnull=False)),
        oldest=Min("requested_at", filter=queued),
    )
    oldest = found.pop("oldest")
    return Backlog(**found, oldest_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0)
