"""Sends a message through the channel that it is for."""

from collections.abc import Callable

from notifications.models import Channel, ChannelKind
from notifications.sending.channels import discord, email, slack, telegram, webhook
from notifications.sending.messages import Message


def deliver(message: Message, channel: Channel) -> None:
    """Send the message, once.

    Raises:
        Problem: one of ``notifications.problems``; the message may have arrived anyway where that says so.
    """
    _SENDERS[ChannelKind(channel.kind)](message, channel)


_SENDERS: dict[ChannelKind, Callable[[Message, Channel], None]] = {
    ChannelKind.EMAIL: email.send,
    ChannelKind.SLACK: slack.send,
    ChannelKind.DISCORD: discord.send,
    ChannelKind.TELEGRAM: telegram.send,
    ChannelKind.WEBHOOK: webhook.send,
}
