"""Webhooks: tools that are notified of events, and the log of their notifications."""

import base64
import secrets
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot
from core.acting import note
from core.encryption import EncryptedTextField, Unreadable
from core.visibility import AnyUser, sees_every_client
from notifications.problems import ChannelForbidden
from notifications.sending.http import check_url
from notifications.sending.outbox import DeliveryState, Outgoing
from operations.models import Operation

#: Characters that are kept of what an event is about.
MAX_SUBJECT = 200
#: A secret starts with this, by convention; what follows is the key in Base64.
SECRET_PREFIX = "whsec_"  # noqa: S105 - the part that is no secret


class EventType(models.TextChoices):
    OPERATION_SUCCEEDED = "operation.succeeded", "an operation succeeded"
    OPERATION_FAILED = "operation.failed", "an operation failed"
    OPERATION_CANCELLED = "operation.cancelled", "an operation was cancelled"
    BOT_STATE_CHANGED = "bot.state_changed", "a bot's state changed"


#: The permissions that an event requires, besides access to its rows.
PERMISSIONS = {Operation: "operations.view_operation", Bot: "bots.view_bot"}


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return the user's own webhooks."""
        return self if user.is_superuser else self.filter(user=user)

    def listening(self) -> Self:
        """Return those that are enabled, of users who may still sign in."""
        return self.filter(active=True, user__is_active=True, user__is_staff=True).select_related("user")


class Webhook(models.Model):
    """An address that is notified of events, limited to what its user may see."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=60, help_text="What the receiver is: “billing”, “status page”.")
    address = EncryptedTextField()
    secret = EncryptedTextField(editable=False)
    events = models.JSONField(default=list, blank=True, help_text="None selected: all.")
    active = models.BooleanField(default=True)
    since = models.DateTimeField(editable=False, help_text="When it was last enabled. Earlier events are not sent.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                name="unique_webhook_name_per_user",
                violation_error_message="This user already has a webhook with this name.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.active and not Webhook.objects.filter(pk=self.pk, active=True).exists():
            self.since = timezone.now()
        self.since = self.since or timezone.now()
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("admin:json_api_webhook_change", args=[self.pk])

    def clean(self) -> None:
        if unknown := [event for event in self.events if event not in EventType.values]:
            raise ValidationError({"events": f"The event “{unknown[0]}” does not exist."})
        if isinstance(self.address, str):
            try:
                check_url(self.address)
            except ChannelForbidden as problem:
                raise ValidationError({"address": problem.message}) from None

    def renew_secret(self) -> str:
        """Make the secret that messages are signed with, and return it. Saving is the caller's."""
        self.secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        return self.secret

    @property
    def host(self) -> str:
        """The receiver's host; the rest of the address may contain a password."""
        return "can't be read" if isinstance(self.address, Unreadable) else urlsplit(self.address).hostname or ""

    def wants(self, event_type: str) -> bool:
        return not self.events or event_type in self.events

    def may_be_notified_of(self, model: type[Operation] | type[Bot], pk: int | None) -> bool:
        """Return whether its user may see this row now; for a deleted row, whether they see everything."""
        user: Any = self.user
        if not (user.is_active and user.is_staff and user.has_perm(PERMISSIONS[model])):
            return False
        return sees_every_client(user) if pk is None else model.objects.visible_to(user).filter(pk=pk).exists()


class LastNotifiedState(models.Model):
    """The last state of a bot in an event, which the current state is compared with."""

    bot = models.OneToOneField(Bot, on_delete=models.CASCADE, primary_key=True, related_name="+")
    state = models.CharField(max_length=12, default="none")
    changes = models.PositiveIntegerField(default=0, help_text="Counts the changes, to tell them apart.")

    def __str__(self) -> str:
        return f"{self.bot}: {self.state}"


class WebhookDelivery(Outgoing):
    """One event for one webhook, with its payload: as things were when it was noticed."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.CharField("event", max_length=60)
    type = models.CharField(max_length=30, choices=EventType)
    about = models.CharField(max_length=MAX_SUBJECT)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="+")
    bot = models.ForeignKey(Bot, null=True, on_delete=models.SET_NULL, related_name="+")
    occurred_at = models.DateTimeField("happened")
    body = models.TextField()

    class Meta:
        ordering = ["-pk"]
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["webhook", "event_id"], name="unique_event_per_webhook"),
        ]
        indexes = [models.Index(fields=["state", "next_attempt_at"])]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.webhook}"

    def get_absolute_url(self) -> str:
        return reverse("admin:json_api_webhookdelivery_change", args=[self.pk])

    def try_again(self) -> bool:
        """Have one that was given up tried from the beginning; false when it was not given up."""
        given_up = WebhookDelivery.objects.filter(pk=self.pk, state=DeliveryState.FAILED)
        with transaction.atomic():
            if not given_up.update(state=DeliveryState.WAITING, attempts=0, next_attempt_at=timezone.now()):
                return False
            note(self.webhook, "retry delivery", f"{self.event_id}: {self.about}")
        return True
