"""What is new for a user: incidents that were opened or resolved since they last looked, as far as they see them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models.functions import Coalesce
from django.utils import timezone

from notifications.models import Incident, PersonalSettings

#: How many incidents the list shows.
SHOWN = 30
#: For a user who never looked, what is older is not new.
LOOKBACK = timedelta(days=7)
#: A browser that is open asks more often than this. What is older, it has shown, or was closed at that time.
BROWSER_LOOKBACK = timedelta(minutes=2)


@dataclass(frozen=True)
class Bell:
    """How much is new.

    Attributes:
        count: the incidents that changed since the user last opened the list.
        events: what an open browser shows, if the user wants that.
    """

    count: int
    events: list[dict[str, Any]]

    @property
    def events_json(self) -> str:
        return json.dumps(self.events)


@dataclass(frozen=True)
class News:
    incident: Incident
    at: datetime
    is_unread: bool


def bell_of(user: User) -> Bell:
    settings, now = settings_of(user), timezone.now()
    since = settings.opened_at or _beginning(user, now)
    return Bell(_changed_since(user, since).count(), list(_browser_events(user, settings, now)))


def news_of(user: User) -> list[News]:
    """Return the incidents that changed last, the newest first."""
    settings, now = settings_of(user), timezone.now()
    read_at = settings.read_at or _beginning(user, now)
    incidents = Incident.objects.visible_to(user).opened().select_related("client", "server", "operation")
    latest = incidents.annotate(changed_at=Coalesce("resolved_at", "opened_at")).order_by("-changed_at", "-pk")
    return [News(incident, incident.changed_at, incident.changed_at > read_at) for incident in latest[:SHOWN]]


def mark_opened(user: User) -> None:
    PersonalSettings.objects.update_or_create(user=user, defaults={"opened_at": timezone.now()})


def mark_read(user: User) -> None:
    now = timezone.now()
    PersonalSettings.objects.update_or_create(user=user, defaults={"opened_at": now, "read_at": now})


def settings_of(user: User) -> PersonalSettings:
    """Return what the user chose, or what applies to those who chose nothing; that is not stored."""
    return PersonalSettings.objects.filter(user=user).first() or PersonalSettings(
        user=user, time_zone=timezone.get_default_timezone_name()
    )


def _beginning(user: User, now: datetime) -> datetime:
    return max(user.date_joined, now - LOOKBACK)


def _changed_since(user: User, since: datetime) -> Any:
    # On every page: each of the two is found by an index of its own.
    opened, resolved = (Incident.objects.filter(**{f"{name}__gt": since}) for name in ("opened_at", "resolved_at"))
    either = opened.order_by().values("pk").union(resolved.order_by().values("pk"))
    return Incident.objects.visible_to(user).opened().filter(pk__in=either)


def _browser_events(user: User, settings: PersonalSettings, now: datetime) -> Iterable[dict[str, Any]]:
    if not settings.browser_severity:
        return
    recent = _changed_since(user, now - BROWSER_LOOKBACK).select_related("operation")
    for incident in recent[:SHOWN]:
        severity = incident.severity
        if settings.browser_severity not in severity.thresholds or settings.quiet_until(now, severity):
            continue
        over = incident.resolved_at is not None
        yield {
            "key": f"{incident.pk}-{'resolved' if over else 'opened'}",
            "title": f"{'Resolved' if over else 'Problem'}: {incident}",
            "body": incident.resolution if over else incident.sentence,
            "url": incident.get_absolute_url(),
        }
