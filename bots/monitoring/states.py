"""Writes what one poll has shown of all bots of a server: a few statements, however many bots there are."""

import math
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from bots.models import BotState, Deployment, DeploymentQuerySet
from bots.monitoring.evidence import WORKING
from bots.monitoring.snapshot import Snapshot, state_in
from core.rows.bulk_update import among, update_each

#: The columns that a poll may change besides the time.
COLUMNS = ("observed_state", "instance_name", "exposed_since", "verified_at", "pnl_quote", "volume_quote")
STATE = COLUMNS.index("observed_state")
#: What else decides about them. A poll reads no more: configurations and scripts are large.
_READ = (
    "server_id", "requested_name", "connector", "planned_at", "started_at", "stopped_at", "paused_at",
    "observed_at",
)  # fmt: skip


def record_states(snapshot: Snapshot, deployments: DeploymentQuerySet) -> list[Deployment]:
    """Record what the snapshot shows of these deployments. Those that have just ended are returned instead, with their
    new state: the server is asked about them first.

    If many end at once, as after a restart of the host, each poll returns some, those first that were seen longest ago.
    The others that crashed are recorded as crashed. The others that are not listed may have been archived: they are
    unknown, and were last seen before, until a poll returns them.
    """
    changed: dict[int, tuple[object, ...]] = {}
    unchanged: list[int] = []
    ended: dict[BotState, list[Deployment]] = {BotState.CRASHED: [], BotState.NOT_LISTED: []}
    with transaction.atomic():
        # Locked, so that they are still what they were when they are written.
        found = list(deployments.only(*COLUMNS, *_READ).order_by("observed_at", "pk").select_for_update())
        before = [_values(deployment) for deployment in found]
        _name_instances(snapshot, found)
        for deployment, values in zip(found, before, strict=True):
            seen_at = snapshot.taken_at
            state = _apply(snapshot, deployment)
            if state in ended and state != values[STATE]:
                if len(ended[state]) < settings.FLEET["ENDS_PER_POLL"]:
                    ended[state].append(deployment)
                    continue
                if state == BotState.NOT_LISTED:
                    deployment.observed_state, seen_at = BotState.UNKNOWN, deployment.observed_at
            if (after := _values(deployment)) == values and seen_at == snapshot.taken_at:
                unchanged.append(deployment.pk)
            else:
                changed[deployment.pk] = (*after, seen_at)
        update_each(Deployment, changed, (*COLUMNS, "observed_at"))
        Deployment.objects.filter(pk__in=among(unchanged)).update(observed_at=snapshot.taken_at)
    return [deployment for several in ended.values() for deployment in several]


def _values(deployment: Deployment) -> tuple[object, ...]:
    return tuple(getattr(deployment, name) for name in COLUMNS)


def _name_instances(snapshot: Snapshot, deployments: Iterable[Deployment]) -> None:
    """Find the instances of deploys that were never answered."""
    unnamed = [deployment for deployment in deployments if not deployment.instance_name]
    if not unnamed:
        return
    before = Deployment.objects.filter(pk__in=among([d.pk for d in unnamed])).values_list("pk", "seen_before")
    seen_before = dict(before)
    here = snapshot.active | snapshot.exited
    possible = {name for name in here if any(deployment.is_instance(name) for deployment in unnamed)}
    others = Deployment.objects.filter(server=unnamed[0].server_id, instance_name__in=possible)
    free = possible.difference(others.values_list("instance_name", flat=True))
    for deployment in unnamed:
        deployment.seen_before = seen_before[deployment.pk]
        deployment.instance_name = deployment.newest_instance(free)
        free.discard(deployment.instance_name)


def _apply(snapshot: Snapshot, deployment: Deployment) -> BotState:
    """Set what the snapshot shows, and return the state."""
    state = deployment.observed_state = state_in(snapshot, deployment)
    if state in {*WORKING, BotState.UNRESPONSIVE}:
        deployment.exposed_since = deployment.exposed()
    if state in WORKING and deployment.verified_at is None:
        deployment.verified_at = snapshot.taken_at
    if reports := snapshot.performance.get(deployment.instance_name):
        deployment.pnl_quote = _total(report.global_pnl_quote for report in reports)
        deployment.volume_quote = _total(report.volume_traded for report in reports)
    return state


def _total(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None and math.isfinite(figure)]
    return sum(known) if known else None
