"""A client's credentials for one connector: encrypted, never read back, to be renewed in time."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, F, Max, OuterRef, Q, Value
from django.db.models.functions import Cast, Concat
from django.urls import reverse
from django.utils import timezone

from accounts.models.client import Client
from accounts.models.profile import PushedKey
from accounts.problems import KeyUnreadable
from core.encryption import EncryptedTextField, Unreadable, fingerprint
from core.exchanges import proves_address_only
from core.visibility import OfClientsQuerySet
from hummingbot_api.connectors import entries
from hummingbot_api.secret_values import secrets_in

#: How many of a key's previous values are kept, because bots may not have been redeployed with those in between.
PREVIOUS_VALUES_KEPT = 5
#: How long before its last day a key is due for rotation.
EXPIRY_NOTICE = timedelta(days=14)


def too_old_since() -> datetime | None:
    """Return the time before which entered keys are due for rotation; nothing when age does not matter."""
    days = settings.KEY_ROTATION_DAYS
    return timezone.now() - timedelta(days=days) if days else None


class Renewal(models.TextChoices):
    """How urgently a key should be replaced by a new one."""

    EXPIRED = "expired", "expired"
    DUE = "due", "due for rotation"
    NOT_DUE = "not_due", "not due yet"


class KeyState(models.TextChoices):
    """The state of a stored key compared with the server, the worst first."""

    UNREADABLE = "unreadable", "can't be read"
    NOT_PUSHED = "not_pushed", "not pushed"
    CHANGED = "changed", "changed since the last push"
    GONE = "gone", "missing on the server"
    PUSHED = "pushed", "pushed"

    @property
    def rank(self) -> int:
        """Its place in this order: of several, the lowest counts."""
        return list(KeyState).index(self)


class ExchangeKeyQuerySet(OfClientsQuerySet["ExchangeKey"]):
    def to_renew(self, renewal: str) -> Self:
        """Return the keys to renew, by ``ExchangeKey.renewal``."""
        today = timezone.localdate()
        expired = Q(expires_on__lt=today)
        due = Q(expires_on__lt=today + EXPIRY_NOTICE)
        if since := too_old_since():
            due |= Q(changed_at__lt=since)
        match renewal:
            case Renewal.EXPIRED:
                return self.filter(expired)
            case Renewal.DUE:
                return self.filter(due & ~expired)
        return self.filter(~due)

    def with_issues(self) -> Self:
        """Return the keys that can't be read, that differ from what their server has, or that are to be renewed."""
        pushed = PushedKey.objects.exclude(fingerprint="").filter(
            profile__client=OuterRef("client"),
            profile__server=OuterRef("client__server"),
            connector=OuterRef("connector"),
        )
        changed = pushed.exclude(fingerprint=OuterRef("fingerprint"))
        # The list is JSON: each name in it is in quotes.
        listed = Cast("profile__connectors", models.TextField())
        quoted = Concat(Value('"'), F("connector"), Value('"'))
        gone = pushed.alias(listed=listed, quoted=quoted).exclude(listed__contains=F("quoted"))
        due = Q(pk__in=self.to_renew(Renewal.EXPIRED).values("pk")) | Q(pk__in=self.to_renew(Renewal.DUE).values("pk"))
        return self.filter(Exists(changed) | Exists(gone) | due | Q(pk__in=unreadable_keys()))


#: What was found of the stored keys: which can't be read.
_unreadable: dict[tuple[Any, ...], frozenset[int]] = {}


def unreadable_keys() -> frozenset[int]:
    """Return the keys that can't be decrypted. All are tried once in a process, and again when one was entered: only
    with new ``FERNET_KEYS`` can others become unreadable.
    """
    facts = ExchangeKey.objects.aggregate(count=Count("pk"), newest=Max("changed_at"))
    mark = (*settings.FERNET_KEYS, facts["count"], facts["newest"])
    if mark not in _unreadable:
        keys = ExchangeKey.objects.only("encrypted_values").iterator(1000)
        found = frozenset(key.pk for key in keys if not key.is_readable)
        _unreadable.clear()
        _unreadable[mark] = found
    return _unreadable[mark]


class ExchangeKey(models.Model):
    """A client's credentials for one connector: the values that it requires, encrypted, never shown again."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="keys")
    connector = models.CharField(max_length=80, help_text="Hummingbot's name for the exchange.")
    encrypted_values = EncryptedTextField(editable=False)
    previous_values = EncryptedTextField(  # type: ignore[misc]  # null is none
        null=True,
        editable=False,
        help_text="The previous values, newest first, kept until no bot uses them: to mask them in bot logs.",
    )
    fingerprint = models.CharField(max_length=32, editable=False)
    hint = models.CharField(max_length=4, blank=True, editable=False, help_text="The API key's last characters.")
    changed_at = models.DateTimeField("entered", editable=False)
    expires_on = models.DateField(
        "expiry date",
        null=True,
        blank=True,
        help_text="The last day on which the exchange accepts this key (optional).",
    )
    minimum_balances = models.JSONField(
        default=dict,
        blank=True,
        help_text="Minimum amounts by asset. A lower balance at the exchange is an incident. See "
        "``accounts.balances.minimums``.",
    )
    tested_at = models.DateTimeField(null=True, editable=False, help_text="When it was last tested at the exchange.")
    test_passed = models.BooleanField(null=True, editable=False)
    test_outcome = models.TextField(blank=True, editable=False, help_text="The exchange's response, in words.")

    objects = ExchangeKeyQuerySet.as_manager()

    class Meta:
        ordering = ["client__name", "connector"]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "connector"],
                name="unique_key_per_client_and_connector",
                violation_error_message="This client already has a key for this connector. Edit that key instead.",
            ),
        ]
        indexes = [models.Index(fields=["changed_at"], name="keys_by_change")]

    def __str__(self) -> str:
        return f"{self.client} · {self.connector}"

    def get_absolute_url(self) -> str:
        return reverse("admin:accounts_exchangekey_change", args=[self.pk])

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Replace the key by ``values``, a dictionary of the connector's fields. Saving is the caller's.

        The same values once more make it no younger.
        """
        previous, known = self.fingerprint, self.known_values()
        self.encrypted_values = json.dumps(dict(values), sort_keys=True)
        self.fingerprint = fingerprint(values)
        if self.fingerprint == previous:
            return
        if known:
            self.previous_values = json.dumps(known[:PREVIOUS_VALUES_KEPT])
        self.hint = _hint(values)
        self.changed_at = timezone.now()
        self.tested_at, self.test_passed, self.test_outcome = None, None, ""

    def read_values(self) -> dict[str, Any]:
        """Return the key in clear, for the request that needs it and for nothing else.

        Raises:
            KeyUnreadable
        """
        if isinstance(self.encrypted_values, Unreadable):
            raise KeyUnreadable(f"The exchange key {self} can't be decrypted with the current FERNET_KEYS.")
        values: dict[str, Any] = json.loads(self.encrypted_values)
        return values

    def known_values(self) -> list[dict[str, Any]]:
        """Return the decrypted key and the previous ones that a bot may still have; without those that can't be
        decrypted.
        """
        known: list[dict[str, Any]] = []
        if isinstance(self.encrypted_values, str) and self.encrypted_values:
            known.append(self.read_values())
        if isinstance(self.previous_values, str):
            known += json.loads(self.previous_values)
        return known

    def secret_values(self, *words: str) -> list[str]:
        """Return what must be masked in stored and shown texts: the secrets among ``known_values``.

        A memo or an account's id is none unless it is long and random: people choose these as they choose names.

        Args:
            words: names that occur in a log, besides the client's own.
        """
        fields = self.client.server.fields_of(self.connector)
        declared = None if fields is None else {field.name for field in entries(fields) if field.secret}
        names = (self.client.name, self.client.account_name, self.connector, *words)
        return [
            secret for values in self.known_values() for secret in secrets_in(values, declared=declared, words=names)
        ]

    @property
    def is_readable(self) -> bool:
        return not isinstance(self.encrypted_values, Unreadable)

    def was_tried(self, *, passed: bool, outcome: str) -> None:
        """Record the exchange's answer about these values, unless others have been entered meanwhile."""
        ExchangeKey.objects.filter(pk=self.pk, fingerprint=self.fingerprint).update(
            tested_at=timezone.now(), test_passed=passed, test_outcome=outcome
        )

    @property
    def test_text(self) -> str:
        """What is known about the key since its last test at the exchange, in a few words."""
        if self.test_passed is None:
            return "not tested at the exchange yet"
        if not self.test_passed:
            return "rejected by the exchange"
        return (
            "address found, private key not tested"
            if proves_address_only(self.connector)
            else "accepted by the exchange"
        )

    @property
    def renewal(self) -> Renewal:
        """How urgently it should be replaced, by its last day and its age."""
        today = timezone.localdate()
        if self.expires_on and self.expires_on < today:
            return Renewal.EXPIRED
        ends_soon = self.expires_on is not None and self.expires_on < today + EXPIRY_NOTICE
        since = too_old_since()
        return Renewal.DUE if ends_soon or (since and self.changed_at < since) else Renewal.NOT_DUE

    @property
    def state(self) -> KeyState:
        """The state of the key compared with the client's server."""
        profile = self.client.profile
        if not self.is_readable:
            return KeyState.UNREADABLE
        pushed = profile.fingerprint_of(self.connector) if profile else None
        if profile is None or not pushed:
            return KeyState.NOT_PUSHED
        if pushed != self.fingerprint:
            return KeyState.CHANGED
        return KeyState.PUSHED if self.connector in profile.connectors else KeyState.GONE


def _hint(values: Mapping[str, Any]) -> str:
    """Return the last four characters of the API key, which exchanges show too; nothing of a short or secret value."""
    for name, value in values.items():
        if name.endswith("api_key") and isinstance(value, str) and len(value) >= 12:
            return value[-4:]
    return ""
