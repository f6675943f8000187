"""What is true on the servers: a light look at each of them, and what it means for every deployment there."""

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone

from accounts.models import Server
from accounts.operations import talking_to
from bots.evidence import (
    WORKING,
    apply_log_evidence,
    read_live,
    read_logs,
    record_unconfirmed_stop,
    up_and_connected,
)
from bots.models import Bot, BotState, Deployment, DeploymentQuerySet, ForeignInstance
from bots.order_accounting import account_for_end
from bots.problems import InstanceUnknownHere
from bots.running import running_on
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import DockerDown, Problem, Unanswered
from hummingbot_api.names import DEPLOY_TIMESTAMP
from hummingbot_api.results import Container, ControllerPerformance
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_request

logger = logging.getLogger(__name__)

#: What the server appends to an instance's name.
INSTANCE_TIMESTAMP = re.compile(rf"{DEPLOY_TIMESTAMP.pattern}$")
#: Hummingbot's image, as opposed to the server's own, ``hummingbot/hummingbot-api``.
BOT_IMAGE = re.compile(r"hummingbot/hummingbot(?=[:@]|$)")
#: Operations that only look at a bot: they leave it to the poll, and hinder none that acts.
LOOKING = ("refresh", "check_bot")


@dataclass(frozen=True)
class Snapshot:
    """One look at a server with its four light calls: a fleet's worth of it is a few hundred bytes."""

    taken_at: datetime
    heard: frozenset[str]
    active: frozenset[str]
    exited: frozenset[str]
    #: The active containers that are bots: a host runs other things too, such as a database.
    instances: frozenset[str] = frozenset()
    mqtt_connected: bool = True
    performance: dict[str, list[ControllerPerformance]] = field(default_factory=dict)

    @classmethod
    def take(cls, api: HummingbotAPI, *, performance: bool = True, name: str = "") -> Self:
        """Look at all instances, or at those with ``name`` in their names.

        The active containers are asked for before the exited ones, so that one which ends in between is found.
        """
        taken_at = timezone.now()
        mqtt = api.bots.mqtt()
        by_bot: dict[str, list[ControllerPerformance]] = {}
        for report in api.bots.performance() if performance else ():
            by_bot.setdefault(report.bot_name, []).append(report)
        active = api.docker.active(name)
        return cls(
            taken_at=taken_at,
            heard=mqtt.discovered_bots,
            mqtt_connected=mqtt.connected,
            active=frozenset(container.name for container in active),
            instances=frozenset(container.name for container in active if _is_bot(container)),
            exited=frozenset(container.name for container in api.docker.exited(name)),
            performance=by_bot,
        )


def _is_bot(container: Container) -> bool:
    """By the name that a server gives to those that it deploys, or by the image of those made by hand."""
    return bool(INSTANCE_TIMESTAMP.search(container.name) or BOT_IMAGE.match(container.image))


def state_in(snapshot: Snapshot, deployment: Deployment) -> BotState:
    """What a snapshot says of an open deployment that no operation is working on."""
    name = deployment.instance_name
    if not name:
        return BotState.UNCONFIRMED
    if name in snapshot.exited:
        return BotState.CRASHED
    if name not in snapshot.active:
        return BotState.NOT_LISTED
    if not snapshot.mqtt_connected:
        # Nobody is heard then, which says nothing about the bot.
        return BotState.UNKNOWN
    if name in snapshot.heard:
        # The process lives. Whether its strategy runs is for its log to say, see ``evidence``.
        return up_and_connected(deployment)
    started_at = deployment.started_at or deployment.planned_at
    within_deadline = snapshot.taken_at < started_at + timedelta(seconds=settings.FLEET["HEARD"])
    return BotState.STARTING if within_deadline else BotState.SILENT


def observe_server(server: Server, *, within: float | None = None) -> None:
    """Look at a server and bring its open deployments up to date.

    Of a bot that an operation works on, that operation says what is true: the look only finds that its server answers.
    One that changed after the look began is left alone. A server that can't be reached makes its bots unknown, not
    whatever they were.

    Args:
        within: seconds that its requests may take together.
    """
    begun_at = timezone.now()
    busy = set(attended())
    open_here = list(Deployment.objects.open().filter(server=server).select_related("bot__client"))
    deployments = [deployment for deployment in open_here if deployment.bot_id not in busy]
    # A poll does not wait for a slow server as an operation does: the next look comes soon.
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
                _observe(api, snapshot, deployment)
            Deployment.objects.open().filter(
                pk__in=[deployment.pk for deployment in open_here if deployment.bot_id in busy],
                observed_at__lt=snapshot.taken_at,
            ).exclude(observed_state=BotState.UNKNOWN).update(observed_at=snapshot.taken_at)
            _note_strangers(server, snapshot)
            _note_foreign(server, snapshot)
            _read_some_logs(api, snapshot, deployments)
    except Problem as problem:
        if isinstance(problem, DockerDown):
            server.contact_succeeded(docker_running=False)
        else:
            server.contact_failed(problem, reachable=not problem.no_contact)
        # Nobody has seen them now: when they were seen last stays as it is.
        untouched_since(begun_at).filter(pk__in=[deployment.pk for deployment in deployments]).update(
            observed_state=BotState.UNKNOWN
        )


def attended() -> models.QuerySet[Operation, int]:
    """The bots that an operation works on: not one that waits for its turn, nor one that only looks."""
    bots = ContentType.objects.get_for_model(Bot)
    at_work = Operation.objects.filter(state=State.RUNNING, subject_type=bots).exclude(kind__in=LOOKING)
    return at_work.values_list("subject_id", flat=True)


def untouched_since(looked_at: datetime) -> DeploymentQuerySet:
    """The open deployments of which a look at that time may say what is true: no operation has begun on their bots
    since, nor has one, or a later look, said so.
    """
    return Deployment.objects.open().filter(observed_at__lte=looked_at).exclude(bot__in=attended())


def _observe(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> None:
    former = deployment.observed_state
    deployment.instance_name = deployment.find_instance(snapshot.active | snapshot.exited)
    state = state_in(snapshot, deployment)
    values: dict[str, object] = {
        "instance_name": deployment.instance_name,
        "observed_state": state,
        "observed_at": snapshot.taken_at,
    }
    if state == BotState.NOT_LISTED and former != BotState.NOT_LISTED:
        # The history is heavy: it is asked once, when the instance is not listed any more.
        values |= _what_became_of_it(api, snapshot, deployment)
    if state == BotState.CRASHED and former != BotState.CRASHED:
        # Its last words: the server forgets them half a minute after its end.
        with suppress(Unanswered):
            values |= apply_log_evidence(deployment, state, read_logs(api, deployment), {})[1]
    if state in {*WORKING, BotState.SILENT}:
        values["exposed_since"] = deployment.exposed()
    if state in WORKING and deployment.verified_at is None:
        values["verified_at"] = snapshot.taken_at
    if reports := snapshot.performance.get(deployment.instance_name):
        values |= {
            "pnl_quote": _total(report.global_pnl_quote for report in reports),
            "volume_quote": _total(report.volume_traded for report in reports),
        }
    if values.get("ended_at"):
        account_for_end(api, deployment)  # by somebody else, who may have left its orders
    updated = untouched_since(snapshot.taken_at).filter(pk=deployment.pk).update(**values)
    if updated and deployment.instance_name and deployment.stop_wanted_at is not None:
        _stop_as_wanted(deployment)


def _stop_as_wanted(deployment: Deployment) -> None:
    """Somebody wanted it stopped while nobody knew whether it would ever appear."""
    with suppress(OperationActive):
        operation_request(kind="stop", subject=deployment.bot)
    deployment.update(stop_wanted_at=None)


def _total(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _what_became_of_it(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> dict[str, object]:
    """What the server's history says of an instance that it does not list: archived by somebody, or never there."""
    runs = api.bots.runs(bot_name=deployment.instance_name, limit=1)
    if not runs:
        return {"observed_state": BotState.UNKNOWN, "last_error": InstanceUnknownHere.meaning}
    if any(run.deployment_status == "ARCHIVED" for run in runs):
        return {"observed_state": BotState.ARCHIVED, "ended_at": snapshot.taken_at}
    return {}


def _note_strangers(server: Server, snapshot: Snapshot) -> None:
    """Write down on each bot which live instances bear its name and are not its own: two bots on one account."""
    known = Deployment.objects.open().filter(server=server).values_list("instance_name", flat=True)
    by_name: dict[str, list[str]] = {}
    for name in sorted(snapshot.active - set(known)):
        by_name.setdefault(INSTANCE_TIMESTAMP.sub("", name), []).append(name)
    namesakes = Deployment.objects.filter(server=server, requested_name__in=by_name).exclude(bot__in=attended())
    strangers = {bot: ", ".join(by_name[name]) for bot, name in namesakes.values_list("bot", "requested_name")}
    for bot, names in strangers.items():
        Bot.objects.filter(pk=bot).update(strangers=names)
    looked_at = Bot.objects.filter(server=server).exclude(pk__in=attended())
    looked_at.exclude(strangers="").exclude(pk__in=strangers).update(strangers="")


def _note_foreign(server: Server, snapshot: Snapshot) -> None:
    """Write down which instances were made by somebody else. One that bears a bot's name is that bot's stranger."""
    names = {name: INSTANCE_TIMESTAMP.sub("", name) for name in running_on([server])[server.pk].foreign}
    namesakes = Deployment.objects.filter(server=server, requested_name__in=names.values())
    bots_names = set(namesakes.values_list("requested_name", flat=True)) if names else ()
    if foreign := [name for name, plain in names.items() if plain not in bots_names]:
        seen = {"first_seen_at": snapshot.taken_at, "last_seen_at": snapshot.taken_at}
        ForeignInstance.objects.bulk_create(
            [ForeignInstance(server=server, name=name, **seen) for name in foreign],
            update_conflicts=True,
            update_fields=["last_seen_at"],
            unique_fields=["server", "name"],
        )


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
    for deployment in up[: settings.FLEET["LOGS_PER_LOOK"]]:
        try:
            live = read_live(api, deployment)
            state = BotState(deployment.observed_state)
            logs = read_logs(api, deployment)
            state, values = apply_log_evidence(deployment, state, logs, live)
        except Unanswered as problem:
            # One bot's log that can't be had takes nothing from what the look has shown of all, nor the others' turn.
            logger.warning("The log of %s was not read: %s", deployment, problem.code)
            Deployment.objects.filter(pk=deployment.pk).update(logs_read_at=timezone.now())
            return
        # An operation may have read it again since.
        unchanged = untouched_since(snapshot.taken_at).filter(live_config_at=deployment.live_config_at)
        if unchanged.filter(pk=deployment.pk).update(observed_state=state, **values):
            record_unconfirmed_stop(deployment, logs)
