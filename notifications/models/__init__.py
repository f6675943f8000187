"""Incidents: what went wrong until when. Channels: who is notified, and where. Deliveries: what was sent."""

from notifications.models.channel import Channel, ChannelKind
from notifications.models.delivery import Delivery, Event
from notifications.models.incident import MAX_RESOLUTION, Incident, IncidentQuerySet, users_who_see
from notifications.models.personal import PersonalSettings

__all__ = [
    "MAX_RESOLUTION",
    "Channel",
    "ChannelKind",
    "Delivery",
    "Event",
    "Incident",
    "IncidentQuerySet",
    "PersonalSettings",
    "users_who_see",
]
