"""Who may call the JSON API."""

import hashlib
import secrets
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from core.acting import note

#: Tokens begin with this, so that scanners for leaked secrets, and people, recognize them.
TOKEN_PREFIX = "hbp_"  # noqa: S105 - the part that is no secret
#: A token that nothing has used for so long may be forgotten, and found by somebody else.
STALE_AFTER = timedelta(days=90)
#: So long before a token expires, its owner is reminded to replace it.
EXPIRES_SOON = timedelta(days=14)
#: A window of the rate limit.
MINUTE = timedelta(minutes=1)


class Scope(models.TextChoices):
    """What a token is for. Its user's permissions bound it further."""

    READ = "read", "read: see everything that the user can see"
    DEPLOY = "deploy", "deploy: create, deploy, start, stop, archive and delete bots"
    KEYS = "keys", "keys: add exchange keys, push and verify profiles"
    ADMIN = "admin", "admin: add and change clients, check servers, register webhooks"


def validate_networks(text: str) -> None:
    for entry in text.split():
        try:
            ip_network(entry)
        except ValueError:
            raise ValidationError(f"“{entry}” is not an IP address or a network such as 203.0.113.0/24.") from None


def token_hash(token: str) -> str:
    """Return the stored hash of a token. It holds 256 random bits, which can't be guessed: a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenQuerySet(models.QuerySet["Token"]):
    def usable(self, now: datetime) -> Self:
        """Neither revoked nor expired, of a user who may still sign in."""
        unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
        return self.filter(unexpired, revoked_at__isnull=True, user__is_active=True, user__is_staff=True)

    def stale(self, now: datetime) -> Self:
        """Return those that work and that nothing has used for a long time."""
        before = now - STALE_AFTER
        unused = Q(last_used_at__lt=before) | Q(last_used_at=None, created_at__lt=before)
        return self.usable(now).filter(unused)

    def expiring(self, now: datetime) -> Self:
        """Return those that something uses and that expire soon."""
        return self.usable(now).filter(expires_at__lt=now + EXPIRES_SOON, last_used_at__gt=now - STALE_AFTER)

    def revoke(self) -> int:
        """End those for good that are not ended yet; how many these were."""
        with transaction.atomic():
            tokens = list(self.filter(revoked_at__isnull=True).select_related("user").select_for_update(of=("self",)))
            self.filter(pk__in=[token.pk for token in tokens]).update(revoked_at=timezone.now())
            for token in tokens:
                note(token, "revoked")
        return len(tokens)

    def take(self, token: "Token", now: datetime) -> bool:
        """Count one request of ``token`` against its rate limit; false when the limit is reached.

        Conditional UPDATEs, so that the limit holds over all web processes.
        """
        row = self.filter(pk=token.pk)
        running = row.filter(window_count__lt=settings.API["PER_MINUTE"], window_began_at__gt=now - MINUTE)
        over = row.filter(window_began_at__lte=now - MINUTE)

        def count() -> int:
            return running.update(window_count=F("window_count") + 1, last_used_at=now)

        # A third try, because another request may have started the new window between the first two.
        return bool(count() or over.update(window_count=1, window_began_at=now, last_used_at=now) or count())


class Token(models.Model):
    """A key to the JSON API. It acts as its user, within its scopes; only a hash of it is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=60, help_text="What uses the token: “reporting”, “onboarding script”.")
    hint = models.CharField(max_length=12, editable=False)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    allowed_networks = models.TextField(
        "allowed addresses",
        blank=True,
        validators=[validate_networks],
        help_text="IP addresses or networks that may use the token, one per line. Empty: any address.",
    )
    expires_at = models.DateTimeField("expires", null=True, blank=True, help_text="Empty: never expires.")
    revoked_at = models.DateTimeField("revoked", null=True, editable=False)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, editable=False)
    window_began_at = models.DateTimeField(default=timezone.now, editable=False)
    window_count = models.PositiveIntegerField(default=0, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = "API token"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                name="token_name_stands_once_for_a_user",
                violation_error_message="This user already has a token with this name.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"

    def get_absolute_url(self) -> str:
        return reverse("admin:json_api_token_change", args=[self.pk])

    def renew(self) -> str:
        """Make the secret, and return it: the only time that it can be seen. Saving is the caller's."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.hash, self.hint = token_hash(secret), f"{secret[: len(TOKEN_PREFIX) + 4]}…"
        return secret

    def revoke(self) -> None:
        """End it for good; the time stays on record."""
        Token.objects.filter(pk=self.pk).revoke()
        self.refresh_from_db(fields=["revoked_at"])

    @property
    def state(self) -> str:
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= timezone.now() else "active"

    @property
    def is_stale(self) -> bool:
        """Whether it works, and nothing has used it for a long time."""
        return self.state == "active" and (self.last_used_at or self.created_at) < timezone.now() - STALE_AFTER

    def allows(self, address: str) -> bool:
        """Return whether it may be used from this IP address."""
        networks = self.allowed_networks.split()
        if not networks:
            return True
        try:
            caller = ip_address(address)
        except ValueError:  # no address is known: behind a proxy that does not send it
            return False
        caller = getattr(caller, "ipv4_mapped", None) or caller
        return any(caller in ip_network(network) for network in networks)
