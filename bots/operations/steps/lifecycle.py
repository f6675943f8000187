"""The steps that stop, recover, start and archive the instance that a bot has."""

from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from accounts.servers.connection import talking_to
from bots.models import BotState, Deployment, EmergencyStop, OrphanedOrders
from bots.monitoring.evidence import read_logs
from bots.monitoring.order_accounting import (
    NOT_ENDED,
    STOP_NOT_CONFIRMED,
    account_for_end,
    record_exposure,
    record_orphaned,
    require_no_open_orders,
)
from bots.operations.steps.instances import (
    ContainerStatus,
    confirm_removed,
    current_deployment,
    end_as_removed,
    find,
    locate,
    locate_surely,
    tolerating_outages,
    wait_for_state,
)
from bots.operations.steps.recovery import (
    CANT_BE_ENDED,
    begin_run,
    is_brought_up,
    put_kill_switch_back,
    recover,
    stop_with_cancellation,
    stopped_in_order,
)
from bots.problems import ArchiveUnconfirmed, ContainerExited, DeployUnconfirmed, InstanceMissing, OrdersMayBeOpen
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, NotFound
from hummingbot_api.server_faults import NotSupportedByServer
from operations.kinds import StepContext

CANCELLED = "Its log confirms that it stopped, and shows no open orders."


class Archived(NamedTuple):
    """How an instance ended.

    Attributes:
        said: as a sentence.
        orphaned: the orders that it left, as far as is known; ``None`` when it left none.
    """

    output: str
    orphaned: OrphanedOrders | None = None


def insist_on_no_orders(orphaned: OrphanedOrders | None, output: str = "") -> None:
    """Make sure that nothing was left open. ``output``: what happened, when there is more to report than the orders.

    Raises:
        OrdersMayBeOpen: naming it.
    """
    if orphaned is not None:
        raise OrdersMayBeOpen(output or orphaned.summary)


# --- stop, recover ----------------------------------------------------------------------------------------------


def stop(context: StepContext) -> str:
    """Have the bot stop its strategy and cancel its orders, until its log confirms it. The container stays up; one that
    exited on its own, or that Docker paused, is started for it.

    Raises:
        OrdersMayBeOpen, StopNotDelivered, StopUnconfirmed, and what ``find`` and ``recover`` raise.
    """
    if context.operation.checkpoint.get("superseded") and not context.subject.deployments.open().exists():
        return "The bot has no instance on a server: the operation that was deploying it has ended."
    return _stop_or_recover(context, by_force=False)


def recover_instance(context: StepContext) -> str:
    """Stop an instance, restarting a container whose bot accepts no command."""
    return _stop_or_recover(context, by_force=True)


def _stop_or_recover(context: StepContext, *, by_force: bool) -> str:
    deployment = current_deployment(context.subject)
    with talking_to(deployment.server) as api:
        if is_brought_up(context):  # nothing may fail before ``recover``, which ends it again when something does
            insist_on_no_orders(_end(context, api, deployment))
            return CANCELLED
        try:
            place = find(context, api, deployment)
        except InstanceMissing:
            if deployment.archive_sent_at and not deployment.orphaned_orders.unresolved().exists():
                return f"{deployment} was archived. No instance of the bot trades any more."
            raise
        except DeployUnconfirmed:
            deployment.update(stop_wanted_at=timezone.now())
            raise
        if deployment.exposed_since is None and deployment.archive_sent_at is not None:
            return f"{deployment} stopped cleanly, and is being archived."
        if place == ContainerStatus.EXITED and deployment.exposed_since is None:
            return f"{deployment} stopped cleanly before its container ended. It has no orders to cancel."
        soft = (
            place == ContainerStatus.ACTIVE and not by_force and stopped_in_order(context, api, deployment) is not False
        )
        insist_on_no_orders(_end(context, api, deployment, soft=soft))
    return CANCELLED


def _end(
    context: StepContext, api: HummingbotAPI, deployment: Deployment, *, soft: bool = False
) -> OrphanedOrders | None:
    """Stop an instance in order, starting it first unless ``soft``. What it may have left open is recorded."""
    try:
        left = (stop_with_cancellation if soft else recover)(context, api, deployment)
    except CANT_BE_ENDED:
        if not soft:
            record_exposure(deployment, read_logs(api, deployment).orders.open, NOT_ENDED)
        raise
    return record_orphaned(deployment, left, STOP_NOT_CONFIRMED) if left else None


# --- start ------------------------------------------------------------------------------------------------------


def prepare_start(context: StepContext) -> str:
    """See whether there is anything to start.

    Raises:
        ClientOffboarded, EmergencyStopActive, OrdersMayBeOpen, and what ``find`` raises.
    """
    context.subject.require_active_client()
    EmergencyStop.objects.require_none_for(context.subject)
    deployment = current_deployment(context.subject)
    require_no_open_orders(deployment, context.operation.options)
    with talking_to(deployment.server) as api:
        place = find(context, api, deployment)
        logs = read_logs(api, deployment)
        connected = False
        if place == ContainerStatus.ACTIVE and not logs.says_stopped:
            # A server that was itself restarted knows a healthy bot again after a while.
            is_connected = tolerating_outages(
                lambda: deployment.instance_name in api.bots.mqtt().discovered_bots or None
            )
            connected = bool(context.wait_for("the bot to connect", is_connected, settings.FLEET["RECONNECT_GRACE"]))
    runs = place == ContainerStatus.ACTIVE and connected and not logs.says_stopped
    if runs:
        deployment.update(stopped_at=None, stop_wanted_at=None)
    context.save(runs=runs)
    state = "running" if runs else "stopped" if logs.says_stopped else "not connected"
    return f"{deployment.instance_name} is {state}."


def recover_before_start(context: StepContext) -> str:
    """Cancel what an earlier run left open: a new one would quote on top of it.

    Raises:
        OrdersMayBeOpen, and what ``recover`` raises.
    """
    deployment = current_deployment(context.subject)
    if context.operation.checkpoint["runs"]:
        return "The bot is already running."
    if deployment.exposed_since is None:
        return "The bot stopped cleanly, so it has no orders to cancel."
    with talking_to(deployment.server) as api:
        orphaned = _end(context, api, deployment)
    if not context.operation.options.get("open_orders"):
        insist_on_no_orders(orphaned)
    return CANCELLED if orphaned is None else orphaned.summary


def restart_container(context: StepContext) -> str:
    """Start a stopped bot in the only way: stop and start its container. ``start-bot`` does nothing.

    Raises:
        EmergencyStopActive
    """
    if context.operation.checkpoint["runs"]:
        return "The bot is already running."
    deployment = current_deployment(context.subject)
    with talking_to(deployment.server) as api:
        place = locate(api, deployment)
        if context.operation.checkpoint.get("begun") and place == ContainerStatus.ACTIVE:
            return "The worker already restarted its container."  # it may quote: it must not be ended again
        if place == ContainerStatus.ACTIVE:
            api.docker.stop(deployment.instance_name)
        put_kill_switch_back(api, deployment)
        EmergencyStop.objects.require_none_for(context.subject)
        begin_run(api, deployment)
        deployment.update(stop_wanted_at=None)  # by now it is wanted again
        context.save(begun=True)
        context.hold()
        api.docker.start(deployment.instance_name)
    return "The container was restarted, which starts its strategy."


def confirm_start(context: StepContext) -> str:
    """Confirm that the bot is connected, and that its log continues in this run of its container.

    Raises:
        BotNeverConnected, ContainerExited, InstanceMissing
    """
    deployment = current_deployment(context.subject)
    runs = context.operation.checkpoint["runs"]
    with talking_to(deployment.server) as api:
        state = wait_for_state(context, api, deployment, counts=lambda: runs or read_logs(api, deployment).is_running)
    if state == BotState.CRASHED:
        raise ContainerExited(f"The container of {deployment.instance_name} exited after it was started.")
    return f"{deployment.instance_name} is {state.label}."


# --- archive ----------------------------------------------------------------------------------------------------


def archive(context: StepContext, deployment: Deployment) -> Archived:
    """Stop the bot in order, remove its container, keep its data on the server, and account for its orders by its
    archive. Verified by its absence.

    Raises:
        ArchiveUnconfirmed, CommandRefused, DeployUnconfirmed, InstanceUnknownHere
    """
    deadline = settings.FLEET["ARCHIVED"]
    with talking_to(deployment.server) as api:
        gone = tolerating_outages(lambda: locate(api, deployment) == ContainerStatus.GONE or None)
        how = context.operation.checkpoint.get("archiving", "")
        begun_at = deployment.archive_sent_at
        if not how and begun_at and timezone.now() - begun_at < timedelta(seconds=deadline):
            # Started before, maybe by a worker that died: the server works on it for up to a minute.
            left = deadline - (timezone.now() - begun_at).total_seconds()
            context.wait_for("an earlier archive to end", gone, left)
        is_up = is_brought_up(context)  # then nothing may fail before ``recover``, see above
        if not (how or is_up) and locate_surely(context, api, deployment) == ContainerStatus.GONE:
            if begun_at is None:
                confirm_removed(context, api, deployment)
                return Archived(*end_as_removed(api, deployment))
            how = "was archived before."
        elif not how:
            how = _stop_best_effort(context, api, deployment)
            context.hold()
            deployment.update(archive_sent_at=timezone.now())
            _remove_container(context, api, deployment)
            context.save(archiving=how)
        if not context.operation.checkpoint.get("removed"):
            is_gone = context.wait_for("its container to be removed", gone, deadline)
            if not is_gone or locate_surely(context, api, deployment) != ContainerStatus.GONE:
                raise ArchiveUnconfirmed(f"{deployment.instance_name} is still on the server after {deadline} s.")
            context.save(removed=True)
        orphaned = _account_for_archive(context, api, deployment)
    deployment.end(BotState.ARCHIVED if deployment.instance_name else BotState.NOT_CREATED)
    output = f"{deployment.instance_name} {how} Its data is in the server's archive."
    return Archived(output if orphaned is None else f"{output} {orphaned.summary}", orphaned)


def _account_for_archive(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> OrphanedOrders | None:
    """Wait for the data: the server removes the container first. One that never connected may have none."""
    if deployment.verified_at is not None:
        there = tolerating_outages(lambda: api.archives.has(deployment.instance_name) or None)
        with suppress(NotSupportedByServer):
            context.wait_for("its data to be listed in the archive", there, settings.FLEET["ARCHIVE_LISTED"])
    return account_for_end(api, deployment)


def _stop_best_effort(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> str:
    """Stop an instance before its archive, or explain why it can't be stopped. Its archive shows what it left open."""
    if deployment.exposed_since is None and locate(api, deployment) == ContainerStatus.EXITED:
        return "had already ended without open orders."
    try:
        left = recover(context, api, deployment)
    except CANT_BE_ENDED as problem:
        return f"could not be stopped cleanly ({problem.message}), so its container was ended."
    return "has stopped." if left else "has stopped, and its log shows no open orders."


def _remove_container(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> None:
    """Have the server archive a bot that it knows, which takes up to a minute, and remove the container of another."""
    name = deployment.instance_name
    if locate(api, deployment) == ContainerStatus.ACTIVE:
        try:
            api.bots.archive(name)
        except BotNotFound:  # it was stopped before, as far as that was possible
            context.hold()
            with suppress(NotFound):
                api.docker.stop(name)
        else:
            return
    with suppress(NotFound):
        api.docker.remove(name)
