"""Incidents in Discord."""

from notifications.models import Channel
from notifications.sending.channels.webhook import post_json
from notifications.sending.messages import Message

#: The most characters that each takes.
DISCORD_LENGTH = 2000


def send(message: Message, channel: Channel) -> None:
    post_json(channel.read_secret(), {"content": message.text[:DISCORD_LENGTH], "allowed_mentions": {"parse": []}})
