"""Incidents in Discord."""

import re

from notifications.models import Channel
from notifications.sending.channels.webhook import post_json
from notifications.sending.messages import Message

#: The most characters that each takes.
DISCORD_LENGTH = 2000
#: What Discord reads as markup: a client named “[Open the panel](https://…)” would be a link that hides where it leads.
MARKUP = re.compile(r"([\\*_~`|<>#\[\]()-])")


def send(message: Message, channel: Channel) -> None:
    # The link to the panel is a line of its own, which no name is.
    lines = (line if line.startswith("http") else MARKUP.sub(r"\\\1", line) for line in message.text.splitlines())
    content = "\n".join(lines)[:DISCORD_LENGTH]
    post_json(channel.read_secret(), {"content": content, "allowed_mentions": {"parse": []}})
