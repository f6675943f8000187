"""Telling channels of incidents."""

from notifications.impact import impact_of
from notifications.models import Channel, Delivery, Event, users_who_see
from notifications.problems import ChannelOff, IncidentNotVisible
from notifications.sending.channels.dispatch import deliver
from notifications.sending.messages import message_of
from notifications.sending.outbox import Outbox


def _notify(delivery: Delivery) -> None:
    if not Channel.objects.listening().filter(pk=delivery.channel_id).exists():
        raise ChannelOff
    owner = delivery.channel.user
    if owner is not None and not users_who_see(delivery.incident).filter(pk=owner.pk).exists():
        raise IncidentNotVisible
    impact = impact_of(delivery.incident, delivery.channel.bots)
    deliver(message_of(delivery.incident, Event(delivery.event), impact), delivery.channel)


outbox = Outbox(Delivery, "channel", _notify)
