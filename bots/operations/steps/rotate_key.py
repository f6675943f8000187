"""Steps of a key rotation: find the bots that still run with the previous values, and have them redeployed."""

from django.db import models, transaction

from accounts.models import ExchangeKey
from bots.models import Bot, BotState, Deployment
from bots.problems import ClientOffboarded, EmergencyStopActive, OrdersMayBeOpen, PauseWouldEnd
from core.acting import note
from operations import kinds
from operations.kinds import StepContext
from operations.problems import OperationActive
from operations.services import operation_request

#: Bots in these states don't trade, or may not: a redeploy would start something that no one requested.
_NOT_TRADING = (
    BotState.STOPPED,
    BotState.PAUSED,
    BotState.CRASHED,
    BotState.NOT_LISTED,
    BotState.UNCONFIRMED,
    BotState.UNRESPONSIVE,
)
_REQUESTED = "{}: redeploy requested."


def running_with_previous_key(key: ExchangeKey) -> models.QuerySet[Deployment]:
    """Return the live instances that hold other values for the key's connector than the key has now."""
    return (
        Deployment.objects.open()
        .filter(bot__client=key.client, connector=key.connector)
        .exclude(key_fingerprint=key.fingerprint)
        .select_related("bot__client", "server")
        .order_by("bot__name")
    )


def to_redeploy(key: ExchangeKey) -> models.QuerySet[Deployment]:
    """Return those of them that trade. A stopped or paused bot stays so: a new instance would trade at once, and that
    is a decision for a user.
    """
    return (
        running_with_previous_key(key).filter(stopped_at=None, paused_at=None).exclude(observed_state__in=_NOT_TRADING)
    )


def prune_previous_values() -> None:
    """Delete previous values, except those that mask the logs of bots which still have them."""
    for key in ExchangeKey.objects.filter(previous_values__isnull=False).select_related("client"):
        if not running_with_previous_key(key).exists():
            unchanged = ExchangeKey.objects.filter(pk=key.pk, fingerprint=key.fingerprint)
            if unchanged.update(previous_values=None):
                note(key, "deleted previous key")


def ask_for_redeploys(context: StepContext) -> str:
    """Submit a redeploy of each chosen bot, as an operation of its own, with the settings that it runs with now.

    Submitted once, even if a worker dies in the middle: each submitted operation is linked to this one.
    """
    asked = Bot.objects.filter(pk__in=context.operation.followups.values("subject_id"))
    output = [_REQUESTED.format(bot.name) for bot in asked]
    wanted = to_redeploy(context.subject).filter(bot__in=context.operation.options.get("bots", ()))
    chosen = list(wanted.exclude(bot__in=asked))
    left = running_with_previous_key(context.subject).exclude(
        bot__in=[*asked, *(deployment.bot for deployment in chosen)]
    )
    output += [_ask(context, deployment) for deployment in chosen]
    if names := ", ".join(deployment.bot.name for deployment in left):
        output.append(f"These bots use the previous key until they are redeployed: {names}.")
    return " ".join(output) or "No bot runs with the previous key. You can delete it at the exchange."


def _ask(context: StepContext, deployment: Deployment) -> str:
    bot: Bot = deployment.bot
    user = context.operation.requested_by
    if user is not None and not user.has_perm(kinds.get("redeploy").permission):
        return f"{bot.name}: not redeployed, because {user} may not operate bots."
    try:
        with transaction.atomic():
            context.hold()
            operation_request(
                kind="redeploy",
                subject=bot,
                requested_by=user,
                options={"like": deployment.pk, "as_it_runs": True},
                caused_by=context.operation,
                confirmed=bool(context.operation.confirmed),
            )
    except OperationActive as problem:
        return f"{bot.name}: not redeployed, because “{problem.label}” is {problem.state}."
    except PauseWouldEnd:
        return f"{bot.name}: not redeployed, because it is now paused."
    except OrdersMayBeOpen as problem:
        return f"{bot.name}: not redeployed. {problem.message}"
    except EmergencyStopActive:
        return f"{bot.name}: not redeployed, because an emergency stop is in force."
    except ClientOffboarded:
        return f"{bot.name}: not redeployed, because {bot.client} is offboarded."
    return _REQUESTED.format(bot.name)
