"""What a soak has shown: operations that never ended or ended twice, instances that live twice or that nobody knows."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

from accounts.models import Server
from bots.models import Bot, BotState, Deployment
from bots.monitoring.poll import poll_server
from operations.models import Operation, State
from sandbox import Sandbox
from sandbox.instance import Instance

#: What a worker logs when an operation has ended.
_ENDED = re.compile(r"operation (\d+) \(\w+\) (?:succeeded|failed|cancelled)")


@dataclass(frozen=True)
class Verdict:
    """Attributes:
    done: how many operations ended, by state and error code.
    lost: what is missing, a sentence each.
    doubled: what was done twice, a sentence each.
    """

    done: Counter[str]
    lost: list[str]
    doubled: list[str]


def judge(sandboxes: Iterable[Sandbox], accepted: set[int], logs: Iterable[Path]) -> Verdict:
    """Compare what was requested with what the panel has recorded, its workers logged, and the servers have."""
    done: Counter[str] = Counter()
    lost, doubled = [], []
    found = {operation.pk: operation for operation in Operation.objects.filter(pk__in=accepted)}
    for pk in sorted(accepted):
        operation = found.get(pk)
        if operation is None or operation.is_active:
            lost.append(f"operation {pk} has not ended: {operation and operation.state}")
        else:
            done[operation.error_code or operation.state] += 1
    ends = Counter(int(pk) for log in logs for pk in _ENDED.findall(log.read_text(errors="replace")))
    doubled += [f"operation {pk} ended {times} times" for pk, times in ends.items() if times > 1]
    for server in Server.objects.all():
        poll_server(server)
    for sandbox in sandboxes:
        instances = [*sandbox.world.instances.values()]
        doubled += _overlaps(instances)
        lost += _unknown(instances)
    lost += _gone(name for sandbox in sandboxes for name in [i.name for i in sandbox.world.live()])
    return Verdict(done, lost, doubled)


def _base_of(instance: Instance) -> str:
    """Return the bot's part of a name, without the server's time."""
    return instance.name.rsplit("-", 2)[0]


def _end_of(instance: Instance) -> float:
    return min(moment for moment in (instance.ends_at, instance.removed_at, inf) if moment is not None)


def _overlaps(instances: list[Instance]) -> list[str]:
    """Name the bots of which two instances lived at once."""
    by_bot: dict[str, list[Instance]] = {}
    for instance in sorted(instances, key=lambda instance: instance.deployed_at):
        by_bot.setdefault(_base_of(instance), []).append(instance)
    return [
        f"{earlier.name} still lived when {later.name} was deployed"
        for of_bot in by_bot.values()
        for earlier, later in pairwise(of_bot)
        if _end_of(earlier) > later.deployed_at
    ]


def _unknown(instances: list[Instance]) -> list[str]:
    """Name the instances that live and are no bot's open deployment."""
    known = set(Deployment.objects.open().values_list("instance_name", flat=True))
    return [f"{i.name} lives, and the panel does not know it" for i in instances if i.live and i.name not in known]


def _gone(live: Iterable[str]) -> list[str]:
    """Name the bots that the panel shows as running and that no server has."""
    alive = set(live)
    shown = Bot.objects.filter(deployment__observed_state=BotState.RUNNING, deployment__ended_at=None)
    names = shown.values_list("deployment__instance_name", flat=True)
    return [f"{name} is shown as running, and no server has it" for name in names if name not in alive]


def unfinished() -> int:
    """Return how many operations have not ended."""
    number: int = Operation.objects.filter(state__in=(State.QUEUED, State.RUNNING)).count()
    return number
