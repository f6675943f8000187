"""Who trades, where, and with which keys."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.fields import EncryptedTextField, Unreadable, fingerprint
from accounts.problems import KeyUnreadable, PasswordUnreadable
from accounts.samples import SampleQuerySet
from hummingbot_api import HummingbotAPI
from hummingbot_api.connectors import KNOWN_CONNECTORS
from hummingbot_api.errors import InvalidBaseURL, InvalidName, Problem
from hummingbot_api.names import check_name, slug
from hummingbot_api.results import ConnectorField
from hummingbot_api.urls import check_base_url

MASTER_ACCOUNT = "master_account"
#: The longest name of a client and of its account.
NAME_LENGTH = 80
#: Characters that are kept of a server's version: whatever answers there may say anything.
VERSION_LENGTH = 40


def validate_base_url(value: str) -> None:
    try:
        check_base_url(value)
    except InvalidBaseURL as problem:
        raise ValidationError(problem.message, code=problem.code) from None


def validate_name(value: str) -> None:
    try:
        check_name(value, "an account name")
    except InvalidName as problem:
        raise ValidationError(problem.message, code=problem.code) from None


def sees_every_client(user: Any) -> bool:
    return user.has_perm("accounts.view_every_client")


class ServerQuerySet(models.QuerySet["Server"]):
    def visible_to(self, user: Any) -> Self:
        if sees_every_client(user):
            return self
        return self.filter(pk__in=Client.objects.visible_to(user).values("server"))

    def choosable_by(self, user: Any) -> Self:
        """Where the user may put a client: also on servers that are open, of which no more than the name is shown."""
        if sees_every_client(user):
            return self
        return self.filter(Q(open_to_new_clients=True) | Q(pk__in=self.visible_to(user).values("pk")))


class Server(models.Model):
    """One Hummingbot API host: how to reach it, and apart from that what it showed when it was last asked."""

    name = models.CharField(max_length=80, unique=True)
    base_url = models.CharField(
        "base URL",
        max_length=200,
        # Two rows for one host would not know of each other's profiles: one client's key could replace another's.
        unique=True,
        validators=[validate_base_url],
        error_messages={"unique": "Another server of the panel has this base URL: one host is one server."},
        help_text="Scheme, host and port, without a path: https://bots.example.com or http://10.0.0.5:8000",
    )
    username = models.CharField(max_length=80, default="admin")
    password = EncryptedTextField()
    verify_tls = models.BooleanField(
        "verify TLS",
        default=True,
        help_text="Switch off only for a self-signed certificate of your own: without it anyone on the way can read "
        "the keys.",
    )
    open_to_new_clients = models.BooleanField(
        default=True,
        help_text="Account managers may put their clients on it and see its name for that. Switch off for a server "
        "that is kept for one client.",
    )

    reachable = models.BooleanField(null=True, editable=False)
    version = models.CharField(max_length=VERSION_LENGTH, blank=True, editable=False)
    docker_running = models.BooleanField("Docker", null=True, editable=False)
    mqtt_connected = models.BooleanField("MQTT", null=True, editable=False)
    latency_ms = models.PositiveIntegerField("latency", null=True, editable=False)
    checked_at = models.DateTimeField("last checked", null=True, editable=False)
    last_error_code = models.CharField(max_length=40, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    account_names = models.JSONField(default=list, editable=False, help_text="The profiles that it listed.")
    connectors = models.JSONField(
        default=dict, editable=False, help_text="The fields of each connector that it listed."
    )
    connectors_version = models.CharField(
        max_length=VERSION_LENGTH,
        blank=True,
        editable=False,
        help_text="The version that it had when it listed them.",
    )
    instances = models.JSONField(
        default=list, editable=False, help_text="The names of the bots that ran at the last look, whoever made them."
    )
    instances_at = models.DateTimeField(null=True, editable=False, help_text="When that look was.")
    next_observation = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When the fleet's poll asks it next. See ``accounts.turns``."
    )
    next_performance = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its controllers' snapshots are read next."
    )
    next_balances = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its clients' balances are read next."
    )
    performance_read_until = models.DateTimeField(
        null=True, editable=False, help_text="The newest of its controllers' snapshots that was read, on its own clock."
    )

    objects = ServerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("check_server", "Can check the connection to a server")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:accounts_server_change", args=[self.pk])

    def clean(self) -> None:
        with suppress(InvalidBaseURL):  # the field's validator has said so already
            self.base_url = check_base_url(self.base_url)

    def api(self, **options: Any) -> HummingbotAPI:
        """A client for this server; ``options`` are those of ``HummingbotAPI``.

        Raises:
            PasswordUnreadable
        """
        if isinstance(self.password, Unreadable):
            raise PasswordUnreadable
        return HummingbotAPI(self.base_url, self.username, self.password, verify_tls=self.verify_tls, **options)

    @property
    def password_in_words(self) -> str:
        """What can be said of the stored password without showing it."""
        if isinstance(self.password, Unreadable):
            return "it can't be decrypted"
        count = len(self.password)
        spaces = "with spaces around it" if self.password != self.password.strip() else "no spaces around it"
        return f"{count} character{'' if count == 1 else 's'}, {spaces}"

    def fields_of(self, connector: str) -> tuple[ConnectorField, ...] | None:
        """What the connector asks for: as this server said, or as known beforehand while it was not asked.

        ``None`` when there is no such connector.
        """
        if not self.connectors:
            return KNOWN_CONNECTORS.get(connector)
        if (fields := self.connectors.get(connector)) is None:
            return None
        return tuple(
            ConnectorField(f["name"], f["type"], f["required"], tuple(f.get("allowed_values", ()))) for f in fields
        )

    @property
    def connector_names(self) -> list[str]:
        """The connectors to choose from: this server's, or the known ones while it has not been asked."""
        return sorted(self.connectors or KNOWN_CONNECTORS)

    @property
    def host(self) -> str:
        """Where the panel reaches it: not always the address from which it calls exchanges."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def health(self) -> str:
        """The last check's outcome in a word or a sentence."""
        if self.checked_at is None:
            return "not checked yet"
        if self.last_error:
            return self.last_error
        if self.docker_running is False:
            return "Docker is down"
        return "MQTT is down" if self.mqtt_connected is False else "ok"

    @property
    def health_in_short(self) -> str:
        """The same where there is room for a few words only."""
        return self.last_error_code.replace("_", " ") or self.health

    @property
    def was_seen_lately(self) -> bool:
        """Whether the last check is recent enough to be true still."""
        lately = timezone.now() - timedelta(seconds=settings.FLEET["STALE"])
        return self.checked_at is not None and self.checked_at >= lately

    @property
    def instances_are_news(self) -> bool:
        """Whether what ran there at the last look is true still, for all that is known."""
        lately = timezone.now() - timedelta(seconds=settings.FLEET["STALE"])
        return self.instances_at is not None and self.instances_at >= lately

    def contact_succeeded(self, **observed: Any) -> None:
        """Write down what the server showed. Touches nothing that an operator entered."""
        self._observe(reachable=True, last_error_code="", last_error="", **observed)

    def contact_failed(self, problem: Problem, *, reachable: bool = False) -> None:
        """Write down why the server could not be asked; what else it had shown counts no more."""
        self._observe(
            reachable=reachable,
            docker_running=None,
            mqtt_connected=None,
            last_error_code=problem.code,
            last_error=problem.message,
        )

    def _observe(self, **observed: Any) -> None:
        observed["checked_at"] = timezone.now()
        for name, value in observed.items():
            setattr(self, name, value)
        Server.objects.filter(pk=self.pk).update(**observed)


class ControllerQuerySet(models.QuerySet["Controller"]):
    def visible_to(self, user: Any) -> Self:
        return self.filter(server__in=Server.objects.visible_to(user))

    def in_short(self) -> Self:
        """Without their settings, which are long."""
        return self.defer("settings")


class Controller(models.Model):
    """A controller that a server offers, with what the server told of its settings. Observed, never edited."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="controllers")
    controller_type = models.CharField("type", max_length=255)
    name = models.CharField(max_length=255)
    settings = models.JSONField(default=list, help_text="As ``hummingbot_api.results.ControllerSetting``, in order.")
    problem = models.TextField(blank=True, help_text="Why the server can't tell its settings.")
    version = models.CharField(max_length=VERSION_LENGTH, blank=True, help_text="The server's when it told them.")
    read_at = models.DateTimeField()

    objects = ControllerQuerySet.as_manager()

    class Meta:
        ordering = ["controller_type", "name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "controller_type", "name"], name="a_controller_stands_once"),
        ]

    def __str__(self) -> str:
        return f"{self.controller_type}/{self.name}"

    def is_outdated(self, version: str) -> bool:
        """Whether a server of this version is to be asked again."""
        return bool(self.problem) or self.version != version


class ClientStatus(models.TextChoices):
    ONBOARDING = "onboarding", "onboarding"
    ACTIVE = "active", "active"
    PAUSED = "paused", "paused"
    OFFBOARDED = "offboarded", "offboarded"


class ClientQuerySet(models.QuerySet["Client"]):
    def visible_to(self, user: Any) -> Self:
        """Every client for those who may see all of them, their own for account managers."""
        return self if sees_every_client(user) else self.filter(account_manager=user)


class Client(models.Model):
    """A customer of the agency.

    Attributes:
        means_master_account: whoever chooses that account for the client now was warned of it. Not stored.
    """

    means_master_account = False

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    account_name = models.CharField(
        max_length=NAME_LENGTH,
        blank=True,
        validators=[validate_name],
        help_text="The name of the credentials profile on the server. Left empty it is made from the client's name: "
        "“Sharp” gives client_sharp. Fixed once the profile was pushed or taken over.",
    )
    account_manager = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="clients",
        help_text="Sees this client, and only own ones.",
    )
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="clients")
    status = models.CharField(max_length=12, choices=ClientStatus, default=ClientStatus.ONBOARDING)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ClientQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("view_every_client", "Can see every client, not only own ones"),
            ("push_profile", "Can push credentials profiles to servers"),
            ("take_over_profile", "Can take over credentials profiles that the panel did not make"),
            ("assign_client", "Can choose who looks after a client"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["server", "account_name"],
                name="account_name_stands_once_on_a_server",
                violation_error_message="Another client has this account name on this server.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:accounts_client_change", args=[self.pk])

    def clean(self) -> None:
        if self.pk and self.status == ClientStatus.OFFBOARDED:
            self._check_that_it_may_leave()
        if not self.account_name and self.name:
            short = slug(self.name, "_")
            if not short:
                raise ValidationError({"account_name": "No account name can be made from this client name: enter one."})
            self.account_name = f"client_{short}"[:NAME_LENGTH]
        before = Client.objects.filter(pk=self.pk).values_list("account_name", flat=True).first()
        if self.account_name == before:
            return
        if self.pk and self.is_pushed:
            raise ValidationError({"account_name": f"The profile {before} is this client's: its name is fixed."})
        if self.account_name == MASTER_ACCOUNT and not self.means_master_account:
            raise ValidationError(
                {
                    "account_name": f"Every new account on the server is a copy of {MASTER_ACCOUNT}, so its keys may "
                    f"end up with other clients. If you mean it, switch on “Use {MASTER_ACCOUNT} all the same” in the "
                    "client's form."
                }
            )

    def _check_that_it_may_leave(self) -> None:
        """Refuse to offboard while a bot may trade. One that was offboarded before may be changed in all else."""
        if Client.objects.filter(pk=self.pk, status=ClientStatus.OFFBOARDED).exists():
            return
        on_servers = self.bots.filter(deployments__sent_at__isnull=False, deployments__ended_at__isnull=True)
        if names := ", ".join(on_servers.values_list("name", flat=True)):
            raise ValidationError(
                {"status": f"On a server still, and may be trading with this client's money: {names}. “Archive” first."}
            )

    @property
    def is_offboarded(self) -> bool:
        return self.status == ClientStatus.OFFBOARDED

    @property
    def is_pushed(self) -> bool:
        return self.profiles.exists()

    def profile_on(self, server: Server) -> "CredentialsProfile | None":
        return next((profile for profile in self.profiles.all() if profile.server_id == server.pk), None)

    @property
    def profile(self) -> "CredentialsProfile | None":
        """The profile on the client's own server."""
        return self.profile_on(self.server)

    @property
    def profile_in_words(self) -> str:
        """How the keys stand to what the server has: the worst of them."""
        states = {key.state for key in self.keys.all()}
        if not states:
            return "no key yet"
        return next(state.label for state in KeyState if state in states)


class Renewal(models.TextChoices):
    """How urgently a key should be replaced by a new one."""

    EXPIRED = "expired", "expired"
    DUE = "due", "due for rotation"
    NOT_DUE = "not_due", "not due yet"


#: How many of a key's former values are known, in case that no bot was redeployed with those in between.
FORMER = 5
#: How long before its last day a key is due for rotation.
EXPIRY_NOTICE = timedelta(days=14)


def too_old_since() -> datetime | None:
    """Keys that were entered before this moment are due for rotation; nothing when age does not matter."""
    days = settings.KEY_ROTATION_DAYS
    return timezone.now() - timedelta(days=days) if days else None


class ExchangeKeyQuerySet(models.QuerySet["ExchangeKey"]):
    def visible_to(self, user: Any) -> Self:
        return self if sees_every_client(user) else self.filter(client__account_manager=user)

    def to_renew(self, renewal: str) -> Self:
        """By ``ExchangeKey.renewal``."""
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


class KeyState(models.TextChoices):
    """How a stored key stands to what the server has."""

    UNREADABLE = "unreadable", "can't be read"
    NOT_PUSHED = "not_pushed", "not pushed"
    CHANGED = "changed", "changed since the last push"
    GONE = "gone", "gone from the server"
    PUSHED = "pushed", "pushed"


class ExchangeKey(models.Model):
    """A client's credentials for one connector: what that connector asks for, encrypted, never read back."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="keys")
    connector = models.CharField(max_length=80, help_text="Hummingbot's name for the exchange.")
    encrypted_values = EncryptedTextField(editable=False)
    former_values = EncryptedTextField(  # type: ignore[misc]  # null is none
        null=True,
        editable=False,
        help_text="The last ones before, the newest first, until no bot has them: to mask them in what bots log.",
    )
    fingerprint = models.CharField(max_length=32, editable=False)
    hint = models.CharField(max_length=4, blank=True, editable=False, help_text="The API key's last characters.")
    changed_at = models.DateTimeField("entered", editable=False)
    expires_on = models.DateField(
        "last day",
        null=True,
        blank=True,
        help_text="The last day on which the exchange accepts this key. Leave it empty when it has none.",
    )
    minimum_balances = models.JSONField(
        default=dict,
        blank=True,
        help_text="Amounts by asset: that less than these lies at the exchange is an incident. See "
        "``accounts.minimums``.",
    )
    tested_at = models.DateTimeField(null=True, editable=False, help_text="When it was last tried at the exchange.")
    test_passed = models.BooleanField(null=True, editable=False)
    test_outcome = models.TextField(blank=True, editable=False, help_text="What the exchange said, in words.")

    objects = ExchangeKeyQuerySet.as_manager()

    class Meta:
        ordering = ["client__name", "connector"]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "connector"],
                name="one_key_for_a_client_and_connector",
                violation_error_message="This client has a key for this connector already: change that one.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.client} · {self.connector}"

    def get_absolute_url(self) -> str:
        return reverse("admin:accounts_exchangekey_change", args=[self.pk])

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Replace the key by ``values``, a dictionary of the connector's fields. Saving is the caller's.

        The same values once more make it no younger.
        """
        former, known = self.fingerprint, self.known_values()
        self.encrypted_values = json.dumps(dict(values), sort_keys=True)
        self.fingerprint = fingerprint(values)
        if self.fingerprint == former:
            return
        if known:
            self.former_values = json.dumps(known[:FORMER])
        self.hint = _hint(values)
        self.changed_at = timezone.now()
        self.tested_at, self.test_passed, self.test_outcome = None, None, ""

    def read_values(self) -> dict[str, Any]:
        """The key in clear, for the request that needs it and for nothing else.

        Raises:
            KeyUnreadable
        """
        if isinstance(self.encrypted_values, Unreadable):
            raise KeyUnreadable(f"The exchange key {self} can't be decrypted with the present FERNET_KEYS.")
        values: dict[str, Any] = json.loads(self.encrypted_values)
        return values

    def known_values(self) -> list[dict[str, Any]]:
        """The key in clear and the former ones that a bot may still have, to mask them; without what can't be read."""
        known: list[dict[str, Any]] = []
        if isinstance(self.encrypted_values, str) and self.encrypted_values:
            known.append(self.read_values())
        if isinstance(self.former_values, str):
            known += json.loads(self.former_values)
        return known

    @property
    def is_readable(self) -> bool:
        return not isinstance(self.encrypted_values, Unreadable)

    def was_tried(self, *, passed: bool, outcome: str) -> None:
        """Write down what the exchange said of these values, unless others have been entered meanwhile."""
        ExchangeKey.objects.filter(pk=self.pk, fingerprint=self.fingerprint).update(
            tested_at=timezone.now(), test_passed=passed, test_outcome=outcome
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
        """How the key stands to what is on the client's server."""
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
    """The last four characters of the API key, which exchanges show too. Nothing of a short value or of a secret."""
    for name, value in values.items():
        if name.endswith("api_key") and isinstance(value, str) and len(value) >= 12:
            return value[-4:]
    return ""


#: The ends of the names of values without a space in them, unlike a memo's, a passphrase's or a phrase's of words.
UNBROKEN = ("api_key", "api_secret", "secret_key", "private_key", "address", "user_id")


def key_errors(values: Mapping[str, Any], fields: Iterable[ConnectorField]) -> dict[str, str]:
    """What is wrong with a key for a connector that asks for ``fields``: a sentence per field that is wrong."""
    known = {field.name: field for field in fields}
    errors = {
        name: f"“{name}” is not a field of this connector; it asks for {', '.join(known)}."
        for name in values
        if name not in known
    }
    for field in known.values():
        value = values.get(field.name)
        if field.required and (value is None or value == ""):
            errors[field.name] = f"{field.name} is missing."
        elif value and field.allowed_values and value not in field.allowed_values:
            errors[field.name] = f"Choose one of {', '.join(field.allowed_values)}."
        elif field.name.endswith(UNBROKEN) and isinstance(value, str) and _is_broken(value):
            errors[field.name] = "There is a space or a line break inside: copy the whole value once more."
    return errors


def _is_broken(value: str) -> bool:
    """Whether what exchanges give out in one piece is in several. A key in a file (PEM) has lines."""
    return len(value.split()) > 1 and "-----BEGIN" not in value


class CredentialsProfile(models.Model):
    """The account directory of one client on one server, as the panel left it and last saw it."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="profiles")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="profiles")
    account_name = models.CharField(max_length=80)
    taken_over = models.BooleanField(
        default=False, help_text="It was there before the panel: the panel never deletes anything in it."
    )
    connectors = models.JSONField(default=list, help_text="The connectors that the server listed in it.")
    verified_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["account_name"]
        constraints = [
            models.UniqueConstraint(fields=["client", "server"], name="one_profile_for_a_client_on_a_server"),
            models.UniqueConstraint(fields=["server", "account_name"], name="one_client_for_a_profile"),
        ]

    def __str__(self) -> str:
        return f"{self.account_name} on {self.server}"

    def fingerprint_of(self, connector: str) -> str | None:
        """The fingerprint of the key that the panel last pushed for this connector."""
        return next((p.fingerprint for p in self.pushed_keys.all() if p.connector == connector), None)


class PushedKey(models.Model):
    """Which key a profile holds for a connector: the fingerprint of what the server accepted.

    Empty from the moment that a key is sent until the server has accepted it.
    """

    profile = models.ForeignKey(CredentialsProfile, on_delete=models.CASCADE, related_name="pushed_keys")
    connector = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=32)
    pushed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["profile", "connector"], name="one_pushed_key_for_a_profile_and_connector"),
        ]

    def __str__(self) -> str:
        return f"{self.connector} in {self.profile}"


#: How many of the tokens that an account holds are shown at once.
SHOWN_TOKENS = 10


class BalanceQuerySet(SampleQuerySet):
    series = ("profile",)

    def visible_to(self, user: Any) -> Self:
        return self.filter(profile__client__in=Client.objects.visible_to(user))


class Balance(models.Model):
    """What a client's profile was worth at a moment, over all its connectors.

    The value is in US dollars as the server reckons them: a token with “USD” in its name counts 1, another one its
    price in USDT, and one that the server finds no price for counts nothing.
    """

    profile = models.ForeignKey(CredentialsProfile, on_delete=models.CASCADE, related_name="balances")
    taken_at = models.DateTimeField(help_text="To the minute.")
    value = models.FloatField(help_text="In US dollars.")
    holdings = models.JSONField(
        null=True,
        help_text="Of the newest one only: by connector, its tokens with units, available units, price and value.",
    )

    objects = BalanceQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at"]
        get_latest_by = "taken_at"
        constraints = [
            models.UniqueConstraint(fields=["profile", "taken_at"], name="one_balance_of_a_profile_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"{self.profile.account_name} at {self.taken_at:%Y-%m-%d %H:%M}"

    @property
    def unreported(self) -> list[str]:
        """The connectors with a key in the profile of which the server told nothing: they are not in the value."""
        return [connector for connector in self.profile.connectors if connector not in (self.holdings or {})]

    @property
    def tokens(self) -> list[tuple[str, dict[str, Any]]]:
        """Each token with the connector that it lies on, the most valuable first."""
        tokens = [(connector, token) for connector, tokens in (self.holdings or {}).items() for token in tokens]
        return sorted(tokens, key=lambda held: -held[1]["value"])

    @property
    def greatest(self) -> list[tuple[str, dict[str, Any]]]:
        """Those of the tokens that a page shows at once."""
        return self.tokens[:SHOWN_TOKENS]

    @property
    def smaller(self) -> list[tuple[str, dict[str, Any]]]:
        """The rest of them: hundreds of leftovers, on some accounts."""
        return self.tokens[SHOWN_TOKENS:]

    @property
    def smaller_value(self) -> float:
        return sum(token["value"] for _, token in self.smaller)

    @property
    def unpriced(self) -> list[str]:
        """The tokens that count nothing because the server found no price for them."""
        tokens = [token for tokens in (self.holdings or {}).values() for token in tokens]
        return sorted({token["token"] for token in tokens if token["units"] and not token["price"]})
