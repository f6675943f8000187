"""Incidents in Slack."""

from notifications.models import Channel
from notifications.sending.channels.webhook import post_json
from notifications.sending.messages import Message


def send(message: Message, channel: Channel) -> None:
    # Slack reads these three as its own: a client named <!channel> would wake everybody. And *this* would be bold.
    text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    post_json(channel.read_secret(), {"text": text, "mrkdwn": False})
