"""Instances that have a bot's name and are not its own."""

from django.utils import timezone

from bots.models import Bot, UnmanagedInstance


def record_duplicate(name: str, bot: Bot | None = None) -> None:
    """Record an instance as a poll does. ``bot`` may be left out when there is one bot only."""
    bot = bot or Bot.objects.get()
    now = timezone.now()
    UnmanagedInstance.objects.create(
        server=bot.server, name=name, duplicate_of=bot, first_seen_at=now, last_seen_at=now
    )
