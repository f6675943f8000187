"""Telling channels of incidents."""

from notifications.channels.dispatch import deliver
from notifications.impact import impact_of
from notifications.messages import message_of
from notifications.models import Channel, Delivery, Event, users_who_see
from notifications.outbox import Outbox
from notifications.problems import ChannelOff, IncidentNotVisible


def _notify(delivery: Delivery) -> None:
    if not Channel.objects.listening().filter(pk=delivery.channel_id).exists():
        raise ChannelOff
    owner = delivery.channel.user
    if owner is not None and not users_who_see(delivery.incident).filter(pk=owner.pk).exists():
        raise IncidentNotVisible
    impact = impact_of(delivery.incident, delivery.channel.bots)
    deliver(message_of(delivery.incident, Event(delivery.event), impact), delivery.channel)


outbox = Outbox(Delivery, "channel", _notify)
