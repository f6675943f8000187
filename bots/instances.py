"""Instances on a server: finding a deployment's own, archiving, stopping and starting it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.utils import timezone

from accounts.operations import talking_to
from bots.fleet import WORKING, Snapshot, attended, judge, read_live, read_logs, state_in, untouched_since
from bots.models import Bot, BotState, Deployment
from bots.problems import (
    ArchiveUnconfirmed,
    ContainerExited,
    DeployUnconfirmed,
    InstanceMissing,
    InstanceUnknownHere,
    NeverHeard,
    NotDeployed,
    StopUnconfirmed,
)
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, ConnectionFailed, NotFound, Unanswered
from operations.runner import Run

Found = TypeVar("Found")


class Place(Enum):
    """Where an instance's container is."""

    ACTIVE = "active"
    EXITED = "exited"
    GONE = "gone"


class Archived(NamedTuple):
    """How an instance came to its end.

    Attributes:
        said: in a sentence.
        by_force: its container was ended without the bot having cancelled its orders.
    """

    said: str
    by_force: bool = False


def patiently(look: Callable[[], Found | None]) -> Callable[[], Found | None]:
    """For waiting: a look that finds the server out of reach for a moment has just not found anything yet."""

    def patient_look() -> Found | None:
        try:
            return look()
        except (ConnectionFailed, Unanswered):
            return None

    return patient_look


def current_deployment(bot: Bot) -> Deployment:
    """The bot's open deployment.

    Raises:
        NotDeployed
    """
    deployment = bot.deployments.open().select_related("server", "bot__client").first()
    if deployment is None:
        raise NotDeployed
    return deployment


def adopt(api: HummingbotAPI, deployment: Deployment) -> str:
    """The instance's name; when its deploy was never answered, the name of what came of it, or nothing."""
    if not deployment.instance_name:
        prefix = deployment.requested_name
        containers = [*api.docker.active(prefix), *api.docker.exited(prefix)]
        if mine := deployment.find_instance(container.name for container in containers):
            deployment.observe(BotState.STARTING, instance_name=mine)
    return deployment.instance_name


def locate(api: HummingbotAPI, deployment: Deployment) -> Place:
    """Where the deployment's container is. Adopts the instance of a deploy that was never answered."""
    name = adopt(api, deployment)
    if not name:
        return Place.GONE
    if name in {container.name for container in api.docker.active(name)}:
        return Place.ACTIVE
    if name in {container.name for container in api.docker.exited(name)}:
        return Place.EXITED
    return Place.GONE


def believe_gone(run: Run, api: HummingbotAPI, deployment: Deployment) -> None:
    """Make sure that an instance which the server does not list is not trading somewhere all the same.

    What an unanswered deploy makes may appear late, and a base URL may lead to another host than before. Somebody who
    has looked there may overrule this with the option ``gone``.

    Raises:
        DeployUnconfirmed, InstanceUnknownHere
    """
    if run.operation.options.get("gone"):
        return
    if deployment.instance_name:
        if not api.bots.runs(bot_name=deployment.instance_name, limit=1):
            raise InstanceUnknownHere(
                f"{deployment.server} never had {deployment}: it may be trading on another server."
            )
        return
    sent_at = deployment.sent_at or deployment.planned_at
    may_appear_until = sent_at + timedelta(seconds=settings.FLEET["UNCONFIRMED"])
    if timezone.now() < may_appear_until:
        raise DeployUnconfirmed(
            f"The deploy of {sent_at:%H:%M} UTC was not answered and its instance may appear until "
            f"{may_appear_until:%H:%M} UTC."
        )


def find(run: Run, api: HummingbotAPI, deployment: Deployment) -> Place:
    """Where the deployment's container is, on a server that still has it.

    Raises:
        InstanceMissing: it is gone, which is written down.
        DeployUnconfirmed, InstanceUnknownHere: it is not there, and may be trading all the same.
    """
    place = locate(api, deployment)
    if place == Place.GONE:
        believe_gone(run, api, deployment)
        deployment.observe(BotState.MISSING)
        raise InstanceMissing
    return place


def find_up(run: Run, api: HummingbotAPI, deployment: Deployment, *, or_else: str, remedy: str = "") -> None:
    """Make sure that the deployment's container is up. What it is instead is written down.

    Args:
        or_else: the end of a sentence that begins with the container's having exited by itself.

    Raises:
        ContainerExited, and what ``find`` raises.
    """
    if find(run, api, deployment) == Place.EXITED:
        deployment.observe(BotState.CRASHED)
        raise ContainerExited(f"The bot's container has exited by itself: {or_else}", remedy=remedy)


def wait_until_seen(
    run: Run, api: HummingbotAPI, deployment: Deployment, *, counts: Callable[[], bool] = lambda: True
) -> BotState:
    """Wait until the bot is heard, or its container has exited. What is seen meanwhile is written down.

    Args:
        counts: asked when it is heard, whether that proves anything.

    Raises:
        InstanceMissing, NeverHeard
    """

    def see() -> BotState | None:
        state = state_in(Snapshot.take(api, performance=False, name=deployment.instance_name), deployment)
        if state in WORKING and not counts():
            state = BotState.STARTING
        deployment.observe(state)
        return state if state in {*WORKING, BotState.CRASHED, BotState.MISSING} else None

    # The last look is not a patient one: a server that is out of reach is another failure than a silent bot.
    state = run.wait_for(patiently(see), settings.FLEET["HEARD"]) or see()
    if state is None:
        raise NeverHeard(f"{deployment.instance_name} was not heard within {settings.FLEET['HEARD']} s of its start.")
    if state == BotState.MISSING:
        raise InstanceMissing
    return state


def archive(run: Run, deployment: Deployment) -> Archived:
    """Stop the bot, cancel its orders, remove its container, keep its data on the server. Verified by its absence.

    Raises:
        ArchiveUnconfirmed, DeployUnconfirmed, InstanceUnknownHere
    """
    deadline = settings.FLEET["ARCHIVED"]
    with talking_to(deployment.server) as api:
        gone = patiently(lambda: locate(api, deployment) == Place.GONE or None)
        begun_at = deployment.archive_sent_at
        if begun_at and timezone.now() - begun_at < timedelta(seconds=deadline):
            # Begun before, maybe by a worker that died: the server works on it for up to a minute.
            run.wait_for(gone, deadline - (timezone.now() - begun_at).total_seconds())
        place = locate(api, deployment)
        if place == Place.GONE:
            if begun_at is None:
                believe_gone(run, api, deployment)
            archived = Archived(f"{deployment.instance_name or 'The unconfirmed instance'} was gone already.")
        else:
            run.hold()
            deployment.update(archive_sent_at=timezone.now())
            archived = _archive_active(run, api, deployment) if place == Place.ACTIVE else _remove(api, deployment)
            if not run.wait_for(gone, deadline) and locate(api, deployment) != Place.GONE:
                raise ArchiveUnconfirmed(f"{deployment.instance_name} is still on the server after {deadline} s.")
    deployment.end(BotState.ARCHIVED if deployment.instance_name else BotState.NOT_CREATED)
    return archived


def _archive_active(run: Run, api: HummingbotAPI, deployment: Deployment) -> Archived:
    name = deployment.instance_name
    try:
        _archive_once_heard(run, api, name)
    except BotNotFound:
        # Up, but deaf: nothing can be told to it, its container can only be ended.
        run.hold()
        _stop_container(api, name)
        _remove(api, deployment)
        return Archived(
            f"{name} was not heard, so its container was ended: look for orders that it left open at the exchange.",
            by_force=True,
        )
    return Archived(f"{name} stopped trading, its orders were cancelled, and its data is in the server's archive.")


def _archive_once_heard(run: Run, api: HummingbotAPI, name: str) -> None:
    """Have the server archive a bot. One that it does not know may have been forgotten with a restart of the API.

    Raises:
        BotNotFound: it was not heard for the time that a healthy bot needs to be known again.
    """
    try:
        api.bots.archive(name)
    except BotNotFound:
        heard = patiently(lambda: name in api.bots.mqtt().discovered_bots or None)
        if not run.wait_for(heard, settings.FLEET["KNOWN_AGAIN"]):
            raise
        api.bots.archive(name)


def _stop_container(api: HummingbotAPI, name: str) -> None:
    with suppress(NotFound):
        api.docker.stop(name)


def _remove(api: HummingbotAPI, deployment: Deployment) -> Archived:
    name = deployment.instance_name
    with suppress(NotFound):
        api.docker.remove(name)
    return Archived(f"{name} had exited; its container was removed and its data is in the server's archive.")


def stop(run: Run) -> str:
    """Tell the bot to stop its strategy and cancel its orders. The container stays up.

    Raises:
        What ``find_up`` raises.
    """
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        find_up(
            run,
            api,
            deployment,
            or_else="nothing is left to stop.",
            remedy="Look for orders that it left open at the exchange, then redeploy or archive it.",
        )
        run.hold()
        api.bots.stop(deployment.instance_name)
    return f"{deployment.instance_name} was told to stop and to cancel its orders."


def confirm_stop(run: Run) -> str:
    """Only the bot's own log says that it stopped.

    Raises:
        StopUnconfirmed
    """
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        said_so = patiently(lambda: read_logs(api, deployment).says_stopped or None)
        if not run.wait_for(said_so, settings.FLEET["STOPPED"]):
            raise StopUnconfirmed
    deployment.observe(BotState.STOPPED, stopped_at=timezone.now())
    return "The bot's log says that it stopped."


def prepare_start(run: Run) -> str:
    """See whether there is anything to start, and keep the time of the last log line: a later one proves the start.

    Raises:
        ClientOffboarded, and what ``find`` raises.
    """
    run.subject.refuse_when_offboarded()
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        place = find(run, api, deployment)
        logs = read_logs(api, deployment)
        heard = deployment.instance_name in api.bots.mqtt().discovered_bots
    runs = place == Place.ACTIVE and heard and not logs.says_stopped
    if runs:
        deployment.update(stopped_at=None)
    newest = logs.newest_general
    run.note(runs=runs, last_line=newest.timestamp.timestamp() if newest else 0)
    return f"{deployment.instance_name} is {'running' if runs else 'stopped' if heard else 'not heard'}."


def restart_container(run: Run) -> str:
    """The only thing that starts a stopped bot: its container, stopped and started. ``start-bot`` does nothing."""
    if run.operation.notes["runs"]:
        return "It is running: nothing to do."
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        deployment.observe(BotState.STARTING, started_at=timezone.now())
        if locate(api, deployment) == Place.ACTIVE:
            api.docker.stop(deployment.instance_name)
        run.hold()
        api.docker.start(deployment.instance_name)
    deployment.update(stopped_at=None)
    return "Its container was restarted, which starts its strategy."


def confirm_start(run: Run) -> str:
    """Heard, and its log goes on after the line that was its last before the start.

    Raises:
        NeverHeard, ContainerExited, InstanceMissing
    """
    deployment = current_deployment(run.subject)
    notes = run.operation.notes
    with talking_to(deployment.server) as api:
        state = wait_until_seen(
            run,
            api,
            deployment,
            counts=lambda: notes["runs"] or read_logs(api, deployment).goes_on_after(notes["last_line"]),
        )
    if state == BotState.CRASHED:
        raise ContainerExited(f"The container of {deployment.instance_name} exited after it was started.")
    return f"{deployment.instance_name} is {state.label}."


def refresh(run: Run) -> str:
    """Look at one bot closely: its state, and its logs, which a poll of the fleet leaves out.

    An operation that acts does not wait for this one. What such a one does, and says of the bot, goes before.
    """
    bot: Bot = run.subject
    server = current_deployment(bot).server
    if attended().filter(subject_id=bot.pk).exists():
        return f"Another operation works on {bot}, and says what is true of it."
    with talking_to(server) as api:
        said = run.wait_for(lambda: _look_closely(api, current_deployment(bot)), settings.FLEET["SETTLE"])
    return said or f"{bot} changes while it is looked at: another operation says what is true of it."


def _look_closely(api: HummingbotAPI, deployment: Deployment) -> str | None:
    """What was seen, and is written down unless something else was since the look began."""
    adopt(api, deployment)
    snapshot = Snapshot.take(api, performance=False, name=deployment.instance_name)
    unchanged = untouched_since(snapshot.taken_at).filter(pk=deployment.pk, live_config_at=deployment.live_config_at)
    logs, live = read_logs(api, deployment), read_live(api, deployment)
    state, also = judge(deployment, state_in(snapshot, deployment), logs, live)
    if state in WORKING and deployment.verified_at is None:
        also["verified_at"] = snapshot.taken_at
    if not unchanged.update(observed_state=state, observed_at=snapshot.taken_at, **also):
        return None
    return f"{deployment} is {state.label}."
