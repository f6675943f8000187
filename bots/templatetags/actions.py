"""The order of the buttons on a bot's pages."""

from collections.abc import Iterable
from typing import Any

from django import template

from bots.models import Bot
from bots.reporting.actions import Actions, arrange
from operations.models import Operation

register = template.Library()


@register.simple_tag
def arranged(bot: Bot, buttons: Iterable[dict[str, Any]]) -> Actions:
    """Return the buttons of the bot's page with the one that its state asks for first."""
    return arrange(bot, buttons, busy=Operation.objects.of(bot).active().exists())
