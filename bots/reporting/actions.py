"""Which of a bot's operations its page puts first: one for the state that the bot is in, the others behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bots.models import Bot, BotState
from bots.reporting.guidance import advice_for

#: How many stand beside the first one, before the menu with the rest.
BESIDE = 2


@dataclass(frozen=True)
class Actions:
    """The buttons of a page, as ``OperatesMixin.buttons`` returns them.

    Attributes:
        primary: the one that the bot's state asks for; ``None`` when it asks for nothing.
        beside: those that may be wanted at once.
        rest: all others, also those that are not possible now.
    """

    primary: Any
    beside: Sequence[Any]
    rest: Sequence[Any]


def arrange(bot: Bot, buttons: Iterable[dict[str, Any]], *, busy: bool) -> Actions:
    """Return the buttons in the order of the bot's page. While an operation is ``busy``, nothing comes first."""
    offered = {button["kind"].name: button for button in buttons}
    possible = [name for name, button in offered.items() if not button["blocked"]]
    first, beside = wanted(bot)
    if busy:
        first, beside = "", ["stop"]
    primary = offered[first] if first in possible else None
    shown = [offered[name] for name in beside if name in possible and name != first][:BESIDE]
    rest = [button for button in offered.values() if button is not primary and button not in shown]
    return Actions(primary, shown, rest)


def wanted(bot: Bot) -> tuple[str, list[str]]:
    """Return the operation that the bot's state asks for, empty if none, and those that may be wanted at once."""
    instance = bot.open_deployment
    if instance is None:
        return "deploy", ["check_bot"]
    if advice := advice_for(bot):
        first, *others = advice.kinds
        return first, [*others, *(["stop"] if instance.may_trade else [])]
    if instance.state != BotState.RUNNING:
        return "", ["stop", "refresh"]
    if bot.needs_redeploy or bot.has_newer_key:
        return "redeploy", ["pause", "stop"]
    return "apply_settings" if bot.settings_to_apply() else "", ["pause", "stop"]
