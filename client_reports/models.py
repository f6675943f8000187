"""Who receives reports, and links under which one report can be read without signing in."""

import hashlib
import secrets
from datetime import date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from core.visibility import AnyUser, OfClientsQuerySet

#: How long a link works unless its maker chooses less.
LINK_DAYS = 30


def validate_addresses(text: str) -> None:
    for address in text.split():
        try:
            validate_email(address)
        except ValidationError:
            raise ValidationError(f"“{address}” is not an e-mail address.") from None


class SubscriptionQuerySet(OfClientsQuerySet["Subscription"]):
    account_manager = "client__account_manager"

    def due(self, today: date) -> Self:
        """Return those that there were in the last month and whose report of it was not sent yet."""
        month = last_month(today)[0]
        return self.filter(active=True).exclude(sent_for__gte=month).exclude(since__gte=today.replace(day=1))


def today() -> date:
    return timezone.now().date()


class Subscription(models.Model):
    """The addresses to which a client's report of each month is sent, on the first days of the next one.

    Attributes:
        since: when it was turned on: saving it sends nothing. Reports of earlier months are for the client's page.
    """

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="report_subscription")
    addresses = models.TextField(
        "e-mail addresses",
        validators=[validate_addresses],
        help_text="One per line. They get a report for each month, starting with this one.",
    )
    active = models.BooleanField(default=True)
    since = models.DateField(null=True, default=today, editable=False)
    sent_for = models.DateField(null=True, editable=False, help_text="The first day of the month last sent.")
    problem = models.TextField(blank=True, editable=False, help_text="Why the last one could not be sent.")
    tried_at = models.DateTimeField(null=True, editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["client"]
        verbose_name = "report subscription"
        permissions = [("share_report", "Can share a client's report by a link")]

    def __str__(self) -> str:
        return f"Monthly report for {self.client}"

    def get_absolute_url(self) -> str:
        return reverse("admin:client_reports_subscription_change", args=[self.pk])


class ShareLinkQuerySet(OfClientsQuerySet["ShareLink"]):
    account_manager = "client__account_manager"

    def usable(self, now: datetime) -> Self:
        return self.filter(revoked_at__isnull=True, expires_at__gt=now)


class ShareLink(models.Model):
    """A link to one report of one client, for a reader without an account. Only a hash of it is stored."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="report_links")
    first = models.DateField("from")
    last = models.DateField("to", help_text="Included.")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"Link to the report for {self.client}, {self.first} to {self.last}"

    @classmethod
    @transaction.atomic
    def make(cls, client: Client, first: date, last: date, user: AnyUser, days: int = LINK_DAYS) -> tuple[Self, str]:
        """Store a link, and return it with its secret, which can't be shown again."""
        token = secrets.token_urlsafe(32)
        link = cls(client=client, first=first, last=last, token_hash=hash_of(token))
        link.created_by_id = user.pk
        link.expires_at = timezone.now() + timedelta(days=days)
        link.save()
        return link, token

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()


class LinkVisit(models.Model):
    """One reading of a shared report: when, and from where."""

    link = models.ForeignKey(ShareLink, on_delete=models.CASCADE, related_name="visits")
    visited_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.address} at {self.visited_at:%Y-%m-%d %H:%M}"


def hash_of(token: str) -> str:
    """Return what is stored of a link's token. It has 256 random bits, which can't be guessed: a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


def last_month(today: date) -> tuple[date, date]:
    """Return the first and the last day of the month before."""
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last
