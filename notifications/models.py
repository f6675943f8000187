"""Incidents: what went wrong until when. Channels: who is notified, and where. Deliveries: what was sent."""

import re
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, Server
from bots.problems import ContainerExited, InstanceMissing
from core.encryption import EncryptedTextField, Unreadable
from core.visibility import AnyUser, sees_every_client
from hummingbot_api.errors import WrongPassword
from notifications.http import check_url
from notifications.outbox import DeliveryState, Outgoing, OutgoingQuerySet
from notifications.problems import ChannelForbidden, ChannelUnreadable
from operations.models import MAX_LABEL, Operation

#: Characters that are kept of how an incident ended.
MAX_RESOLUTION = 300
_TELEGRAM_TOKEN = re.compile(r"\d+:[\w-]+", re.ASCII)


class IncidentKind(models.TextChoices):
    BOT_CRASHED = "bot_crashed", "bot crashed"
    BOT_MISSING = "bot_missing", "bot not listed"
    BOT_UNRESPONSIVE = "bot_unresponsive", "bot unresponsive"
    BOT_STOPPED = "bot_stopped", "bot stopped unexpectedly"
    BOT_NOT_QUOTING = "bot_not_quoting", "bot not quoting"
    ORDERS_OPEN = "orders_open", "orders may be open"
    DUPLICATE_INSTANCE = "duplicate_instance", "second instance of a bot"
    KEY_REFUSED = "key_refused", "exchange key rejected"
    OPERATION_FAILED = "operation_failed", "operation failed"
    SERVER_DOWN = "server_down", "server down"
    DOCKER_DOWN = "docker_down", "Docker down"
    MQTT_DOWN = "mqtt_down", "MQTT down"
    UNMANAGED_INSTANCE = "unmanaged_instance", "unmanaged bot on a server"
    LOW_BALANCE = "low_balance", "low balance"
    OBLIGATION_BROKEN = "obligation_broken", "obligation broken"


#: A subject has one incident of a family at a time: a bot that is unresponsive and then crashes has crashed.
FAMILIES: dict[str, str] = {
    IncidentKind.BOT_CRASHED: "instance",
    IncidentKind.BOT_MISSING: "instance",
    IncidentKind.BOT_UNRESPONSIVE: "instance",
    IncidentKind.BOT_STOPPED: "instance",
    IncidentKind.BOT_NOT_QUOTING: "work",
    IncidentKind.ORDERS_OPEN: "orders",
    IncidentKind.DUPLICATE_INSTANCE: "name",
    IncidentKind.KEY_REFUSED: "operation",
    IncidentKind.OPERATION_FAILED: "operation",
    IncidentKind.SERVER_DOWN: "server",
    IncidentKind.DOCKER_DOWN: "server",
    IncidentKind.MQTT_DOWN: "server",
    IncidentKind.UNMANAGED_INSTANCE: "unknown",
    IncidentKind.LOW_BALANCE: "balance",
    IncidentKind.OBLIGATION_BROKEN: "obligation",
}
#: These may be a passing hiccup, and so may their end: each takes two checks in a row. A deploy, for one, blocks its
#: whole server for a moment.
CONFIRMED_BY_SECOND_POLL = frozenset(
    {
        IncidentKind.BOT_UNRESPONSIVE,
        IncidentKind.SERVER_DOWN,
        IncidentKind.DOCKER_DOWN,
        IncidentKind.MQTT_DOWN,
        IncidentKind.LOW_BALANCE,
        IncidentKind.BOT_NOT_QUOTING,
    }
)


#: These are about unmanaged instances, which may be named after any client: only for users who see all clients.
MAY_CONTAIN_NAMES = frozenset({IncidentKind.UNMANAGED_INSTANCE})

#: Operations with which a user ends a bot's trading.
TRADE_ENDING_OPERATIONS = frozenset({"stop", "pause", "archive"})
#: With these errors, such an operation had nothing left to end: the crash is an incident of its own.
_NOTHING_LEFT = frozenset({ContainerExited.code, InstanceMissing.code})
#: With these errors, a server is not down: it answers, and no further check makes that more certain.
LOGIN_REFUSED = frozenset({WrongPassword.code})


def may_trade_on(kind: str, code: str) -> bool:
    """Return whether a bot may still trade, against a user's wish, after an operation of this kind failed with this
    error.
    """
    return kind in TRADE_ENDING_OPERATIONS and code not in _NOTHING_LEFT


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
        indexes = [models.Index(fields=["resolved_at", "opened_at"])]

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


class ChannelKind(models.TextChoices):
    EMAIL = "email", "E-mail"
    SLACK = "slack", "Slack"
    DISCORD = "discord", "Discord"
    TELEGRAM = "telegram", "Telegram"
    WEBHOOK = "webhook", "Webhook (JSON)"


class ChannelQuerySet(models.QuerySet["Channel"]):
    def visible_to(self, user: AnyUser) -> Self:
        if sees_every_client(user):
            return self
        return self.filter(Q(client__in=Client.objects.visible_to(user)) | Q(manager=user))

    def listening(self) -> Self:
        """Return those that are enabled, and not of a user who may no longer sign in."""
        return self.filter(Q(manager=None) | Q(manager__is_active=True, manager__is_staff=True), active=True)

    def notified_of(self, incident: Incident) -> Self:
        """Return the active channels to notify of this incident."""
        if incident.client is not None:
            clients = Q(client=incident.client)
            managers = Q(manager__clients=incident.client)
        else:
            clients = Q(client__server=incident.server) | Q(client__bots__server=incident.server)
            managers = Q(manager__clients__server=incident.server) | Q(manager__clients__bots__server=incident.server)
        everything = Q(client=None, manager=None)
        concerned = everything if incident.kind in MAY_CONTAIN_NAMES else everything | clients | managers
        notified = self.listening().filter(concerned).distinct().values_list("pk", "kinds")
        return self.filter(pk__in=[pk for pk, kinds in notified if not kinds or incident.kind in kinds])


class Channel(models.Model):
    """A channel for notifications: of which incidents, and of whose."""

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=10, choices=ChannelKind)
    recipient = models.CharField(
        max_length=300,
        blank=True,
        help_text="E-mail: the addresses, separated by commas. Telegram: the chat ID (-1001234567890) or "
        "@channelname. Otherwise leave this empty.",
    )
    secret = EncryptedTextField("address or token", blank=True)
    kinds = models.JSONField("incidents", default=list, blank=True, help_text="None selected: all.")
    client = models.ForeignKey(
        Client,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="channels",
        help_text="Only this client and its server.",
    )
    manager = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="channels",
        verbose_name="account manager",
        help_text="Only this account manager's clients and their servers. If you choose neither a client nor an "
        "account manager, all clients.",
    )
    active = models.BooleanField(default=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("test_channel", "Can send test messages to channels")]
        constraints = [
            models.CheckConstraint(
                condition=Q(client=None) | Q(manager=None),
                name="channel_for_client_or_manager",
                violation_error_message="Choose a client or an account manager, not both.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:notifications_channel_change", args=[self.pk])

    def clean(self) -> None:
        if self.kind not in ChannelKind.values:
            return  # the error is reported for the kind, and the other required fields depend on it
        errors: dict[str, Any] = {}
        if self.kind == ChannelKind.EMAIL:
            if not self.addresses:
                errors["recipient"] = "Enter at least one e-mail address."
            for address in self.addresses:
                try:
                    validate_email(address)
                except ValidationError:
                    errors["recipient"] = f"“{address}” is not an e-mail address."
            if not settings.NOTIFICATIONS["MAIL"]:
                errors["kind"] = "The panel has no mail server yet. Its host must set EMAIL_URL first."
        elif self.kind == ChannelKind.TELEGRAM:
            if not self.recipient:
                errors["recipient"] = "Enter the chat ID, or @ and the channel's name."
            if not isinstance(self.secret, Unreadable) and not _TELEGRAM_TOKEN.fullmatch(self.secret):
                errors |= {"secret": "Enter the bot token as provided by BotFather: digits, a colon, then letters."}
        elif self.secret == "":
            errors |= {"secret": "Enter the webhook address."}
        elif isinstance(self.secret, str):
            try:
                check_url(self.secret)
            except ChannelForbidden as problem:
                errors["secret"] = problem.message
        if errors:
            raise ValidationError(errors)

    @property
    def addresses(self) -> list[str]:
        return [address for part in self.recipient.split(",") if (address := part.strip())]

    @property
    def whose(self) -> str:
        """The owners of the incidents that it covers, as text."""
        if self.client:
            return str(self.client)
        if self.manager is None:
            return "all clients"
        may_sign_in = self.manager.is_active and self.manager.is_staff
        return f"the clients of {self.manager}" if may_sign_in else f"nobody ({self.manager} is disabled)"

    def read_secret(self) -> str:
        """Return the address or token in clear, for the request that needs it and for nothing else.

        Raises:
            ChannelUnreadable
        """
        if isinstance(self.secret, Unreadable):
            raise ChannelUnreadable
        return self.secret


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

    def __str__(self) -> str:
        return f"{self.incident}, {self.get_event_display()}, to {self.channel}"
