"""What all operations on bots have in common, and the texts that describe what they do."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.db import models
from django.urls import reverse

from accounts.links import key_page, server_page
from accounts.models import Server
from accounts.operations import address_of, owner, server_group
from accounts.servers.connection import check_engines, sign_in
from bots.models import Bot, BotState, Deployment, EmergencyStop, OrphanedOrders
from bots.operations.steps import instances
from bots.strategies.amounts import too_wide
from core.http import is_row_number
from core.problems import Problem
from hummingbot_api.connectors import AccountType, market_of
from operations.kinds import OperationType, StepContext, raised
from operations.models import Operation
from operations.problems import NotPossibleNow

#: The columns of a server that rules about bots don't read.
HEAVY = ("password", "connectors", "account_names")


def check_server(server: Server) -> str:
    return " ".join([sign_in(server), check_engines(server)])


def server_of(context: StepContext) -> Server:
    """Return the instance's server: the bot's definition may name another one by now."""
    return instances.current_deployment(context.subject).server


def at_hand(bot: Bot) -> Deployment:
    """Return the deployment that an operation on the bot's instance is about, or a plan when there is none."""
    return bot.open_deployment or bot.plan_deployment()


def planned_by(bot: Bot, options: Mapping[str, Any]) -> Deployment:
    """Return the deployment that these options lead to: from the current definition, or like a previous deployment."""
    like = str(options.get("like") or "")
    previous = bot.deployments.filter(pk=like).first() if is_row_number(like) else None
    return previous.plan_again() if previous else bot.plan_deployment()


def market(deployment: Deployment) -> str:
    """Return a deployment's market and account type: the bot's definition may have been edited since."""
    pair, connector = deployment.trading_pair, deployment.connector
    account_type = market_of(connector).account_type
    if account_type is AccountType.PAPER:
        return f"{pair} on {connector} with simulated money (paper trading)"
    if account_type is AccountType.TESTNET:
        return f"{pair} on {connector} with test funds (testnet)"
    return f"{pair} on {connector} with real money of {deployment.bot.client}"


def trading(deployment: Deployment) -> str:
    return f"trading {market(deployment)}"


def end_of(instance: Deployment) -> str:
    """Describe what the end of an instance does to its trading and its orders, by what is known about it."""
    state = instance.state
    if instance.is_settled:
        return "The bot is already stopped, and its orders are cancelled."
    if (
        state in {BotState.STOPPED, BotState.CRASHED, BotState.NOT_LISTED, BotState.UNRESPONSIVE}
        and instance.exposed_since
    ):
        return f"The bot is {state.label}. {FIRST_RECOVERED}"
    if state in {BotState.CRASHED, BotState.NOT_LISTED}:
        return f"The bot is {state.label} and has no orders to cancel."
    return f"Stops {trading(instance)}, cancels its orders, and waits for the bot's log to confirm it."


def left_open(deployment: Deployment) -> str:
    """Return a warning about orders on top of which a deployment would quote."""
    records = OrphanedOrders.objects.in_the_way_of(deployment).select_related("deployment")
    crashed = Deployment.objects.crashed_beside(deployment)
    return paragraphs(
        *(f"{record.deployment}: {record.summary}" for record in records),
        *(f"{other} is {other.state.label}, and its orders are not confirmed as cancelled." for other in crashed),
    )


#: What is done with an instance that did not stop in order, before anything else.
FIRST_RECOVERED = (
    "It may have left orders open, so it is recovered first. Its container is started, and the bot is stopped as soon "
    "as it connects, which cancels its orders. It may quote for about a second. Any order that can't be cancelled is "
    "listed."
)


def company(deployment: Deployment) -> str:
    """Return a warning when the client has another bot on the same market: the two may trade with each other."""
    others = (
        Deployment.objects.open()
        .filter(bot__client=deployment.bot.client, connector=deployment.connector, trading_pair=deployment.trading_pair)
        .exclude(bot=deployment.bot)
        .select_related("bot")
    )
    names = [other.bot.name for other in others if other.may_trade]
    trade = "trade" if len(names) > 1 else "trades"
    words = f"{', '.join(names)} of the same client {trade} the same market. The bots may trade with each other."
    return words if names else ""


def doubts(deployment: Deployment) -> str:
    """Return the settings that may be typos."""
    wide = too_wide(deployment.bot.strategy.settings_schema, deployment.config)
    return "\n".join(f"{name}: {reason}" for name, reason in wide.items())


def paragraphs(*parts: str) -> str:
    """Join the texts to read before the confirmation, one paragraph each."""
    return "\n\n".join(filter(None, parts))


def is_held(bot: Bot) -> bool:
    return bot.open_deployment is not None and bot.open_deployment.is_held


def pause_ends(bot: Bot) -> str:
    """Return the text about the end of a pause that is shown before the user confirms."""
    return f"{bot.name} is paused, but the new instance will not be. It starts quoting at once." if is_held(bot) else ""


def doubts_about(bot: Bot, planned: Deployment) -> tuple[str, ...]:
    """Return the warnings about a deployment."""
    return pause_ends(bot), left_open(planned), company(planned), doubts(planned)


class BotOperation(OperationType[Bot]):
    """What all operations on bots have in common: one that acts per bot, a bounded number per server."""

    subject_model = Bot
    #: Whether an emergency stop blocks it: what makes a bot trade, or trade in another way.
    blocked_by_emergency_stop: ClassVar[bool] = False

    def with_related(self, subjects: models.QuerySet[Bot]) -> models.QuerySet[Bot]:
        # Of a server, what is large and what is encrypted is no concern of the rules.
        return (
            subjects.select_related("client", "server", "strategy", "deployment__server")
            .defer(*(f"{server}__{name}" for server in ("server", "deployment__server") for name in HEAVY))
            .prefetch_related("duplicates")
        )

    def connector(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return subject.trades_on

    confirmed_reads: ClassVar[tuple[str, ...]] = ("server", "deployment__server")

    def confirmed(self, subject: Bot, options: Mapping[str, Any]) -> list[Any]:
        instance = at_hand(subject)
        where = address_of(instance.server)
        return [instance.pk, where, instance.profile, instance.connector, instance.trading_pair]

    def concurrency_group(self, subject: Bot) -> str:
        return server_group(subject.server)

    def on_behalf_of(self, subject: Bot) -> str:
        return owner(subject.client_id)

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        if subject.open_deployment is None:
            yield NotPossibleNow(f"{subject} has no instance on a server. Deploy it first.")

    def link_for(self, subject: Bot, concern: str) -> tuple[str, str] | None:
        return {
            "server": server_page(subject.server),
            "key": key_page(subject.client, subject.connector),
            "bot": ("Open the bot", subject.get_absolute_url()),
            "settings": ("Open the bot's settings", reverse("admin:bots_bot_change", args=[subject.pk])),
            "strategy": (f"Open the strategy {subject.strategy}", subject.strategy.get_absolute_url()),
            "client": (f"Open the client {subject.client}", subject.client.get_absolute_url()),
            "emergency_stop": ("Open emergency stops", reverse("admin:bots_emergencystop_changelist")),
        }.get(concern)

    def next_step(self, operation: Operation) -> tuple[str, str]:
        return "Open the bot", reverse("admin:bots_bot_now", args=[operation.subject_id])


def stopped_by_emergency(bot: Bot) -> Iterator[Problem]:
    """Yield the emergency stop that is in force for a bot, if there is one."""
    if problem := EmergencyStop.objects.blocker_of(bot):
        yield problem


class TradingOperation(BotOperation):
    """What makes a bot trade."""

    blocked_by_emergency_stop = True

    def confirmed(self, subject: Bot, options: Mapping[str, Any]) -> list[Any]:
        return [*super().confirmed(subject, options), at_hand(subject).config]

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from stopped_by_emergency(subject)
        yield from raised(subject.require_active_client)
        yield from super().blockers(subject, options)
