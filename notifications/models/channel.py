"""Who is notified of incidents, and where: channels that all share, and each user's own."""

import re
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models import Q
from django.urls import reverse

from accounts.models import Client
from bots.models import Bot
from core.encryption import EncryptedTextField, Unreadable
from core.visibility import AnyUser, sees_every_client
from notifications.kinds import MAY_CONTAIN_NAMES, Severity
from notifications.models.incident import Incident, users_who_see
from notifications.problems import ChannelForbidden, ChannelUnreadable
from notifications.sending.http import check_url

_TELEGRAM_TOKEN = re.compile(r"\d+:[\w-]+", re.ASCII)


#: Where users may have the panel's host connect to without being trusted with shared channels.
_SLACK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})


class ChannelKind(models.TextChoices):
    EMAIL = "email", "E-mail"
    SLACK = "slack", "Slack"
    DISCORD = "discord", "Discord"
    TELEGRAM = "telegram", "Telegram"
    WEBHOOK = "webhook", "Webhook (JSON)"


class ChannelQuerySet(models.QuerySet["Channel"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return the shared ones of the user's clients, and the user's own. Nobody sees what others set up for
        themselves.
        """
        own, shared = Q(user=user.pk), Q(user=None)
        if sees_every_client(user):
            return self.filter(own | shared)
        return self.filter(own | shared & (Q(client__in=Client.objects.visible_to(user)) | Q(manager=user.pk)))

    def shared(self) -> Self:
        """Return those that administrators set up for everybody."""
        return self.filter(user=None)

    def listening(self) -> Self:
        """Return those that are enabled, and not of a user who may no longer sign in."""
        may_sign_in = Q(manager=None) | Q(manager__is_active=True, manager__is_staff=True)
        owner_may_sign_in = Q(user=None) | Q(user__is_active=True, user__is_staff=True)
        return self.filter(may_sign_in, owner_may_sign_in, active=True)

    def that_may_know_of(self, incident: Incident) -> Self:
        """Return those that are for everybody, for the client or manager that an incident concerns, or for a user who
        sees it. Clients change hands, and channels change clients.
        """
        if incident.client is not None:
            clients = Q(client=incident.client)
            managers = Q(manager__clients=incident.client)
        else:
            clients = Q(client__server=incident.server) | Q(client__bots__server=incident.server)
            managers = Q(manager__clients__server=incident.server) | Q(manager__clients__bots__server=incident.server)
        everything = Q(client=None, manager=None, user=None)
        own = Q(user__in=users_who_see(incident))
        concerned = everything | own if incident.kind in MAY_CONTAIN_NAMES else everything | own | clients | managers
        return self.filter(concerned).distinct()

    def notified_of(self, incident: Incident) -> Self:
        """Return the active channels to notify of this incident."""
        severe_enough = Q(user=None) | Q(severity__in=incident.severity.thresholds)
        notified = self.listening().that_may_know_of(incident).filter(severe_enough).values_list("pk", "kinds")
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
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="own_channels",
        help_text="Whose own it is: it sends the incidents that this user sees. Empty for a shared one.",
    )
    severity = models.CharField(
        max_length=8,
        choices=Severity,
        default=Severity.INFO,
        editable=False,
        help_text="Of a user's own: the least severe incidents that it sends.",
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
            models.CheckConstraint(
                condition=Q(user=None) | Q(client=None, manager=None), name="own_channel_for_all_that_its_user_sees"
            ),
            models.UniqueConstraint(
                fields=["user", "kind"], condition=Q(user__isnull=False), name="unique_own_channel_per_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.user}" if self.user else self.name

    def get_absolute_url(self) -> str:
        if self.user_id is not None:
            return reverse("my_notifications")
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
            else:
                if self.user_id is not None and not _may_be_own(self.secret):
                    errors |= {"secret": "Enter a webhook address of Slack: https://hooks.slack.com/services/…"}
        if errors:
            raise ValidationError(errors)

    @property
    def bots(self) -> Any:
        """The bots that its readers may know of: those of its client, of its manager, of its user, or all."""
        if self.user is not None:
            return Bot.objects.visible_to(self.user)
        if self.client is not None:
            return Bot.objects.filter(client=self.client)
        return Bot.objects.filter(client__account_manager=self.manager) if self.manager else Bot.objects.all()

    @property
    def addresses(self) -> list[str]:
        return [address for part in self.recipient.split(",") if (address := part.strip())]

    @property
    def whose(self) -> str:
        """The owners of the incidents that it covers, as text."""
        if self.user:
            return f"the clients that {self.user} sees"
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


def _may_be_own(address: str) -> bool:
    return bool(settings.NOTIFICATIONS["LOCAL"]) or urlsplit(address).hostname in _SLACK_HOSTS
