"""Polling: what is true on the servers, by a light read of each, and what it means for every deployment there."""

import logging
from contextlib import suppress

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Server
from accounts.polling import waiting_for_server, with_the_database
from bots.models import Bot, BotState, Deployment, DeploymentQuerySet, EmergencyStop
from bots.monitoring.evidence import (
    WORKING,
    BotLogs,
    apply_log_evidence,
    read_live,
    read_logs,
    record_unconfirmed_stop,
)
from bots.monitoring.guards import OBSERVING_OPERATIONS, busy_bots, unchanged_since
from bots.monitoring.order_accounting import account_for_end
from bots.monitoring.snapshot import Snapshot
from bots.monitoring.states import record_states
from bots.monitoring.unmanaged import record_duplicates, record_unmanaged
from bots.problems import InstanceUnknownHere
from core.problems.server import FAILURES
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import DockerDown, Unanswered
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import AUTOMATIC, operation_request

logger = logging.getLogger(__name__)

#: Seconds that a poll waits for a connection, or for the next byte; and of a server that did not answer the last poll.
PATIENCE, PATIENCE_AGAIN = 5.0, 2.0


def poll_server(server: Server, *, within: float | None = None) -> None:
    """Poll a server and update its open deployments, in a fixed number of queries however many they are.

    While an operation works on a bot, the operation decides about the bot's state: the poll only finds that the server
    answers. A deployment that changed after the poll started is left alone. The bots of a server that can't be reached
    become unknown instead of keeping their last state.

    Args:
        within: seconds that its requests may take together.
    """
    begun_at = timezone.now()
    open_here = Deployment.objects.open().filter(server=server, sent_at__lte=begun_at)
    busy = list(open_here.filter(bot__in=busy_bots()).values_list("pk", flat=True))
    # A poll does not wait for a slow server as an operation does: the next poll comes soon. Still less for one that did
    # not answer the last time.
    patience = PATIENCE_AGAIN if server.failed_polls else PATIENCE
    timeouts = {"connect_timeout": patience, "read_timeout": patience, "total_timeout": within}
    try:
        with server.api(read_retries=0, secrets=with_the_database(server.key_secrets), **timeouts) as api:
            with waiting_for_server():
                snapshot = Snapshot.take(api)
            server.contact_succeeded(
                docker_running=True,
                latency_ms=snapshot.latency_ms,
                mqtt_connected=snapshot.mqtt_connected,
                instances=sorted(snapshot.instances),
                instances_at=snapshot.taken_at,
            )
            polled = unchanged_since(snapshot.taken_at).filter(server=server, sent_at__lte=begun_at)
            for deployment in record_states(snapshot, polled.exclude(pk__in=busy)):
                _look_closer(api, snapshot, deployment)
            Deployment.objects.open().filter(pk__in=busy, observed_at__lt=snapshot.taken_at).exclude(
                observed_state=BotState.UNKNOWN
            ).update(observed_at=snapshot.taken_at)
            _request_stops(server, snapshot)
            record_duplicates(server, snapshot)
            record_unmanaged(server, snapshot)
            _read_some_logs(api, snapshot, open_here.exclude(pk__in=busy))
    except FAILURES as problem:
        if isinstance(problem, DockerDown):
            server.contact_succeeded(docker_running=False)
        else:
            server.contact_failed(problem, reachable=not problem.no_contact)
        # This poll has not seen them: the time when they were last seen stays as it is.
        lost = unchanged_since(begun_at).filter(server=server, sent_at__lte=begun_at).exclude(pk__in=busy)
        lost.exclude(observed_state=BotState.UNKNOWN).update(observed_state=BotState.UNKNOWN)


def _look_closer(api: HummingbotAPI, snapshot: Snapshot, seen: Deployment) -> None:
    """Record the end of an instance, with what can only be read once: its history, or its last log lines."""
    deployment = Deployment.objects.select_related("bot__client", "server").get(pk=seen.pk)
    deployment.instance_name = seen.instance_name
    logs: BotLogs | None = None
    values: dict[str, object] = {
        "instance_name": seen.instance_name,
        "observed_state": seen.observed_state,
        "observed_at": snapshot.taken_at,
    }
    if seen.observed_state == BotState.NOT_LISTED:
        values |= _ended_state(api, snapshot, deployment)
    else:
        # The server drops the last log lines half a minute after the end.
        with suppress(Unanswered):
            logs = read_logs(api, deployment)
            values |= apply_log_evidence(deployment, BotState.CRASHED, logs, {})[1]
    if values.get("ended_at"):
        account_for_end(api, deployment)  # archived outside the panel, maybe with open orders
    if unchanged_since(snapshot.taken_at).filter(pk=deployment.pk).update(**values) and logs is not None:
        record_unconfirmed_stop(deployment, logs)


def _request_stops(server: Server, snapshot: Snapshot) -> None:
    """Stop the bots whose stop was requested before their instances had appeared, or that were brought up to be stopped
    and could not be: what the panel began by itself, to start the bot again, it goes on with, unless an emergency stop
    has come since.
    """
    appeared = Deployment.objects.open().filter(server=server, stop_wanted_at__isnull=False)
    appeared = appeared.filter(observed_at=snapshot.taken_at).exclude(instance_name="")
    for deployment in appeared.exclude(bot__in=busy_bots()).select_related("bot"):
        with suppress(OperationActive):
            operation_request(
                kind="stop", subject=deployment.bot, options=AUTOMATIC if _goes_on(deployment.bot) else {}
            )
        deployment.update(stop_wanted_at=None)


def _goes_on(bot: Bot) -> bool:
    """Return whether the last that was done to the bot was the panel's own and failed, with no emergency stop since."""
    last = Operation.objects.of(bot).exclude(kind__in=OBSERVING_OPERATIONS).order_by("-pk").first()
    if last is None or last.state != State.FAILED or not AUTOMATIC.items() <= last.options.items():
        return False
    return not any(stop.concerns(bot) for stop in EmergencyStop.objects.since(last.requested_at))


def _ended_state(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> dict[str, object]:
    """Return what the server's history shows about an instance that it does not list: archived, or never there."""
    runs = api.bots.runs(bot_name=deployment.instance_name, limit=1)
    if not runs:
        return {"observed_state": BotState.UNKNOWN, "last_error": InstanceUnknownHere.meaning}
    if any(run.deployment_status == "ARCHIVED" for run in runs):
        return {"observed_state": BotState.ARCHIVED, "ended_at": snapshot.taken_at}
    return {}


def _read_some_logs(api: HummingbotAPI, snapshot: Snapshot, deployments: DeploymentQuerySet) -> None:
    """Read the logs, and with them the live settings, of a few bots that are up, those first that were read longest
    ago: logs are heavy.
    """
    up = (
        deployments.filter(observed_at=snapshot.taken_at, observed_state__in=[*WORKING, BotState.STOPPED])
        .select_related("bot__client", "server")
        .order_by(models.F("logs_read_at").asc(nulls_first=True))
    )
    for deployment in up[: settings.FLEET["LOGS_PER_POLL"]]:
        try:
            live = read_live(api, deployment)
            state = BotState(deployment.observed_state)
            logs = read_logs(api, deployment)
            state, values = apply_log_evidence(deployment, state, logs, live)
        except Unanswered as problem:
            # One bot's unreadable log affects neither what the poll has shown about all bots nor the reading of other
            # logs.
            logger.warning("The log of %s was not read: %s", deployment, problem.code)
            Deployment.objects.filter(pk=deployment.pk).update(logs_read_at=timezone.now())
            return
        # An operation may have read it again since.
        unchanged = unchanged_since(snapshot.taken_at).filter(live_config_at=deployment.live_config_at)
        if unchanged.filter(pk=deployment.pk).update(observed_state=state, **values):
            record_unconfirmed_stop(deployment, logs)
