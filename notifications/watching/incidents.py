"""What becomes of an incident: opened, confirmed, recovering, closed, acknowledged."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from bots.models import UnmanagedInstance
from core.acting import note
from core.visibility import AnyUser
from hummingbot_api.text import truncate
from markets.models import Obligation
from notifications.kinds import IncidentKind
from notifications.models import MAX_RESOLUTION, Channel, Delivery, Event, Incident
from notifications.sending.outbox import DeliveryState
from operations.models import MAX_LABEL, Operation

#: Family, type and id of the subject, kind of the operation.
Group = tuple[str, int, int, str]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is stored about one subject: what is wrong with it, or (``kind`` is ``None``) that nothing is.

    Attributes:
        words: what happened, or how it was resolved.
        polled_at: when a server showed it, or when an operation ended.
    """

    family: str
    subject: models.Model
    polled_at: datetime
    words: str
    kind: IncidentKind | None = None
    code: str = ""
    remedy: str = ""
    operation: Operation | None = None

    @property
    def group(self) -> Group:
        subject_type = ContentType.objects.get_for_model(self.subject)
        return self.family, subject_type.pk, self.subject.pk, self.operation.kind if self.operation else ""


def _scope(subject: Any) -> tuple[Client | None, Server]:
    """Return the client and the server of a subject."""
    if isinstance(subject, Server):
        return None, subject
    if isinstance(subject, UnmanagedInstance):
        return None, subject.server
    if isinstance(subject, Client):
        return subject, subject.server
    if isinstance(subject, ExchangeKey):
        return subject.client, subject.client.server
    if isinstance(subject, Obligation):
        return subject.client, subject.client.server
    # An instance stays where it is when its bot's definition is edited.
    return subject.client, (subject.deployment or subject).server


def apply_verdict(verdict: Verdict, incidents: list[Incident], now: datetime) -> None:
    if verdict.kind is None:
        for recovering in incidents:
            _recover(recovering, verdict, now)
        return
    same = next((incident for incident in incidents if incident.kind == verdict.kind), None)
    incident = _confirm(same, verdict, now) if same else _open(verdict, now)
    if incident and incident.opened_at:
        for previous in incidents:
            if previous is not same:
                close(previous, f"It became: {incident.title}.", now, followed_by=incident)


def _open(verdict: Verdict, now: datetime) -> Incident | None:
    client, server = _scope(verdict.subject)
    incident = Incident(
        kind=verdict.kind or "",
        subject=verdict.subject,
        subject_label=truncate(str(verdict.subject), MAX_LABEL),
        operation=verdict.operation,
        operation_kind=verdict.operation.kind if verdict.operation else "",
        client=client,
        server=server,
        sentence=verdict.words,
        remedy=verdict.remedy,
        code=verdict.code,
        seen_at=verdict.polled_at,
    )
    incident.opened_at = None if incident.needs_second_poll else now
    try:
        with transaction.atomic():
            incident.save()
            if incident.opened_at:
                _notify(incident)
    except IntegrityError:  # another worker has just noticed it
        return None
    return incident


def _confirm(incident: Incident, verdict: Verdict, now: datetime) -> Incident:
    """Confirm an open incident, maybe with another cause: certain after a second check, and not resolved after all."""
    row = Incident.objects.current().filter(pk=incident.pk)
    shown = {
        "recovering_since": None,
        "operation_id": verdict.operation.pk if verdict.operation else None,
        "sentence": verdict.words,
        "code": verdict.code,
        "remedy": verdict.remedy,
    }
    if changed := {name: value for name, value in shown.items() if getattr(incident, name) != value}:
        row.update(**changed)
    if incident.opened_at is None and verdict.polled_at > incident.seen_at + _patience(incident):
        with transaction.atomic():
            if row.filter(opened_at=None).update(opened_at=now):
                _notify(incident)
        incident.opened_at = now
    return incident


def _patience(incident: Incident) -> timedelta:
    """Return how much later the confirming check must be: mostly any later one counts."""
    # For this long after its restart, a server has no connected bots: they are as well as before.
    return timedelta(seconds=settings.FLEET["RECONNECT_GRACE"] if incident.kind == IncidentKind.BOT_UNRESPONSIVE else 0)


def _recover(incident: Incident, verdict: Verdict, now: datetime) -> None:
    """Note that a check found it resolved: at once, or after a second check where opening it took two."""
    if incident.opened_at is not None and incident.needs_second_poll:
        if incident.recovering_since is None:
            Incident.objects.current().filter(pk=incident.pk).update(recovering_since=verdict.polled_at)
            return
        if verdict.polled_at <= incident.recovering_since:
            return
    close(incident, verdict.words, now)


def close(incident: Incident, resolution: str, now: datetime, followed_by: Incident | None = None) -> None:
    """End an incident and send the resolution to the channels of its opening, unless a following incident is sent
    there.
    """
    row = Incident.objects.current().filter(pk=incident.pk)
    if incident.opened_at is None:
        row.filter(opened_at=None).delete()  # it never was certain
        return
    with transaction.atomic():
        # Of several workers one ends it.
        if row.update(resolved_at=now, resolution=truncate(resolution, MAX_RESOLUTION)):
            opening = incident.deliveries.filter(event=Event.OPENED)
            opening.held(now).delete()  # over before the quiet hours: nobody needs to hear of it
            notified = opening.exclude(state=DeliveryState.FAILED)
            if followed_by is not None:
                notified = notified.exclude(channel__in=followed_by.deliveries.values("channel"))
            _create_deliveries(incident, Event.CLOSED, notified.values_list("channel", flat=True))


def _notify(incident: Incident) -> None:
    channels = Channel.objects.notified_of(incident)
    _create_deliveries(incident, Event.OPENED, channels.values_list("pk", flat=True))


def _create_deliveries(incident: Incident, event: Event, channels: Collection[int]) -> None:
    deliveries = [Delivery(incident=incident, channel_id=channel, event=event) for channel in channels]
    Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)


def acknowledge(incident: Incident, user: AnyUser) -> None:
    """Record that a user acknowledged it, which also ends a failed operation's incident."""
    now = timezone.now()
    with transaction.atomic():
        unseen = Incident.objects.open().filter(pk=incident.pk, acknowledged_at=None)
        if not unseen.update(acknowledged_at=now, acknowledged_by=user):
            return
        note(incident, "acknowledged")
        if incident.resolved_by_acknowledgement:
            close(incident, f"Acknowledged by {user}.", now)
