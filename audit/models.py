"""The trail of what people did: who, when, to what, from what to what, through which door and from where."""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from core.acting import Door
from core.visibility import AnyUser, sees_every_client
from operations.models import MAX_LABEL, Operation, State

#: Characters of a value that are kept; longer ones are said to have changed.
MAX_VALUE = 300


class Outcome(models.TextChoices):
    """How an act ended; of an operation, how that ended."""

    DONE = "done", "done"
    FAILED = "failed", "failed"
    ACTIVE = "active", "in progress"


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return those of the user's own clients and of their own doing; of users and roles only for who sees users.

        What belongs to no client, such as a server, is for users who see every client.
        """
        own = Q(user=user.pk) | Q(client__in=Client.objects.visible_to(user))
        if not sees_every_client(user):
            return self.filter(own)
        if user.has_perm("auth.view_user"):
            return self
        people = ContentType.objects.get_for_models(User, Group).values()
        return self.filter(own | Q(client=None) & ~Q(subject_type__in=people) & ~Q(subject_type=None))

    def with_outcome(self, outcome: str) -> Self:
        active, failed = Q(operation__state__in=(State.QUEUED, State.RUNNING)), Q(operation__state=State.FAILED)
        match outcome:
            case Outcome.FAILED:
                return self.filter(failed | Q(outcome=Outcome.FAILED))
            case Outcome.ACTIVE:
                return self.filter(active)
        return self.exclude(failed | active | Q(outcome=Outcome.FAILED))

    def prune(self, before: datetime) -> None:
        self.filter(at__lt=before).delete()


class AuditEvent(models.Model):
    """One act of one person. It is written once and never changed.

    Attributes:
        changes: lists of a label, the value before and the value after, as text. Secrets say that they changed.
    """

    at = models.DateTimeField("time", default=timezone.now, editable=False, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="audit_events", db_index=True
    )
    actor = models.CharField("who", max_length=200, help_text="Kept when the user is deleted.")
    door = models.CharField("through", max_length=10, choices=[(door.value, door.value) for door in Door])
    address = models.GenericIPAddressField("from", null=True, help_text="By the rule of TRUSTED_PROXIES.")
    request_id = models.CharField(max_length=80, blank=True)
    verb = models.CharField("what", max_length=60)
    subject_type = models.ForeignKey(ContentType, null=True, on_delete=models.SET_NULL, related_name="+")
    subject_id = models.CharField(max_length=40, blank=True)
    subject_label = models.CharField("to what", max_length=MAX_LABEL, help_text="Kept when the object is deleted.")
    client = models.ForeignKey(Client, null=True, on_delete=models.SET_NULL, related_name="audit_events")
    client_label = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=list)
    detail = models.TextField(blank=True)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="audit_events")
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.DONE)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        verbose_name = "event"
        verbose_name_plural = "events"
        indexes = [models.Index(fields=["client", "-id"]), models.Index(fields=["user", "-id"])]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.subject_label}".strip()

    def get_absolute_url(self) -> str:
        return reverse("admin:audit_auditevent_change", args=[self.pk])

    @property
    def result(self) -> Outcome:
        """How it ended, as far as is known now."""
        if self.operation is None:
            return Outcome(self.outcome)
        if self.operation.is_active:
            return Outcome.ACTIVE
        return Outcome.FAILED if self.operation.state == State.FAILED else Outcome.DONE

    @property
    def text(self) -> str:
        """What changed, in a line: ``Order amount: 1600 → 1800; API key: changed``."""
        parts = [
            f"{label}: {after}" if before == "" else f"{label}: {before} → {after}"
            for label, before, after in self.changes
        ]
        return "; ".join([*parts, *([self.detail] if self.detail else [])])

    @property
    def subject_url(self) -> str:
        """Return the page of what it was done to; empty when it is gone or has none."""
        model: Any = self.subject_type.model_class() if self.subject_type else None
        row = model._base_manager.filter(pk=self.subject_id).first() if model and self.subject_id else None
        address = getattr(row, "get_absolute_url", None)
        return str(address()) if address else ""
