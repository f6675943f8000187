"""Polling: what is true on the servers, by a light read of each, and what it means for every deployment there."""

import logging
from collections.abc import Iterable
from contextlib import suppress

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.connection import talking_to
from accounts.models import Server
from bots.models import BotState, Deployment
from bots.monitoring.evidence import (
    WORKING,
    apply_log_evidence,
    read_live,
    read_logs,
    record_unconfirmed_stop,
)
from bots.monitoring.guards import busy_bots, unchanged_since
from bots.monitoring.order_accounting import account_for_end
from bots.monitoring.snapshot import Snapshot, state_in
from bots.monitoring.unmanaged import record_duplicates, record_unmanaged
from bots.problems import InstanceUnknownHere
from core.problems.server import FAILURES
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import DockerDown, Unanswered
from operations.problems import OperationActive
from operations.services import operation_request

logger = logging.getLogger(__name__)


def poll_server(server: Server, *, within: float | None = None) -> None:
    """Poll a server and update its open deployments.

    While an operation works on a bot, the operation decides about the bot's state: the poll only finds that the server
    answers. A deployment that changed after the poll started is left alone. The bots of a server that can't be reached
    become unknown instead of keeping their last state.

    Args:
        within: seconds that its requests may take together.
    """
    begun_at = timezone.now()
    busy = set(busy_bots())
    open_here = list(Deployment.objects.open().filter(server=server).select_related("bot__client"))
    deployments = [deployment for deployment in open_here if deployment.bot_id not in busy]
    # A poll does not wait for a slow server as an operation does: the next poll comes soon.
    try:
        with talking_to(server, read_timeout=5, read_retries=0, total_timeout=within) as api:
            snapshot = Snapshot.take(api)
            server.contact_succeeded(
                docker_running=True,
                mqtt_connected=snapshot.mqtt_connected,
                instances=sorted(snapshot.instances),
                instances_at=snapshot.taken_at,
            )
            for deployment in deployments:
                _apply_snapshot(api, snapshot, deployment)
            Deployment.objects.open().filter(
                pk__in=[deployment.pk for deployment in open_here if deployment.bot_id in busy],
                observed_at__lt=snapshot.taken_at,
            ).exclude(observed_state=BotState.UNKNOWN).update(observed_at=snapshot.taken_at)
            record_duplicates(server, snapshot)
            record_unmanaged(server, snapshot)
            _read_some_logs(api, snapshot, deployments)
    except FAILURES as problem:
        if isinstance(problem, DockerDown):
            server.contact_succeeded(docker_running=False)
        else:
            server.contact_failed(problem, reachable=not problem.no_contact)
        # This poll has not seen them: the time when they were last seen stays as it is.
        unchanged_since(begun_at).filter(pk__in=[deployment.pk for deployment in deployments]).update(
            observed_state=BotState.UNKNOWN
        )


def _apply_snapshot(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> None:
    previous = deployment.observed_state
    deployment.instance_name = deployment.find_instance(snapshot.active | snapshot.exited)
    state = state_in(snapshot, deployment)
    values: dict[str, object] = {
        "instance_name": deployment.instance_name,
        "observed_state": state,
        "observed_at": snapshot.taken_at,
    }
    if state == BotState.NOT_LISTED and previous != BotState.NOT_LISTED:
        # The history is heavy: it is read once, when the instance is no longer listed.
        values |= _ended_state(api, snapshot, deployment)
    if state == BotState.CRASHED and previous != BotState.CRASHED:
        # Its last log lines: the server drops them half a minute after its end.
        with suppress(Unanswered):
            values |= apply_log_evidence(deployment, state, read_logs(api, deployment), {})[1]
    if state in {*WORKING, BotState.UNRESPONSIVE}:
        values["exposed_since"] = deployment.exposed()
    if state in WORKING and deployment.verified_at is None:
        values["verified_at"] = snapshot.taken_at
    if reports := snapshot.performance.get(deployment.instance_name):
        values |= {
            "pnl_quote": _total(report.global_pnl_quote for report in reports),
            "volume_quote": _total(report.volume_traded for report in reports),
        }
    if values.get("ended_at"):
        account_for_end(api, deployment)  # archived outside the panel, maybe with open orders
    updated = unchanged_since(snapshot.taken_at).filter(pk=deployment.pk).update(**values)
    if updated and deployment.instance_name and deployment.stop_wanted_at is not None:
        _stop_requested(deployment)


def _stop_requested(deployment: Deployment) -> None:
    """Handle a requested stop of a bot that may never have appeared."""
    with suppress(OperationActive):
        operation_request(kind="stop", subject=deployment.bot)
    deployment.update(stop_wanted_at=None)


def _total(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _ended_state(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> dict[str, object]:
    """Return what the server's history shows about an instance that it does not list: archived, or never there."""
    runs = api.bots.runs(bot_name=deployment.instance_name, limit=1)
    if not runs:
        return {"observed_state": BotState.UNKNOWN, "last_error": InstanceUnknownHere.meaning}
    if any(run.deployment_status == "ARCHIVED" for run in runs):
        return {"observed_state": BotState.ARCHIVED, "ended_at": snapshot.taken_at}
    return {}


def _read_some_logs(api: HummingbotAPI, snapshot: Snapshot, deployments: Iterable[Deployment]) -> None:
    """Read the logs, and with them the live settings, of a few bots that are up, those first that were read longest
    ago: logs are heavy.
    """
    up = (
        Deployment.objects.open()
        .filter(pk__in=[deployment.pk for deployment in deployments], observed_at=snapshot.taken_at)
        .filter(observed_state__in=[*WORKING, BotState.STOPPED])
        .select_related("bot__client")
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
