"""Incidents in Telegram."""

from django.conf import settings

from notifications.channels.webhook import post_json
from notifications.messages import Message
from notifications.models import Channel

TELEGRAM_LENGTH = 4096


def send(message: Message, channel: Channel) -> None:
    token = channel.read_secret()
    body = {"chat_id": channel.recipient, "text": message.text[:TELEGRAM_LENGTH], "disable_web_page_preview": True}
    post_json(f"{settings.NOTIFICATIONS['TELEGRAM_API']}/bot{token}/sendMessage", body, token)
