"""Which background workers are alive."""

from datetime import timedelta

from django.db import models
from django.utils import timezone


class WorkerHeartbeat(models.Model):
    """When each background worker last responded: one row per worker process."""

    #: A worker writes a heartbeat every 20 s; after this many seconds without one, it counts as stopped.
    UNRESPONSIVE = 90

    worker = models.CharField(max_length=80, primary_key=True)
    last_seen_at = models.DateTimeField()
    version = models.CharField(max_length=20, blank=True, help_text="The panel's version that it runs.")

    def __str__(self) -> str:
        return f"{self.worker} at {self.last_seen_at:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def alive(cls) -> "models.QuerySet[WorkerHeartbeat]":
        return cls.objects.filter(last_seen_at__gte=timezone.now() - timedelta(seconds=cls.UNRESPONSIVE))

    @classmethod
    def is_alive(cls) -> bool:
        """Return whether any worker is alive."""
        return cls.alive().exists()
