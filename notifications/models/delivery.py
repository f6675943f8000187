"""What was sent of an incident, to which channel."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from notifications.models.channel import Channel
from notifications.models.incident import Incident
from notifications.models.personal import PersonalSettings
from notifications.sending.outbox import DeliveryState, Outgoing, OutgoingQuerySet


class Event(models.TextChoices):
    OPENED = "opened", "opened"
    CLOSED = "closed", "resolved"


class DeliveryQuerySet(OutgoingQuerySet):
    def due(self, now: datetime) -> Self:
        """Return those to try now. The resolution is always sent after the opening, whatever comes in between."""
        earlier = Delivery.objects.filter(
            incident=models.OuterRef("incident"),
            channel=models.OuterRef("channel"),
            event=Event.OPENED,
            state=DeliveryState.WAITING,
        )
        return super().due(now).filter(Q(event=Event.OPENED) | ~models.Exists(earlier))

    def held(self, now: datetime) -> Self:
        """Return those that wait for the end of their user's quiet hours."""
        waiting = self.filter(state=DeliveryState.WAITING, attempts=0, next_attempt_at__gt=now)
        return waiting.filter(channel__user__isnull=False)


class Delivery(Outgoing):
    """One message of an incident to a channel."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=6, choices=Event)

    objects = DeliveryQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            # One notification when it happened, and one when it is resolved.
            models.UniqueConstraint(
                fields=["incident", "channel", "event"], name="unique_event_per_incident_and_channel"
            ),
        ]
        indexes = [models.Index(fields=["state", "next_attempt_at"])]

    def held_until(self, now: datetime) -> datetime | None:
        user = self.channel.user
        settings = PersonalSettings.objects.filter(user=user).first() if user else None
        return settings.quiet_until(now, self.incident.severity) if settings else None

    def __str__(self) -> str:
        return f"{self.incident}, {self.get_event_display()}, to {self.channel}"
