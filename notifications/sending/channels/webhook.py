"""Incidents as JSON to a webhook."""

import json
from typing import Any

from notifications.models import Channel
from notifications.sending.http import post
from notifications.sending.messages import Message


def send(message: Message, channel: Channel) -> None:
    post_json(channel.read_secret(), message.facts | {"text": message.text})


def post_json(url: str, body: dict[str, Any], *secrets: str) -> None:
    post(url, json.dumps(body).encode(), secrets=secrets)
