"""Telling channels of incidents."""

from notifications.channels.dispatch import deliver
from notifications.messages import message_of
from notifications.models import Channel, Delivery, Event
from notifications.outbox import Outbox
from notifications.problems import ChannelOff


def _notify(delivery: Delivery) -> None:
    if not Channel.objects.listening().filter(pk=delivery.channel_id).exists():
        raise ChannelOff
    deliver(message_of(delivery.incident, Event(delivery.event)), delivery.channel)


outbox = Outbox(Delivery, "channel", _notify)
