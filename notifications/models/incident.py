"""Something that went wrong, and until when."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, Server
from core.visibility import AnyUser, sees_every_client
from notifications.kinds import (
    CONFIRMED_BY_SECOND_POLL,
    FAMILIES,
    LOGIN_REFUSED,
    MAY_CONTAIN_NAMES,
    SEVERITIES,
    IncidentKind,
    Severity,
    may_trade_on,
)
from operations.models import MAX_LABEL, Operation

#: Characters that are kept of how an incident ended.
MAX_RESOLUTION = 300
_BACKEND = "django.contrib.auth.backends.ModelBackend"


class IncidentQuerySet(models.QuerySet["Incident"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return those of the user's own clients, and those of the servers that these or their bots are on, except
        those that may name another manager's client.
        """
        if sees_every_client(user):
            return self
        clients = Client.objects.visible_to(user)
        servers = Q(server__in=clients.values("server")) | Q(server__in=clients.values("bots__server"))
        return self.filter(Q(client__in=clients) | Q(client=None) & servers & ~Q(kind__in=MAY_CONTAIN_NAMES))

    def opened(self) -> Self:
        """Return those that a second check confirmed, where one is needed."""
        return self.filter(opened_at__isnull=False)

    def current(self) -> Self:
        """Return those that are not resolved, confirmed or not."""
        return self.filter(resolved_at__isnull=True)

    def open(self) -> Self:
        return self.opened().current()


class Incident(models.Model):
    """Something that went wrong: notified once when it is noticed, and once when it is resolved."""

    kind = models.CharField(max_length=20, choices=IncidentKind)
    subject_type = models.ForeignKey(ContentType, on_delete=models.PROTECT)
    subject_id = models.PositiveBigIntegerField()
    subject = GenericForeignKey("subject_type", "subject_id")
    subject_label = models.CharField("about", max_length=MAX_LABEL, help_text="Kept when the object is deleted.")
    operation_kind = models.CharField(
        max_length=40, blank=True, help_text="The operation that failed. Each one is its own incident."
    )
    operation = models.ForeignKey(
        Operation,
        null=True,
        on_delete=models.SET_NULL,
        related_name="incidents",
        help_text="The last operation that failed.",
    )
    client = models.ForeignKey(
        Client,
        null=True,
        on_delete=models.CASCADE,
        related_name="incidents",
        help_text="Empty for incidents of a whole server.",
    )
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="incidents")

    sentence = models.TextField("what happened")
    remedy = models.TextField("what to do")
    code = models.CharField(max_length=40, help_text="In the catalog of errors.")

    seen_at = models.DateTimeField("since", help_text="The poll that first showed it.")
    opened_at = models.DateTimeField(null=True, help_text="When it was confirmed. From then on it is shown and sent.")
    recovering_since = models.DateTimeField(null=True, help_text="The poll that first showed that it was resolved.")
    resolved_at = models.DateTimeField("over", null=True)
    resolution = models.CharField(max_length=MAX_RESOLUTION, blank=True, help_text="How it was resolved.")
    acknowledged_at = models.DateTimeField("acknowledged at", null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name="acknowledged by"
    )

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        permissions = [("acknowledge_incident", "Can acknowledge incidents")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_type", "subject_id", "operation_kind"],
                condition=Q(resolved_at__isnull=True),
                name="unique_current_incident_per_subject_and_kind",
            ),
        ]
        indexes = [
            models.Index(fields=["resolved_at", "opened_at"]),
            models.Index(fields=["opened_at"], name="incidents_by_opening"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_label}: {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("admin:notifications_incident_change", args=[self.pk])

    @property
    def title(self) -> str:
        """A title of two or three words."""
        if self.login_is_refused:
            return "server rejects the login"
        if self.kind == IncidentKind.OPERATION_FAILED and self.operation:
            return f"“{self.operation.label}” failed"
        return self.get_kind_display()

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None and self.resolved_at is None

    @property
    def severity(self) -> Severity:
        return Severity.CRITICAL if self.may_trade_on else SEVERITIES[self.kind]

    @property
    def resolved_by_acknowledgement(self) -> bool:
        """Whether a user's acknowledgment ends it, as opposed to one that lasts until it is resolved."""
        return FAMILIES[self.kind] == "operation" and not self.may_trade_on

    @property
    def may_trade_on(self) -> bool:
        """Whether a bot still trades, as far as is known, although a user wanted it to stop trading."""
        return may_trade_on(self.operation_kind, self.code)

    @property
    def login_is_refused(self) -> bool:
        return self.kind == IncidentKind.SERVER_DOWN and self.code in LOGIN_REFUSED

    @property
    def needs_second_poll(self) -> bool:
        return self.kind in CONFIRMED_BY_SECOND_POLL and not self.login_is_refused

    @property
    def duration(self) -> timedelta:
        return (self.resolved_at or timezone.now()) - self.seen_at


def users_who_see(incident: Incident) -> models.QuerySet[User]:
    """Return the active users who see an incident: ``visible_to`` from the other side."""
    may_view = User.objects.with_perm("notifications.view_incident", backend=_BACKEND)
    every = User.objects.with_perm("accounts.view_every_client", backend=_BACKEND)
    sees = Q(pk__in=every.values("pk"))
    if incident.client_id is not None:
        sees |= Q(clients=incident.client_id)
    elif incident.kind not in MAY_CONTAIN_NAMES:
        sees |= Q(clients__server=incident.server_id) | Q(clients__bots__server=incident.server_id)
    return User.objects.filter(sees, pk__in=may_view.values("pk"), is_staff=True).distinct()
