"""Starting, stopping, recovering and archiving the instance of a bot."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from accounts.servers.connection import reach
from bots.models import Bot, BotState, Deployment
from bots.monitoring.evidence import WORKING
from bots.monitoring.order_accounting import require_no_open_orders
from bots.operations.base import (
    FIRST_RECOVERED,
    BotOperation,
    TradingOperation,
    at_hand,
    check_server,
    end_of,
    left_open,
    market,
    paragraphs,
    server_of,
    trading,
)
from bots.operations.options import GONE_PERMISSION, WhenGone, may_be_gone, open_orders_option
from bots.operations.restarts import is_to_be_started
from bots.operations.steps import instances, lifecycle
from core.problems import Problem
from operations.kinds import ActiveOperation, StepContext, StepDefinition, raised, register
from operations.models import Operation, State
from operations.problems import NotPossibleNow


@register
class Start(TradingOperation):
    """Starts a stopped or crashed instance again, with the configuration and keys that it was deployed with."""

    name = "start"
    permission = "bots.start_bot"
    label = "Start"
    doing = "Starting"
    icon = "play_arrow"
    confirm = True
    steps = (
        StepDefinition("server", "Check the server", lambda context: check_server(server_of(context))),
        StepDefinition("look", "Check the instance", lifecycle.prepare_start),
        StepDefinition("recover", "Cancel orders left open by an earlier run", lifecycle.recover_before_start),
        StepDefinition("restart", "Restart the container", lifecycle.restart_container),
        StepDefinition("connected", "Wait for the bot to run", lifecycle.confirm_start),
    )

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        return open_orders_option(subjects)

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = at_hand(subject)
        before = f"The bot is {instance.state.label}. {FIRST_RECOVERED}" if instance.exposed_since else ""
        if instance.paused_at:
            starts = (
                f"starts the instance of {subject.name}, which stays paused. It does not quote until you use “Resume”."
            )
        else:
            starts = f"starts {trading(instance)} again, with the settings and keys of its instance."
        starts = f"Then it {starts}" if before else starts[0].upper() + starts[1:]
        return paragraphs(before, starts, left_open(instance))

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from super().blockers(subject, options)
        instance = subject.open_deployment
        if instance and instance.state == BotState.PAUSED:
            yield NotPossibleNow(f"{instance} is up and paused. Use “Resume”.")
        if instance and instance.state == BotState.RUNNING:
            yield NotPossibleNow(f"{instance} is already running.")
        if options is not None:
            yield from raised(require_no_open_orders, at_hand(subject), options)


#: Operations that stop a bot themselves: a stop does not supersede them.
ENDING = frozenset({"stop", "recover", "archive"})


@register
class Stop(BotOperation):
    """Stops trading and cancels the orders. The container stays up and can be started again.

    What else is being done to the bot ends at its next safe point, and no server is too busy for it.
    """

    name = "stop"
    urgent = True
    bound = False
    permission = "bots.stop_bot"
    label = "Stop"
    doing = "Stopping"
    icon = "stop"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition(
            "stop", "Stop the bot and wait for its log to confirm that its orders are cancelled", lifecycle.stop
        ),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = at_hand(subject)
        is_down = instance.state in {BotState.CRASHED, BotState.NOT_LISTED} or instance.is_settled
        is_due = instance.is_settled and is_to_be_started(subject)
        stops = f"Stops {trading(instance)}, cancels its orders, and waits for the bot's log to confirm it."
        previous = Operation.objects.active().filter(lock=self.lock(subject), waits_for=None).first()
        return paragraphs(
            f"{end_of(instance) if is_down else stops} You can start it again.",
            "Its restart policy is about to start it again. Stop prevents that." if is_due else "",
            f"“{previous.label}” is running now. It ends at its next safe point." if previous else "",
        )

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        instance = subject.open_deployment
        # Whatever is in doubt can be stopped: only what was seen lately, and stopped, is not in doubt.
        stopped = instance is not None and instance.is_settled and not subject.duplicate_names
        if stopped and not is_to_be_started(subject) and not _is_being_started(subject):
            yield NotPossibleNow(f"{instance} is already stopped.")
        # What is about to make an instance gives way to a stop.
        if instance is not None or not Operation.objects.of(subject).active().exists():
            yield from super().blockers(subject, options)

    def supersedes(self, active: ActiveOperation) -> bool:
        # An operation that stops the bot itself continues once it has started; before that, a stop is faster. What the
        # panel itself recovers, it would start again.
        queued = active.state == State.QUEUED and active.kind != self.name
        return active.kind not in ENDING or queued or bool(active.options.get("automatic"))

    def concurrency_group(self, subject: Bot) -> str:
        return ""  # no server is too busy for it


def _is_being_started(bot: Bot) -> bool:
    return Operation.objects.of(bot).active().filter(kind__in=("start", "deploy", "redeploy")).exists()


@register
class Recover(BotOperation):
    """Stops in order what did not end so: brings its container up if need be, and has the bot cancel its orders."""

    name = "recover"
    urgent = True
    permission = "bots.stop_bot"
    label = "Recover"
    doing = "Recovering"
    icon = "healing"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("server", "Check the server", lambda context: check_server(server_of(context))),
        StepDefinition("recover", "Start the bot, stop it and cancel its orders", lifecycle.recover_instance),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = at_hand(subject)
        return (
            f"Starts the container of {instance} if it is down, and stops the bot as soon as it connects. This "
            f"cancels the orders that it left open in {market(instance)}. The bot may quote for about a second. "
            "Afterwards it is stopped, and can be started, redeployed or archived."
        )

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from super().blockers(subject, options)
        instance = at_hand(subject)
        if instance.state in {*WORKING, BotState.STARTING}:
            yield NotPossibleNow(f"{instance} is {instance.state.label}, so there is nothing to recover.")
        if instance.state in {BotState.STOPPED, BotState.CRASHED} and instance.exposed_since is None:
            yield NotPossibleNow(f"{instance} stopped cleanly, so it has no orders to cancel.")


def _ended_before(context: StepContext) -> Deployment | None:
    """Return the instance if a worker before, or the try before, has ended it, or only begun what ended it since."""
    newest: Deployment | None = context.subject.deployment
    again = context.resumed or context.operation.retry_of_id is not None
    return newest if again and newest is not None and newest.ended_at is not None else None


def _reach(context: StepContext) -> str:
    if ended := _ended_before(context):
        return f"{ended} has ended, so its server is not needed."
    return reach(server_of(context))


def _archive(context: StepContext) -> str:
    if ended := _ended_before(context):
        lifecycle.insist_on_no_orders(ended.orphaned_orders.unresolved().first())
        return f"{ended} is {ended.state.label}."
    archived = lifecycle.archive(context, instances.current_deployment(context.subject))
    lifecycle.insist_on_no_orders(archived.orphaned, archived.output)
    return archived.output


@register
class Archive(BotOperation):
    """Ends the instance for good; its data is kept on the server."""

    name = "archive"
    urgent = True
    permission = "bots.archive_bot"
    option_permissions = GONE_PERMISSION
    label = "Archive"
    doing = "Archiving"
    icon = "archive"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("server", "Reach the server", _reach),
        StepDefinition("archive", "Stop the bot, archive its instance and check its orders", _archive),
    )

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        return WhenGone if len(subjects) == 1 and may_be_gone(subjects[0]) else None

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return paragraphs(
            end_of(at_hand(subject)),
            "Removes the instance. Its data stays in the server's archive. To trade again, deploy the bot.",
        )
