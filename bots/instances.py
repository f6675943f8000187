"""Instances on a server: finding a deployment's own, archiving, stopping and starting it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from django.conf import settings
from django.utils import timezone

from accounts.operations import talking_to
from bots.fleet import Snapshot, read_logs, state_in
from bots.models import Bot, BotState, Deployment
from bots.problems import (
    ArchiveUnconfirmed,
    ContainerExited,
    InstanceMissing,
    NeverHeard,
    NotDeployed,
    StopUnconfirmed,
)
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, NotFound, ServerFailed, ServerTimedOut, ServerUnreachable
from operations.runner import Run

Found = TypeVar("Found")


class Place(Enum):
    """Where an instance's container is."""

    ACTIVE = "active"
    EXITED = "exited"
    GONE = "gone"


def patiently(look: Callable[[], Found | None]) -> Callable[[], Found | None]:
    """For waiting: a look that finds the server out of reach for a moment has just not found anything yet."""

    def patient_look() -> Found | None:
        try:
            return look()
        except (ServerUnreachable, ServerTimedOut, ServerFailed):
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
        names = {c.name for c in api.docker.active(deployment.requested_name)}
        names |= {c.name for c in api.docker.exited(deployment.requested_name)}
        names -= set(Deployment.objects.filter(server=deployment.server).values_list("instance_name", flat=True))
        # The timestamp at the end sorts the newest last.
        if mine := sorted(filter(deployment.is_instance, names)):
            deployment.observe(BotState.STARTING, instance_name=mine[-1])
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


def archive(run: Run, deployment: Deployment) -> str:
    """Stop the bot, cancel its orders, remove its container, keep its data on the server. Verified by its absence.

    Raises:
        ArchiveUnconfirmed
    """
    deadline = settings.FLEET["ARCHIVED"]
    with talking_to(deployment.server) as api:
        gone = patiently(lambda: locate(api, deployment) == Place.GONE or None)
        begun_at = deployment.archive_sent_at
        if begun_at and timezone.now() - begun_at < timedelta(seconds=deadline):
            # Begun before, maybe by a worker that died: the server works on it for up to a minute.
            run.wait_for(gone, deadline - (timezone.now() - begun_at).total_seconds())
        if (place := locate(api, deployment)) != Place.GONE:
            deployment.update(archive_sent_at=timezone.now())
            how = _archive_active(run, api, deployment) if place == Place.ACTIVE else _remove(api, deployment)
            if not run.wait_for(gone, deadline) and locate(api, deployment) != Place.GONE:
                raise ArchiveUnconfirmed(f"{deployment.instance_name} is still on the server after {deadline} s.")
        else:
            how = "was gone already"
    deployment.end(BotState.ARCHIVED)
    return f"{deployment.instance_name or 'The unconfirmed instance'} {how}."


def _archive_active(run: Run, api: HummingbotAPI, deployment: Deployment) -> str:
    name = deployment.instance_name
    try:
        _archive_once_heard(run, api, name)
    except BotNotFound:
        # Up, but deaf: nothing can be told to it, its container can only be ended.
        _stop_container(api, name)
        _remove(api, deployment)
        return "was not heard, so its container was ended: look for orders that it left open at the exchange"
    return "stopped trading, its orders were cancelled, and its data is in the server's archive"


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


def _remove(api: HummingbotAPI, deployment: Deployment) -> str:
    with suppress(NotFound):
        api.docker.remove(deployment.instance_name)
    return "had exited; its container was removed and its data is in the server's archive"


def stop(run: Run) -> str:
    """Tell the bot to stop its strategy and cancel its orders. The container stays up."""
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        place = locate(api, deployment)
        if place == Place.GONE:
            deployment.observe(BotState.MISSING)
            raise InstanceMissing
        if place == Place.EXITED:
            deployment.observe(BotState.CRASHED)
            raise ContainerExited(
                "The bot's container has exited by itself: nothing is left to stop.",
                remedy="Look for orders that it left open at the exchange, then redeploy or archive it.",
            )
        api.bots.stop(deployment.instance_name)
    return f"{deployment.instance_name} was told to stop and to cancel its orders."


def confirm_stop(run: Run) -> str:
    """Only the bot's own log says that it stopped.

    Raises:
        StopUnconfirmed
    """
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        said_so = patiently(lambda: read_logs(api, deployment.instance_name).says_stopped or None)
        if not run.wait_for(said_so, settings.FLEET["STOPPED"]):
            raise StopUnconfirmed
    deployment.observe(BotState.STOPPED, stopped_at=timezone.now())
    return "The bot's log says that it stopped."


def prepare_start(run: Run) -> str:
    """See whether there is anything to start, and keep the time of the last log line: a later one proves the start."""
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        place = locate(api, deployment)
        if place == Place.GONE:
            deployment.observe(BotState.MISSING)
            raise InstanceMissing
        logs = read_logs(api, deployment.instance_name)
        heard = deployment.instance_name in api.bots.mqtt().discovered_bots
    runs = place == Place.ACTIVE and heard and not logs.says_stopped
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
        api.docker.start(deployment.instance_name)
    deployment.update(stopped_at=None)
    return "Its container was restarted, which starts its strategy."


def confirm_start(run: Run) -> str:
    """Heard, and its log goes on after the line that was its last before the start.

    Raises:
        NeverHeard, ContainerExited, InstanceMissing
    """
    deployment = current_deployment(run.subject)
    name = deployment.instance_name
    with talking_to(deployment.server) as api:

        def see() -> BotState | None:
            state = state_in(Snapshot.take(api, performance=False, name=name), deployment)
            if state == BotState.RUNNING and not run.operation.notes["runs"]:
                proven = read_logs(api, name).goes_on_after(run.operation.notes["last_line"])
                state = BotState.RUNNING if proven else BotState.STARTING
            deployment.observe(state)
            return state if state in {BotState.RUNNING, BotState.CRASHED, BotState.MISSING} else None

        state = run.wait_for(patiently(see), settings.FLEET["HEARD"]) or see()
    if state == BotState.CRASHED:
        raise ContainerExited(f"The container of {name} exited after it was started.")
    if state == BotState.MISSING:
        raise InstanceMissing
    if state is None:
        raise NeverHeard(f"{name} was not heard within {settings.FLEET['HEARD']} s after it was started.")
    return f"{name} is running."


def refresh(run: Run) -> str:
    """Look at one bot closely: its state, and its logs, which a poll of the fleet leaves out."""
    deployment = current_deployment(run.subject)
    with talking_to(deployment.server) as api:
        adopt(api, deployment)
        state = state_in(Snapshot.take(api, performance=False, name=deployment.instance_name), deployment)
        logs = read_logs(api, deployment.instance_name)
    also: dict[str, object] = {}
    if logs.newest_error:
        also["last_error"] = logs.newest_error.message[:2000]
    if state in {BotState.RUNNING, BotState.STOPPED} and logs.newest_general:
        # Somebody else may have stopped or started it.
        state = BotState.STOPPED if logs.says_stopped else BotState.RUNNING
        also["stopped_at"] = (deployment.stopped_at or timezone.now()) if logs.says_stopped else None
    if state == BotState.RUNNING and deployment.verified_at is None:
        also["verified_at"] = timezone.now()
    deployment.observe(state, **also)
    return f"{deployment} is {state.label}."
