"""How many operations have ended, how, and how long they took: sums that only grow, and that outlive the operations."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import models, transaction

from operations.models.state import State

if TYPE_CHECKING:
    from operations.models.operation import Operation

#: Durations are counted by whether they were this long at most, in seconds: a stop, a deploy, an archive.
WITHIN = (1, 2, 5, 10, 20, 30, 60, 120, 300, 900)
#: Operations that are counted in one transaction.
PORTION = 2_000


class OperationTally(models.Model):
    """What became of all operations of one type that ended in one way.

    Attributes:
        seconds: how long they took together, from the begin of each to its end.
        within: how many of them took at most so long, for each of ``WITHIN``.
    """

    kind = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10, choices=State)
    count = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0.0)
    within = models.JSONField(default=list)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "outcome"], name="unique_tally")]

    def __str__(self) -> str:
        return f"{self.count} {self.kind} {self.outcome}"

    def add(self, durations: Iterable[float]) -> None:
        """Count operations that took so many seconds."""
        counts = self.within or [0] * len(WITHIN)
        for seconds in durations:
            self.count += 1
            self.seconds += seconds
            counts = [count + (seconds <= limit) for count, limit in zip(counts, WITHIN, strict=True)]
        self.within = counts


def count_ended(operations: "models.QuerySet[Operation]") -> int:
    """Add those of these operations to the sums that have ended and were not counted; return how many there were.

    Each is counted once, also when two workers do this at once: the rows are locked until it is written down.
    """
    with transaction.atomic():
        ended = operations.filter(counted=False, finished_at__isnull=False).order_by("pk")
        locked = ended.select_for_update()
        rows: list[Any] = list(locked.values_list("pk", "kind", "state", "started_at", "finished_at")[:PORTION])
        durations: dict[tuple[str, str], list[float]] = {}
        for _, kind, state, started, finished in rows:
            # One that was canceled before it began took no time.
            took = (finished - started).total_seconds() if started else 0.0
            durations.setdefault((kind, state), []).append(took)
        for (kind, outcome), took in durations.items():
            tally, _ = OperationTally.objects.get_or_create(kind=kind, outcome=outcome)
            tally.add(took)
            tally.save()
        operations.filter(pk__in=[row[0] for row in rows]).update(counted=True)
    return len(rows)
