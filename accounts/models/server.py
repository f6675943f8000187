"""One Hummingbot API host: how to reach it, and what it showed when it was last polled."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Case, Q, When
from django.urls import reverse
from django.utils import timezone

from accounts.problems import PasswordUnreadable
from core.encryption import EncryptedTextField, Unreadable
from core.input.one_line import validate_one_line
from core.problems import Problem
from core.problems.server import problem_of
from core.visibility import AnyUser, sees_every_client
from hummingbot_api import HummingbotAPI
from hummingbot_api.connectors import KNOWN_CONNECTORS
from hummingbot_api.errors import AddressForbidden, HummingbotAPIError, InvalidBaseURL
from hummingbot_api.http.connections import check_address
from hummingbot_api.http.urls import check_base_url, is_readable_by_others
from hummingbot_api.results import ConnectorField
from hummingbot_api.secret_values import login_secrets, secrets_in

#: Characters that are kept of a server's version, because the host's answer may contain anything.
VERSION_LENGTH = 40

UNENCRYPTED = (
    "Over http:// anyone on the network path can read the server's password and every exchange key. Put TLS in front "
    "of the server and enter https://, or reach it at a private address through a VPN. If another layer encrypts the "
    "connection, turn on “Allow unencrypted”."
)


ONLY_ASCII = "The server only accepts unaccented letters, digits and ASCII punctuation in a login."


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def validate_base_url(value: str) -> None:
    try:
        check_address(urlsplit(check_base_url(value)).hostname or "", loopback=True)
    except InvalidBaseURL as problem:
        raise ValidationError(problem.message, code=problem.code) from None
    except AddressForbidden as error:
        forbidden = problem_of(error)
        raise ValidationError(f"{forbidden.message} {forbidden.remedy}", code=error.code) from None
    except ValueError:
        pass  # each connection checks where a name leads


def read_addresses(text: str) -> list[str]:
    """Return IP addresses that are separated by commas or spaces.

    Raises:
        ValueError: one of them is none, or does not leave its own network.
    """
    addresses = [ip_address(part) for part in text.replace(",", " ").split()]
    if not all(address.is_global and not address.is_multicast for address in addresses):
        raise ValueError
    return [str(address) for address in addresses]


def validate_outbound_addresses(value: str) -> None:
    try:
        read_addresses(value)
    except ValueError:
        raise ValidationError("Enter public IP addresses, for example 203.0.114.7, separated by commas.") from None


class ServerQuerySet(models.QuerySet["Server"]):
    def visible_to(self, user: AnyUser) -> Self:
        if sees_every_client(user):
            return self
        return self.filter(pk__in=Server.objects.filter(clients__account_manager=user.pk).values("pk"))

    def choosable_by(self, user: AnyUser) -> Self:
        """Return the servers that the user may choose for a client, including open ones, of which only the name is
        shown.
        """
        if sees_every_client(user):
            return self
        return self.filter(Q(open_to_new_clients=True) | Q(pk__in=self.visible_to(user).values("pk")))

    def worst_first(self, now: datetime) -> Self:
        """Order them: those first whose state is not “ok”, by ``Server.health``, or not known any more."""
        lately = now - timedelta(seconds=settings.FLEET["STALE"])
        polled = Q(checked_at__gte=lately) | Q(checked_at__isnull=False, failed_polls__gt=0, next_poll__gte=lately)
        well = polled & Q(last_error="") & ~Q(docker_running=False) & ~Q(mqtt_connected=False)
        return self.order_by(Case(When(well, then=1), default=0), "name")


class Server(models.Model):
    """One Hummingbot API host: how to reach it, and separately what it showed when it was last polled."""

    name = models.CharField(max_length=80, unique=True, validators=[validate_one_line])
    base_url = models.CharField(
        "base URL",
        max_length=200,
        # Two rows for one host would not know of each other's profiles: one client's key could replace another's.
        unique=True,
        validators=[validate_base_url],
        error_messages={"unique": "This base URL belongs to another server in the panel. Add each host only once."},
        help_text="Scheme, host and port, without a path: https://bots.example.com or http://10.0.0.5:8000",
    )
    username = models.CharField(max_length=80, default="admin")
    password = EncryptedTextField()
    verify_tls = models.BooleanField(
        "verify TLS",
        default=True,
        help_text="Turn this off only for your own self-signed certificate. Without it, anyone on the network path "
        "can read the keys.",
    )
    allow_unencrypted = models.BooleanField(
        default=False,
        help_text="Unsafe: only for an http:// address outside private networks. Anyone on the network path can read "
        "the server's password and every exchange key, and change what is sent. Turn this on only if "
        "another layer encrypts the connection, such as a VPN.",
    )
    open_to_new_clients = models.BooleanField(
        default=True,
        help_text="Account managers may assign clients to this server and can see its name. Turn this off for a "
        "server reserved for one client.",
    )
    outbound_addresses = models.CharField(
        "outbound IP address",
        max_length=200,
        blank=True,
        validators=[validate_outbound_addresses],
        help_text="The public address from which the server's bots call exchanges, shown wherever a key is created. "
        "Run “curl https://ifconfig.me” on the server's host to find it. Separate several with commas.",
    )

    reachable = models.BooleanField(null=True, editable=False)
    version = models.CharField(max_length=VERSION_LENGTH, blank=True, editable=False)
    docker_running = models.BooleanField("Docker", null=True, editable=False)
    mqtt_connected = models.BooleanField("MQTT", null=True, editable=False)
    latency_ms = models.PositiveIntegerField("latency", null=True, editable=False)
    checked_at = models.DateTimeField("last checked", null=True, editable=False)
    last_error_code = models.CharField(max_length=40, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    account_names = models.JSONField(default=list, editable=False, help_text="The profiles that the server listed.")
    connectors = models.JSONField(
        default=dict, editable=False, help_text="The fields of each connector that the server listed."
    )
    connectors_version = models.CharField(
        max_length=VERSION_LENGTH,
        blank=True,
        editable=False,
        help_text="The server's version when it listed them.",
    )
    instances = models.JSONField(
        default=list,
        editable=False,
        help_text="The names of all bots that ran at the last poll, regardless of who deployed them.",
    )
    instances_at = models.DateTimeField(null=True, editable=False, help_text="When that poll was.")
    next_poll = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When the fleet poll runs next. See ``accounts.polling``."
    )
    failed_polls = models.PositiveIntegerField(
        default=0,
        editable=False,
        help_text="How many fleet polls in a row did not reach it: the next one waits longer.",
    )
    next_performance_poll = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its controllers' snapshots are read next."
    )
    next_balance_poll = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its clients' balances are read next."
    )
    next_market_poll = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its bots' quotes and trades are read next."
    )
    next_look = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="When it may be looked at next for what operations wait for. See ``bots.monitoring.waiting``.",
    )
    performance_read_until = models.DateTimeField(
        null=True, editable=False, help_text="The newest controller snapshot that was read, on the server's clock."
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
        if refused := self._login_errors():
            raise ValidationError(refused)
        try:
            self.base_url = check_base_url(self.base_url)
        except InvalidBaseURL:
            return  # the field's validator has reported it already
        if self.is_readable_by_others and not self.allow_unencrypted:
            raise ValidationError({"base_url": UNENCRYPTED})
        # What was allowed for one address is not left for the next one.
        self.allow_unencrypted = self.is_readable_by_others

    def _login_errors(self) -> dict[str, str]:
        """Return errors for a login that HTTP Basic can't send: the server would reject each such login forever."""
        errors = {}
        if ":" in self.username:
            errors["username"] = "The username can't contain a colon: the server would read the rest as the password."
        elif not _is_printable_ascii(self.username):
            errors["username"] = f"{ONLY_ASCII} Choose another USERNAME on the server."
        if isinstance(self.password, str) and not _is_printable_ascii(self.password):
            errors["password"] = f"{ONLY_ASCII} Choose another PASSWORD on the server."
        return errors

    @property
    def is_readable_by_others(self) -> bool:
        """Whether the base URL lets others read what is sent there."""
        return is_readable_by_others(self.base_url)

    def api(self, **options: Any) -> HummingbotAPI:
        """Return a client for this server; ``options`` are those of ``HummingbotAPI``.

        Raises:
            PasswordUnreadable
        """
        if isinstance(self.password, Unreadable):
            raise PasswordUnreadable
        options.setdefault("secrets", self.key_secrets)
        return HummingbotAPI(self.base_url, self.username, self.password, verify_tls=self.verify_tls, **options)

    def secret_values(self, *words: str) -> list[str]:
        """Return what must be masked of its login in a bot's log, as it is and as it is sent. No secret is a password
        that is a word of the product, or one of these ``words``.
        """
        if isinstance(self.password, Unreadable):
            return []
        password, login = login_secrets(self.username, self.password)
        return secrets_in({"password": password, "login": login}, words=words)

    def key_secrets(self) -> list[str]:
        """Return the secrets of all keys, also previous ones, of clients on it or with a profile or bot there."""
        if not self.pk:
            return []
        there = Q(server=self.pk) | Q(profiles__server=self.pk) | Q(bots__server=self.pk)
        clients = apps.get_model("accounts", "Client").objects.filter(there).values("pk")
        keys = apps.get_model("accounts", "ExchangeKey").objects.filter(client__in=clients)
        return [secret for key in keys.prefetch_related("client__server") for secret in key.secret_values()]

    @property
    def password_text(self) -> str:
        """A description of the stored password that shows nothing of it, nor how long it is."""
        if isinstance(self.password, Unreadable):
            return "can't be decrypted"
        return "set, with surrounding spaces" if self.password != self.password.strip() else "set"

    def fields_of(self, connector: str) -> tuple[ConnectorField, ...] | None:
        """Return the connector's fields: as this server reported them, or the known ones before the server was read.

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
        """The connectors to choose from: this server's, or the known ones before it was read."""
        return sorted(self.connectors or KNOWN_CONNECTORS)

    @property
    def outbound_list(self) -> list[str]:
        """The addresses from which it calls exchanges, which is not always where the panel reaches it."""
        return read_addresses(self.outbound_addresses)

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
    def health_summary(self) -> str:
        """The same in a few words."""
        return self.last_error_code.replace("_", " ") or self.health

    @property
    def was_polled_recently(self) -> bool:
        """Whether the last check is recent enough to be true still. A server that does not answer is tried less often:
        what is shown of it is true until the next try.
        """
        lately = timezone.now() - timedelta(seconds=settings.FLEET["STALE"])
        if self.checked_at is None:
            return False
        return self.checked_at >= lately or (self.next_try is not None and self.next_try >= lately)

    @property
    def next_try(self) -> datetime | None:
        """When the panel tries again to reach a server that does not answer."""
        return self.next_poll if self.failed_polls else None

    @property
    def instances_are_current(self) -> bool:
        """Whether the instances of the last poll are still current, as far as is known."""
        lately = timezone.now() - timedelta(seconds=settings.FLEET["STALE"])
        return self.instances_at is not None and self.instances_at >= lately

    def try_soon(self) -> None:
        """Poll it at the next opportunity: something else than a poll has just reached it, or it was changed."""
        self.failed_polls = 0
        Server.objects.filter(pk=self.pk).update(failed_polls=0, next_poll=timezone.now())

    def contact_succeeded(self, **observed: Any) -> None:
        """Record what the server showed. Touches nothing that an operator entered."""
        self._apply_snapshot(reachable=True, last_error_code="", last_error="", **observed)

    def contact_failed(self, problem: Problem | HummingbotAPIError, *, reachable: bool = False) -> None:
        """Record why the server could not be polled; anything else that it had shown no longer counts."""
        self._apply_snapshot(
            reachable=reachable,
            docker_running=None,
            mqtt_connected=None,
            latency_ms=None,
            last_error_code=problem.code,
            last_error=problem.message,
        )

    def _apply_snapshot(self, **observed: Any) -> None:
        observed["checked_at"] = timezone.now()
        for name, value in observed.items():
            setattr(self, name, value)
        Server.objects.filter(pk=self.pk).update(**observed)
