"""The text about an incident, and sending it to a channel in the format of its kind."""

import json
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import send_mail

from core.problems import Problem
from notifications.http import post
from notifications.models import Channel, ChannelKind, Event, Incident
from notifications.problems import MailFailed, MailNotConfigured

#: The most characters that each takes.
DISCORD_LENGTH = 2000
TELEGRAM_LENGTH = 4096


@dataclass(frozen=True)
class Message:
    """A headline, what stands below it line by line, and the same for programs."""

    headline: str
    lines: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def text(self) -> str:
        return "\n".join([self.headline, *self.lines])


def message_of(incident: Incident, event: Event) -> Message:
    over = event == Event.CLOSED
    url = panel_url(incident.get_absolute_url())
    lines = [
        f"Client: {incident.client}" if incident.client else "",
        f"Server: {incident.server}",
        f"What happened: {incident.sentence}",
        f"Since: {utc(incident.seen_at)}",
    ]
    if over:
        lines += [f"Resolved: {utc(incident.resolved_at)}, after {describe(incident.duration)}. {incident.resolution}"]
    else:
        lines += [f"What to do: {incident.remedy}"]
    return Message(
        headline=f"{'Resolved' if over else 'Problem'}: {incident}",
        lines=tuple(line for line in (*lines, url) if line),
        facts={
            "event": event.value,
            "incident": incident.pk,
            "kind": incident.kind,
            "code": incident.code,
            "about": incident.subject_label,
            "client": str(incident.client) if incident.client else None,
            "server": str(incident.server),
            "what_happened": incident.sentence,
            "what_to_do": incident.remedy,
            "since": incident.seen_at.isoformat(),
            "over": incident.resolved_at.isoformat() if over and incident.resolved_at else None,
            "url": url or None,
        },
    )


def sample_message(channel: Channel) -> Message:
    return Message(
        headline="Test message from the Hummingbot control panel",
        lines=(f"The channel “{channel}” works. It sends incidents of {channel.whose}.", panel_url("/")),
        facts={"event": "test", "channel": channel.name},
    )


def panel_url(path: str) -> str:
    """Return a page's absolute URL; empty when the panel's own address is not configured."""
    return f"{settings.PANEL_URL.rstrip('/')}{path}" if settings.PANEL_URL else ""


def utc(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "—"


def describe(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def deliver(message: Message, channel: Channel) -> None:
    """Send the message, once.

    Raises:
        Problem: one of ``notifications.problems``; the message may have arrived anyway where that says so.
    """
    _SENDERS[ChannelKind(channel.kind)](message, channel)


def _email(message: Message, channel: Channel) -> None:
    if not settings.NOTIFICATIONS["MAIL"]:
        raise MailNotConfigured
    if problem := _try_to_mail(message, channel):
        raise problem


def _try_to_mail(message: Message, channel: Channel) -> Problem | None:
    try:
        # A headline contains names that users entered; a line break in one would start a header of its own.
        send_mail(" ".join(message.headline.split()), message.text, None, channel.addresses)
    except smtplib.SMTPException as error:
        return MailFailed(f"{MailFailed.meaning} ({type(error).__name__})")
    except OSError as error:
        return MailFailed(f"Could not connect to the mail server. ({type(error).__name__})")
    return None


def _slack(message: Message, channel: Channel) -> None:
    # Slack reads these three as its own: a client named <!channel> would wake everybody.
    text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    _post(channel.read_secret(), {"text": text})


def _discord(message: Message, channel: Channel) -> None:
    _post(channel.read_secret(), {"content": message.text[:DISCORD_LENGTH], "allowed_mentions": {"parse": []}})


def _telegram(message: Message, channel: Channel) -> None:
    token = channel.read_secret()
    body = {"chat_id": channel.recipient, "text": message.text[:TELEGRAM_LENGTH], "disable_web_page_preview": True}
    _post(f"{settings.NOTIFICATIONS['TELEGRAM_API']}/bot{token}/sendMessage", body, token)


def _webhook(message: Message, channel: Channel) -> None:
    _post(channel.read_secret(), message.facts | {"text": message.text})


def _post(url: str, body: dict[str, Any], *secrets: str) -> None:
    post(url, json.dumps(body).encode(), secrets=secrets)


_SENDERS: dict[ChannelKind, Callable[[Message, Channel], None]] = {
    ChannelKind.EMAIL: _email,
    ChannelKind.SLACK: _slack,
    ChannelKind.DISCORD: _discord,
    ChannelKind.TELEGRAM: _telegram,
    ChannelKind.WEBHOOK: _webhook,
}
