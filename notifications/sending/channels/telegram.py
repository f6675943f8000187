"""Incidents in Telegram."""

from django.conf import settings

from notifications.models import Channel
from notifications.sending.channels.webhook import post_json
from notifications.sending.messages import Message

TELEGRAM_LENGTH = 4096


def send(message: Message, channel: Channel) -> None:
    token = channel.read_secret()
    body = {"chat_id": channel.recipient, "text": message.text[:TELEGRAM_LENGTH], "disable_web_page_preview": True}
    post_json(f"{settings.NOTIFICATIONS['TELEGRAM_API']}/bot{token}/sendMessage", body, token)
