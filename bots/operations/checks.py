"""Refreshing a bot, and validating its definition with its server and its exchange."""

from collections.abc import Iterator, Mapping
from typing import Any

from accounts.links import onboarding_page
from bots.models import Bot
from bots.operations.base import BotOperation
from bots.operations.steps import check, instances
from core.problems import Problem
from operations.kinds import StepDefinition, register
from operations.models import Operation


class ObservingOperation(BotOperation):
    """Only reads, so a bot's urgent stop never waits for it: it has its own lock and concurrency group."""

    # The permission to check a server: a check keeps the server busy and is recorded under its user's name.
    permission = "accounts.check_server"

    def lock(self, subject: Bot) -> str:
        return f"{super().lock(subject)}:{self.name}"

    def concurrency_group(self, subject: Bot) -> str:
        return f"{super().concurrency_group(subject)}:looking"

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return "Checks the bot's definition with the server and the exchange. Changes nothing."


@register
class Refresh(ObservingOperation):
    """Refreshes one bot now, including its logs. Changes nothing on the server."""

    name = "refresh"
    label = "Refresh"
    doing = "Refreshing"
    icon = "refresh"
    steps = (StepDefinition("look", "Read the instance's state and logs", instances.refresh),)


@register
class CheckBot(ObservingOperation):
    """Has the server validate the definition, also against the exchange. Changes nothing on either."""

    name = "check_bot"
    label = "Check"
    doing = "Checking"
    icon = "rule"
    steps = (
        StepDefinition("server", "Reach the server and sign in", check.sign_in_to_server),
        StepDefinition("rules", "Read the exchange's trading rules", check.read_rules),
        StepDefinition("settings", "Check the settings", check.check_settings),
        StepDefinition("amounts", "Check order amounts against the trading rules", check.check_amounts),
    )

    def next_step(self, operation: Operation) -> tuple[str, str]:
        return onboarding_page(operation.subject) or super().next_step(operation)

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        return iter(())  # it is about the definition, with or without an instance
