"""What happened around an incident, in order: when it was found, what was done about it, what the bot logged."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from bots.models import Bot, LogKind, LogLine
from notifications.models import Delivery, Event, Incident
from operations.models import Operation, State

#: How much of the log before and after the moment in question is shown.
BEFORE, AFTER = timedelta(minutes=5), timedelta(minutes=1)
#: How many lines of it: the errors, and the last others.
MOST_ERRORS, MOST_OTHERS = 10, 5
MOST_OPERATIONS = 20


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Attributes:
        tone: a state that colors it, empty for none.
        log: whether it is a line of the bot's log, on the bot's clock.
    """

    moment: datetime
    title: str
    detail: str = ""
    url: str = ""
    tone: str = ""
    log: bool = False


def timeline(incident: Incident, subject: Any, deliveries: list[Delivery]) -> list[Entry]:
    """Return the entries, the oldest first. A fixed number of queries.

    Args:
        subject: what it is about, if the reader may see that.
        deliveries: those that the reader may see.
    """
    entries = [*_own(incident), *_sent(deliveries)]
    if subject is not None:
        entries += _done(incident, subject)
    if isinstance(subject, Bot):
        entries += _logged(incident, subject)
    return sorted(entries, key=lambda entry: entry.moment)


def _own(incident: Incident) -> Iterator[Entry]:
    yield Entry(incident.seen_at, "Detected", tone="failed")
    if incident.opened_at and incident.opened_at > incident.seen_at:
        yield Entry(incident.opened_at, "Confirmed by a second check", tone="failed")
    if incident.acknowledged_at:
        yield Entry(incident.acknowledged_at, f"Acknowledged by {incident.acknowledged_by or 'a deleted user'}")
    if incident.resolved_at:
        yield Entry(incident.resolved_at, "Resolved", incident.resolution, tone="done")


def _sent(deliveries: list[Delivery]) -> Iterator[Entry]:
    for delivery in deliveries:
        if delivery.sent_at:
            what = "Notified" if delivery.event == Event.OPENED else "Notified that it is resolved"
            yield Entry(delivery.sent_at, f"{what}: {delivery.channel}")


def _done(incident: Incident, subject: Any) -> Iterator[Entry]:
    until = incident.resolved_at or timezone.now()
    operations = Operation.objects.of(subject).filter(
        requested_at__gte=incident.seen_at - BEFORE, requested_at__lte=until + AFTER
    )
    for operation in operations.select_related("requested_by")[:MOST_OPERATIONS]:
        who = f" by {operation.requested_by}" if operation.requested_by else ""
        yield Entry(
            operation.requested_at,
            f"{operation.label} requested{who}: {operation.get_state_display()}",
            operation.error_message or operation.summary,
            operation.get_absolute_url(),
            tone={State.FAILED: "failed", State.SUCCEEDED: "done"}.get(State(operation.state), ""),
        )


def _logged(incident: Incident, bot: Bot) -> Iterator[Entry]:
    lines = LogLine.objects.filter(
        deployment__bot=bot, logged_at__gte=incident.seen_at - BEFORE, logged_at__lte=incident.seen_at + AFTER
    )
    shown = [
        *lines.filter(kind=LogKind.ERROR)[:MOST_ERRORS],
        *lines.filter(kind=LogKind.GENERAL)[:MOST_OTHERS],
    ]
    for line in shown:
        cause = f" … {line.cause}" if line.cause else ""
        yield Entry(
            line.logged_at, f"{line.headline}{cause}", tone="failed" if line.kind == LogKind.ERROR else "", log=True
        )
