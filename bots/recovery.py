"""Ending an instance in order: stopped, with its orders seen to be cancelled, also when its container ended by itself.

Orders outlive the container of their bot, and nobody but the bot can cancel them. So an instance that did not stop in
order is brought up first: Hummingbot restores its orders from its own database, and its stop cancels them. Each
function is safe to repeat after a crash at any line.
"""

from contextlib import suppress
from datetime import timedelta
from time import monotonic

from django.conf import settings
from django.utils import timezone

from bots.evidence import BotLogs, exposure, read_live, read_logs
from bots.instances import Place, locate, patiently
from bots.models import BotState, Deployment, OrphanedOrders
from bots.order_accounting import NOT_BROUGHT_UP, STOP_NOT_CONFIRMED, record_orphaned
from bots.problems import ContainerExited, StopNotDelivered, StopUnconfirmed
from bots.strategies.render import KILL_SWITCH
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, CommandRefused, NotFound, Unanswered
from operations.runner import Run

#: For so long after the start of its container, a bot counts as recently active because of an earlier run.
STALE_ACTIVITY = timedelta(seconds=45)


def stop_with_cancellation(run: Run, api: HummingbotAPI, deployment: Deployment) -> OrphanedOrders | None:
    """Have a bot whose container is up stop and cancel its orders, until its own log says that it has.

    A stop that is sent before the bot is connected is lost, and answers success all the same. So it is sent when the
    bot is connected in this run of its container, and once more while the log does not confirm it, which does no harm.

    Returns:
        The orders that the log does not show to be cancelled; ``None`` when it shows that of all.

    Raises:
        StopNotDelivered: it was not connected by the deadline.
        StopUnconfirmed: it was, and its log does not say that it stopped.
        ContainerExited: meanwhile.
    """
    sent: list[float] = []

    def see() -> BotLogs | None:
        logs = read_logs(api, deployment)
        if logs.says_stopped:
            return logs
        if logs.newest_at is None and locate(api, deployment) != Place.ACTIVE:
            raise ContainerExited(f"The container of {deployment.instance_name} exited before it could be stopped.")
        if (not sent or monotonic() - sent[-1] >= settings.FLEET["RESEND"]) and _is_connected(api, deployment, logs):
            run.hold()
            with suppress(BotNotFound):
                api.bots.stop(deployment.instance_name)
                sent.append(monotonic())
        return None

    look = patiently(see)
    logs = run.wait_for(lambda: look() or (BotLogs() if sent else None), _patience(deployment))
    if logs is None:
        raise StopNotDelivered
    if not logs.says_stopped:
        logs = run.wait_for(look, settings.FLEET["STOPPED"])
    if logs is None:
        raise StopUnconfirmed
    if logs.open_orders:  # a confirmation may come in a moment later
        settled = patiently(lambda: (read := read_logs(api, deployment)) and (read if not read.open_orders else None))
        logs = run.wait_for(settled, settings.FLEET["CANCELS"]) or logs
    deployment.observe(BotState.STOPPED, stopped_at=timezone.now(), exposed_since=exposure(deployment, logs))
    _put_kill_switch_back(api, deployment)
    return record_orphaned(deployment, logs.open_orders, STOP_NOT_CONFIRMED) if logs.open_orders else None


def _is_connected(api: HummingbotAPI, deployment: Deployment, logs: BotLogs) -> bool:
    """Whether commands reach the bot in this run of its container. The line that says so falls out of a long log, and
    what the server calls recently active may be an earlier run.
    """
    if logs.is_connected:
        return True
    young = timezone.now() - (deployment.started_at or deployment.planned_at) < STALE_ACTIVITY
    return not young and deployment.instance_name in api.bots.mqtt().discovered_bots


def _patience(deployment: Deployment) -> float:
    """Seconds that a bot gets to connect: one that has just been started as long as at its deploy, another one as long
    as a server needs that was itself restarted.
    """
    age = (timezone.now() - (deployment.started_at or deployment.planned_at)).total_seconds()
    return max(settings.FLEET["KNOWN_AGAIN"], settings.FLEET["HEARD"] - age)


def recover(run: Run, api: HummingbotAPI, deployment: Deployment) -> OrphanedOrders | None:
    """Stop an instance in order that did not end so, or that nothing can be told to: if need be, its container is ended
    and brought up again.

    Returns:
        As ``stop_with_cancellation``.

    Raises:
        ContainerExited, StopNotDelivered, StopUnconfirmed, CommandRefused, NotFound: it can't be brought up or stopped.
            What it may have left open is written down.
    """
    if locate(api, deployment) == Place.ACTIVE:
        try:
            return stop_with_cancellation(run, api, deployment)
        except (StopNotDelivered, StopUnconfirmed):
            run.hold()
            with suppress(NotFound):
                api.docker.stop(deployment.instance_name)
        except ContainerExited:
            pass
    try:
        bring_up(run, api, deployment)
        return stop_with_cancellation(run, api, deployment)
    except (ContainerExited, StopNotDelivered, StopUnconfirmed, CommandRefused, NotFound):
        if deployment.exposed_since is not None:
            orders = read_logs(api, deployment).open_orders
            record_orphaned(deployment, orders, NOT_BROUGHT_UP)
        raise


def bring_up(run: Run, api: HummingbotAPI, deployment: Deployment) -> None:
    """Start the container of an instance that has exited. A controller's kill switch is set before: until it is
    stopped, it quotes for about a second instead of as long as it is up.

    Raises:
        CommandRefused, NotFound: the engine refused, or has no such container.
    """
    _set_kill_switch(api, deployment)
    begin_run(api, deployment)
    run.hold()
    api.docker.start(deployment.instance_name)


def begin_run(api: HummingbotAPI, deployment: Deployment) -> None:
    """Write down that a new run of the container begins: what was logged up to now is of an earlier one."""
    with suppress(Unanswered):
        read_logs(api, deployment)
    deployment.observe(
        BotState.STARTING,
        started_at=timezone.now(),
        run_began_after=deployment.log_read_to,
        stopped_at=None,
        trouble="",
        trouble_reason="",
        trouble_since=None,
    )


def _set_kill_switch(api: HummingbotAPI, deployment: Deployment) -> None:
    live = read_live(api, deployment).get("live_config")
    if live is None:  # a script has none; a controller whose file can't be read is brought up without it
        return
    if deployment.kill_switch_before is None:
        deployment.update(kill_switch_before=live.get(KILL_SWITCH) is True)
    _switch(api, deployment, on=True)


def _put_kill_switch_back(api: HummingbotAPI, deployment: Deployment) -> None:
    if deployment.kill_switch_before is not None:
        _switch(api, deployment, on=deployment.kill_switch_before)
        deployment.update(kill_switch_before=None)


def _switch(api: HummingbotAPI, deployment: Deployment, *, on: bool) -> None:
    with suppress(BotNotFound, NotFound):
        changes = {KILL_SWITCH: on}
        api.controllers.change_instance_config(deployment.instance_name, deployment.config_name, changes)
