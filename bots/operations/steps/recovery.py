"""Ending an instance in order: stopped, with proof that its orders were canceled, even if its container exited.

Orders outlive the container of their bot, and only the bot can cancel them. So an instance that did not stop in order
is started first: Hummingbot restores its orders from its own database, and its stop cancels them. Each function is
safe to repeat after a crash at any line.
"""

import time
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from bots.models import BotState, Deployment
from bots.monitoring.evidence import BotLogs, exposure, read_live, read_logs
from bots.operations.steps.instances import ContainerStatus, locate, tolerating_outages
from bots.orders import OpenOrder
from bots.problems import ContainerExited, StopNotDelivered, StopUnconfirmed
from bots.strategies.render import KILL_SWITCH
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, CommandRefused, HummingbotAPIError, MqttDown, NotFound, Unanswered
from operations.kinds import StepContext
from operations.run import CancelRequested

#: For so long after the start of its container, a bot counts as recently active because of an earlier run.
STALE_ACTIVITY = timedelta(seconds=45)
CONNECTION = "the bot to connect"
#: An instance can't be brought up, or not be stopped.
CANT_BE_ENDED = (ContainerExited, StopNotDelivered, StopUnconfirmed, CommandRefused, NotFound)


def stop_with_cancellation(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> list[OpenOrder]:
    """Have a bot whose container is up stop and cancel its orders, until its own log confirms it.

    A stop that is sent before the bot is connected is lost, and still answers success. So it is sent when the
    bot is connected in this run of its container, and once more while the log does not confirm it, which does no harm.

    Returns:
        The orders that the log does not show to be canceled.

    Raises:
        MqttDown: nothing can be sent to any bot.
        StopNotDelivered: it was not connected by the deadline.
        StopUnconfirmed: it was, and its log does not confirm that it stopped.
        ContainerExited: meanwhile.
    """

    def sent_at() -> float:
        """When it was sent last, in seconds since the epoch; 0 before."""
        return float(context.operation.checkpoint.get("stop_sent_at", 0))

    def see() -> BotLogs | None:
        logs = read_logs(api, deployment)
        if logs.says_stopped and sent_at():
            return logs
        if logs.says_stopped:
            # It may be the log of an earlier run, whose container was just started again outside the panel.
            return logs if context.waited_for(CONNECTION) >= settings.FLEET["QUIET"] else None
        if logs.newest_at is None and locate(api, deployment) != ContainerStatus.ACTIVE:
            raise ContainerExited(
                f"The container of {deployment.instance_name} exited before the bot could be stopped.",
                remedy="Read the last lines of its log, and fix the cause.",
            )
        if time.time() - sent_at() >= settings.FLEET["RESEND"] and _is_connected(api, deployment, logs):
            context.hold()
            earlier = sent_at()
            context.save(stop_sent_at=time.time())
            try:
                api.bots.stop(deployment.instance_name)
            except BotNotFound:
                context.save(stop_sent_at=earlier)
            except CommandRefused:
                insist_on_mqtt(api)
                raise
        return None

    look = tolerating_outages(see)
    logs = context.wait_for(CONNECTION, lambda: look() or (BotLogs() if sent_at() else None), _patience(deployment))
    if logs is not None and not logs.says_stopped:
        logs = context.wait_for("the bot's log to confirm that it stopped", look, settings.FLEET["STOPPED"])
    if logs is None:
        insist_on_mqtt(api)
        raise StopUnconfirmed if sent_at() else StopNotDelivered

    def settle() -> BotLogs | None:
        read = read_logs(api, deployment)
        return None if read.orders.open else read

    if logs.orders.open:  # a confirmation may come in a moment later
        cancels = "the bot's log to confirm that its orders are canceled"
        logs = context.wait_for(cancels, tolerating_outages(settle), settings.FLEET["CANCELS"]) or logs
    # It cancels every order that it knows of, and its log names those that it could not.
    exposed_since = deployment.exposed() if logs.orders.open else None
    deployment.observe(
        BotState.STOPPED, stopped_at=timezone.now(), exposed_since=exposed_since, open_orders_complete=True
    )
    put_kill_switch_back(api, deployment)
    return logs.orders.open


def insist_on_mqtt(api: HummingbotAPI) -> None:
    """Make sure that bots can be reached over MQTT.

    Raises:
        MqttDown: no bot is connected to the server, which proves nothing about any of them.
    """
    if not api.bots.mqtt().connected:
        raise MqttDown


def _is_connected(api: HummingbotAPI, deployment: Deployment, logs: BotLogs) -> bool:
    """Return whether commands reach the bot in this run of its container. The log line that proves it drops out of a
    long log, and the server's "recently active" may refer to an earlier run.
    """
    if logs.is_connected:
        return True
    young = timezone.now() - (deployment.started_at or deployment.planned_at) < STALE_ACTIVITY
    return not young and deployment.instance_name in api.bots.mqtt().discovered_bots


def _patience(deployment: Deployment) -> float:
    """Return the seconds that a bot gets to connect: one that has just been started as long as at its deploy, another
    one as long as a server needs that was itself restarted.
    """
    age = (timezone.now() - (deployment.started_at or deployment.planned_at)).total_seconds()
    return max(settings.FLEET["RECONNECT_GRACE"], settings.FLEET["CONNECT_DEADLINE"] - age)


def stopped_in_order(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> bool | None:
    """Return whether a running bot has stopped, with its orders seen to be canceled; ``None`` before."""
    logs = read_logs(api, deployment)
    if not logs.says_stopped:
        return None
    if deployment.exposed_since is None or exposure(deployment, logs) is None:
        return True
    # It was this operation that stopped it: see ``stop_with_cancellation``.
    return bool(context.operation.checkpoint.get("stop_sent_at"))


def is_brought_up(context: StepContext) -> bool:
    """Return whether this operation started the container in order to stop the bot: see ``recover``."""
    return bool(context.operation.checkpoint.get("brought_up"))


def recover(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> list[OpenOrder]:
    """Stop an instance in order that did not end so, or that takes no command: if need be, its container is ended
    and brought up again. When that fails, its container is down as it was before.

    Returns:
        As ``stop_with_cancellation``.

    Raises:
        ContainerExited, StopNotDelivered, StopUnconfirmed, CommandRefused, NotFound: it can't be brought up or stopped.
        MqttDown: no command could reach it. Nothing was ended or brought up.
    """
    if not is_brought_up(context) and locate(api, deployment) == ContainerStatus.ACTIVE:
        if stopped_in_order(context, api, deployment) is not False:
            try:
                return stop_with_cancellation(context, api, deployment)
            except (StopNotDelivered, StopUnconfirmed):
                pass
            except ContainerExited:
                return _recover_exited(context, api, deployment)
        context.hold()
        with suppress(NotFound):
            api.docker.stop(deployment.instance_name)
    return _recover_exited(context, api, deployment)


def _recover_exited(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> list[OpenOrder]:
    if not is_brought_up(context):
        insist_on_mqtt(api)
        _set_kill_switch(api, deployment)
        # What was waited for in the run before is waited for again.
        context.save(stop_sent_at=0, waits={})
        begin_run(api, deployment)
        context.hold()
    try:
        if not is_brought_up(context):
            api.docker.start(deployment.instance_name)
            _note_brought_up(context, True)
        left = stop_with_cancellation(context, api, deployment)
    except (HummingbotAPIError, CancelRequested, StopNotDelivered, StopUnconfirmed, ContainerExited):
        # It was down, and must not continue trading because a user wanted it to end. If that fails here, the next poll
        # that sees it has it stopped.
        deployment.update(stop_wanted_at=timezone.now())
        with suppress(HummingbotAPIError):
            api.docker.stop(deployment.instance_name)
            _note_brought_up(context, False)
            deployment.observe(BotState.CRASHED, stop_wanted_at=None)
            put_kill_switch_back(api, deployment)  # not of one that is still up: it would quote
        raise
    _note_brought_up(context, False)
    return left


def _note_brought_up(context: StepContext, is_up: bool) -> None:
    context.save(brought_up=is_up)
    context.hurry(is_up)  # until it is stopped, it may trade


def begin_run(api: HummingbotAPI, deployment: Deployment) -> None:
    """Record that a new run of the container starts: what was logged up to now is from an earlier one, and it may place
    orders from now on.
    """
    with suppress(Unanswered):
        read_logs(api, deployment)
    deployment.observe(
        BotState.STARTING,
        started_at=timezone.now(),
        run_began_after=deployment.log_read_to,
        exposed_since=deployment.exposed(),
        stopped_at=None,
        trouble="",
        trouble_reason="",
        trouble_since=None,
    )


def _set_kill_switch(api: HummingbotAPI, deployment: Deployment) -> None:
    """Set the switch before a start: the controller then quotes for about a second, instead of until it is stopped."""
    live = read_live(api, deployment).get("live_config")
    if live is None:  # a script has none; a controller whose file can't be read is brought up without it
        return
    if deployment.kill_switch_before is None:
        deployment.update(kill_switch_before=live.get(KILL_SWITCH) is True)
    _switch(api, deployment, on=True)


def put_kill_switch_back(api: HummingbotAPI, deployment: Deployment) -> None:
    """Give the kill switch the value that it had before a recovery set it."""
    if deployment.kill_switch_before is not None:
        _switch(api, deployment, on=deployment.kill_switch_before)
        deployment.update(kill_switch_before=None)


def _switch(api: HummingbotAPI, deployment: Deployment, *, on: bool) -> None:
    with suppress(BotNotFound, NotFound):
        changes = {KILL_SWITCH: on}
        api.controllers.change_instance_config(deployment.instance_name, deployment.config_name, changes)
