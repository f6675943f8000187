"""Incidents in Discord."""

from notifications.channels.webhook import post_json
from notifications.messages import Message
from notifications.models import Channel

#: The most characters that each takes.
DISCORD_LENGTH = 2000


def send(message: Message, channel: Channel) -> None:
    post_json(channel.read_secret(), {"content": message.text[:DISCORD_LENGTH], "allowed_mentions": {"parse": []}})
