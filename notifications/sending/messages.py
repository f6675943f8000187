"""What a notification says about an incident."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from notifications.impact import NO_IMPACT, Impact
from notifications.models import Channel, Event, Incident


@dataclass(frozen=True)
class Message:
    """A headline, the lines below it, and the same for programs."""

    headline: str
    lines: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def text(self) -> str:
        # What was typed, such as the reason of an emergency stop, begins no line of its own.
        return "\n".join(" ".join(line.split()) for line in (self.headline, *self.lines))


def message_of(incident: Incident, event: Event, impact: Impact = NO_IMPACT) -> Message:
    """Return the message about an incident.

    Args:
        impact: what it affects, as far as the channel's readers may know.
    """
    over = event == Event.CLOSED
    url = panel_url(incident.get_absolute_url())
    lines = [
        f"Affected: {impact.text}" if impact.text and not over else "",
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
            "severity": incident.severity.value,
            "code": incident.code,
            "about": incident.subject_label,
            "client": str(incident.client) if incident.client else None,
            "server": str(incident.server),
            "affected": impact.text or None,
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
