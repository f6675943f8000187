"""Instances on a server: finding a deployment's own, and where it is; waiting for it; looking closely."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar

from django.conf import settings
from django.utils import timezone

from accounts.servers.connection import talking_to
from bots.models import Bot, BotState, Deployment, OrphanedOrders
from bots.monitoring.evidence import WORKING, apply_log_evidence, read_live, read_logs, record_unconfirmed_stop
from bots.monitoring.guards import busy_bots, unchanged_since
from bots.monitoring.order_accounting import account_for_end
from bots.monitoring.snapshot import Snapshot, place_of, state_in
from bots.problems import (
    BotNeverConnected,
    ContainerExited,
    DeployUnconfirmed,
    InstanceMissing,
    InstanceNotListed,
    InstanceUnknownHere,
    NotDeployed,
    OrdersMayBeOpen,
)
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import ConnectionFailed, NotFound, Unanswered
from operations.kinds import StepContext

Found = TypeVar("Found")


class ContainerStatus(Enum):
    """Where an instance's container is."""

    ACTIVE = "active"
    EXITED = "exited"
    GONE = "gone"


def tolerating_outages(look: Callable[[], Found | None]) -> Callable[[], Found | None]:
    """Wrap a read for waiting: if the server is out of reach for a moment, the read has just not found anything yet."""

    def tolerant_poll() -> Found | None:
        try:
            return look()
        except (ConnectionFailed, Unanswered):
            return None

    return tolerant_poll


def current_deployment(bot: Bot) -> Deployment:
    """Return the bot's open deployment.

    Raises:
        NotDeployed
    """
    deployment = bot.deployments.open().select_related("server", "bot__client").first()
    if deployment is None:
        raise NotDeployed
    return deployment


def adopt(api: HummingbotAPI, deployment: Deployment) -> str:
    """Return the instance's name; for a deploy that was never answered, adopt its instance, or return nothing."""
    if not deployment.instance_name:
        prefix = deployment.requested_name
        containers = [*api.docker.active(prefix), *api.docker.exited(prefix)]
        if mine := deployment.find_instance(container.name for container in containers):
            deployment.observe(BotState.STARTING, instance_name=mine)
    return deployment.instance_name


def locate(api: HummingbotAPI, deployment: Deployment) -> ContainerStatus:
    """Return the status of the deployment's container. Adopts the instance of a deploy that was never answered."""
    name = adopt(api, deployment)
    if not name:
        return ContainerStatus.GONE
    if name in {container.name for container in api.docker.active(name)}:
        return ContainerStatus.ACTIVE
    if name in {container.name for container in api.docker.exited(name)}:
        return ContainerStatus.EXITED
    return ContainerStatus.GONE


def locate_surely(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> ContainerStatus:
    """Locate the container without mistaking one that is out of sight for a removed one: a container that is paused or
    restarting is in neither list, and alive. Docker is requested to stop what is not listed. It answers that it has no
    such container, or that it had one, which has exited then.

    Raises:
        CommandRefused: the engine reports neither.
    """
    place = locate(api, deployment)
    if place != ContainerStatus.GONE or not deployment.instance_name:
        return place
    context.hold()
    try:
        api.docker.stop(deployment.instance_name)
    except NotFound:
        return ContainerStatus.GONE
    deployment.update(exposed_since=deployment.exposed())
    return ContainerStatus.ACTIVE if locate(api, deployment) == ContainerStatus.ACTIVE else ContainerStatus.EXITED


def confirm_removed(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> None:
    """Make sure that an instance which the server does not list is not still trading somewhere.

    An unanswered deploy may create its instance late, and a base URL may lead to another host than before. A user who
    has checked the host may overrule this with the option ``gone``.

    Raises:
        DeployUnconfirmed, InstanceUnknownHere
    """
    if context.operation.options.get("gone"):
        return
    if deployment.instance_name:
        if not api.bots.runs(bot_name=deployment.instance_name, limit=1):
            raise InstanceUnknownHere(
                f"{deployment.server} never had {deployment}. It may be trading on another server."
            )
        return
    if timezone.now() < (until := may_appear_until(deployment)):
        sent_at = deployment.sent_at or deployment.planned_at
        raise DeployUnconfirmed(
            f"The server did not respond to the deploy of {sent_at:%H:%M} UTC. Its instance may appear until "
            f"{until:%H:%M} UTC."
        )


def may_appear_until(deployment: Deployment) -> datetime:
    """Return until when an unanswered deploy's instance may appear: the deadline for a retry and a next worker."""
    sent_at = deployment.sent_at or deployment.planned_at
    return sent_at + timedelta(seconds=settings.FLEET["UNCONFIRMED"])


def find(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> ContainerStatus:
    """Return where the deployment's container is, on a server that still has it.

    Raises:
        InstanceMissing: it was removed, which is recorded, and so is what it may have left open.
        DeployUnconfirmed, InstanceUnknownHere: it is not there, and may still be trading.
    """
    place = locate_surely(context, api, deployment)
    if place == ContainerStatus.GONE:
        confirm_removed(context, api, deployment)
        output, orphaned = end_as_removed(api, deployment)
        raise InstanceMissing(output, remedy=OrdersMayBeOpen.default_remedy if orphaned else "")
    return place


def end_as_removed(api: HummingbotAPI, deployment: Deployment) -> tuple[str, OrphanedOrders | None]:
    """Record that an instance is no longer on its server, and what it may have left open. Return both, the first as
    text.
    """
    orphaned = account_for_end(api, deployment) if deployment.instance_name else None
    ended = BotState.ARCHIVED if deployment.archive_sent_at else BotState.GONE
    deployment.end(ended if deployment.instance_name else BotState.NOT_CREATED)
    output = f"{deployment.instance_name or 'The instance of the unconfirmed deploy'} no longer exists on the server."
    return (output if orphaned is None else f"{output} {orphaned.summary}"), orphaned


def find_up(api: HummingbotAPI, deployment: Deployment, *, or_else: str) -> None:
    """Make sure that the deployment's container is up. Any other status is recorded, and nothing is stopped.

    Args:
        or_else: the end of a sentence that starts with the container's exit.

    Raises:
        ContainerExited, InstanceNotListed
    """
    match locate(api, deployment):
        case ContainerStatus.EXITED:
            deployment.observe(BotState.CRASHED)
            raise ContainerExited(f"The bot's container has exited, {or_else}")
        case ContainerStatus.GONE:
            deployment.observe(BotState.NOT_LISTED)
            raise InstanceNotListed


def wait_for_state(
    context: StepContext, api: HummingbotAPI, deployment: Deployment, *, counts: Callable[[], bool] = lambda: True
) -> BotState:
    """Wait until the bot is connected, or its container has exited. States in between are recorded.

    Args:
        counts: called when the bot is connected; returns whether that proves anything.

    Raises:
        InstanceMissing, BotNeverConnected
    """
    name = deployment.instance_name
    sights = []

    def see() -> BotState | None:
        snapshot = Snapshot.take(api, performance=False, name=name)
        sights.append(snapshot.sight_of(name))
        state = state_in(snapshot, deployment)
        if state in WORKING and not counts():
            state = BotState.STARTING
        exposed = {"exposed_since": deployment.exposed()} if state in WORKING else {}
        deployment.observe(state, **exposed)
        return state if state in {*WORKING, BotState.CRASHED} else None

    def sight() -> tuple[str, str] | None:
        # Once it is connected, only its log changes.
        unconnected = sights and deployment.observed_state == BotState.STARTING and not sights[-1].is_connected
        return (place_of(deployment.server, name), str(sights[-1])) if unconnected else None

    age = (timezone.now() - (deployment.started_at or deployment.planned_at)).total_seconds()
    state = context.wait_for(
        "the bot to connect",
        tolerating_outages(see),
        settings.FLEET["CONNECT_DEADLINE"],
        after=max(0, settings.FLEET["CONNECT_SOONEST"] - age),
        sight=sight,
    )
    # The last read tolerates no outage: a server that is out of reach is another failure than an unresponsive bot.
    state = state or see()
    if state is None and deployment.observed_state == BotState.NOT_LISTED:
        find(context, api, deployment)  # raises when it was removed
        deployment.observe(BotState.CRASHED)
        return BotState.CRASHED
    if state is None:
        raise BotNeverConnected(
            f"{deployment.instance_name} did not connect within {settings.FLEET['CONNECT_DEADLINE']} s of its start."
        )
    return state


def refresh(context: StepContext) -> str:
    """Refresh one bot: its state, and its logs, which a poll of the fleet leaves out.

    An operation that acts does not wait for this one, and what it records about the bot takes precedence.
    """
    bot: Bot = context.subject
    server = current_deployment(bot).server
    if busy_bots().filter(subject_id=bot.pk).exists():
        return f"Another operation on {bot} is running and reports its state."
    with talking_to(server) as api:
        output = context.wait_for(
            "a moment in which nothing else changes the bot",
            lambda: _refresh_closely(api, current_deployment(bot)),
            settings.FLEET["SETTLE"],
        )
    return output or f"{bot} changed during the refresh. Another operation reports its state."


def _refresh_closely(api: HummingbotAPI, deployment: Deployment) -> str | None:
    """Return the state, after recording it unless another process has updated it since the refresh started."""
    adopt(api, deployment)
    snapshot = Snapshot.take(api, performance=False, name=deployment.instance_name)
    unchanged = unchanged_since(snapshot.taken_at).filter(pk=deployment.pk, live_config_at=deployment.live_config_at)
    logs, live = read_logs(api, deployment), read_live(api, deployment)
    state, also = apply_log_evidence(deployment, state_in(snapshot, deployment), logs, live)
    if state in WORKING and deployment.verified_at is None:
        also["verified_at"] = snapshot.taken_at
    if not unchanged.update(observed_state=state, observed_at=snapshot.taken_at, **also):
        return None
    record_unconfirmed_stop(deployment, logs)
    return f"{deployment} is {state.label}."
