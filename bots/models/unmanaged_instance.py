"""Instances that run on servers and that the panel did not deploy."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from accounts.models import Server
from core.acting import note
from core.visibility import AnyUser, sees_every_client

#: How long an instance is remembered after it was last seen: what comes back later under its name may be another one.
REMEMBERED = timedelta(days=7)


class UnmanagedInstanceQuerySet(models.QuerySet["UnmanagedInstance"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return those of every server or none: an instance's name may contain any client's name."""
        return self if sees_every_client(user) else self.none()

    def prune(self, now: datetime) -> None:
        self.filter(last_seen_at__lt=now - REMEMBERED).delete()


class UnmanagedInstance(models.Model):
    """An instance that the panel did not create and never touches. A user may acknowledge it."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="unmanaged_instances")
    name = models.TextField()
    duplicate_of = models.ForeignKey(
        "bots.Bot",
        null=True,
        on_delete=models.SET_NULL,
        related_name="duplicates",
        help_text="The bot whose name it has: two bots may be trading one account.",
    )
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    known_at = models.DateTimeField(null=True, help_text="When it was marked as known.")
    known_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who marked it as known.",
    )

    objects = UnmanagedInstanceQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="unique_unmanaged_instance_per_server"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"{self.server.get_absolute_url()}#what-runs"

    @property
    def runs(self) -> bool:
        """Whether the last poll of its server found it."""
        return self.name in self.server.instances

    def acknowledge(self, user: AnyUser) -> bool:
        """Record that the user knows it; return false when it was acknowledged already."""
        unknown = UnmanagedInstance.objects.filter(pk=self.pk, known_at=None)
        with transaction.atomic():
            if not unknown.update(known_at=timezone.now(), known_by=user):
                return False
            note(self, "marked as known")
        return True

    def withdraw_acknowledgement(self) -> bool:
        """Remove the acknowledgment; return false when there was none."""
        known = UnmanagedInstance.objects.filter(pk=self.pk, known_at__isnull=False)
        with transaction.atomic():
            if not known.update(known_at=None, known_by=None):
                return False
            note(self, "no longer marked as known")
        return True
