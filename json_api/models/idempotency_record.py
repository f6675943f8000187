"""Which requests the JSON API has taken already."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from operations.models import Batch, Operation


class IdempotencyRecordQuerySet(models.QuerySet["IdempotencyRecord"]):
    def outdated(self, now: datetime) -> Self:
        return self.filter(taken_at__lt=now - timedelta(seconds=settings.API["IDEMPOTENCY"]))


class IdempotencyRecord(models.Model):
    """A request that came with an ``Idempotency-Key``, and the operation or the batch that it submitted.

    The row is written in the transaction that submits it: either both exist or neither.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="A keyed hash of the request.")
    operation = models.ForeignKey(Operation, null=True, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, related_name="+")
    taken_at = models.DateTimeField(default=timezone.now)

    objects = IdempotencyRecordQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="unique_idempotency_key_per_user"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def submitted(self) -> Operation | Batch | None:
        return self.operation or self.batch

    def record(self, submitted: Operation | Batch) -> None:
        """Keep what the request has submitted."""
        name = "batch" if isinstance(submitted, Batch) else "operation"
        setattr(self, name, submitted)
        self.save(update_fields=[name])
