"""Telling channels of incidents."""

from notifications.impact import impact_of
from notifications.models import Channel, Delivery, Event
from notifications.problems import ChannelOff, IncidentNotVisible
from notifications.sending.channels.dispatch import deliver
from notifications.sending.messages import message_of
from notifications.sending.outbox import Outbox


def _notify(delivery: Delivery) -> None:
    listening = Channel.objects.listening().filter(pk=delivery.channel_id)
    if not listening.exists():
        raise ChannelOff
    # As it is now: the delivery was read when the pass began, and its address may be another person's since.
    channel = listening.that_may_know_of(delivery.incident).first()
    if channel is None:
        raise IncidentNotVisible
    impact = impact_of(delivery.incident, channel.bots)
    deliver(message_of(delivery.incident, Event(delivery.event), impact), channel)


outbox = Outbox(Delivery, "channel", _notify)
