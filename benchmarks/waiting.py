"""What 2,000 bots that start at once cost a worker that waits for them: memory, threads and CPU, against an idle one.

Run: ``python -m benchmarks.waiting [bots,servers ...]``. The servers show containers that are up and bots that have not
connected. The worker is a process of its own, with the threads that it has by default; it is measured while it does.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.panel import new_database, print_table, url_of_database  # before the panel's own modules

# isort: split
from django.utils import timezone

from benchmarks.poll import answers_of_one, make_fleet, multiplied, serving
from bots.models import BotState, Deployment
from bots.monitoring.snapshot import Sight, place_of
from controlpanel.soak.processes import Processes, resident
from operations.models import Operation, State, Step, StepState
from operations.services import operation_request

SIZES = ((100, 5), (500, 20), (1_000, 50), (2_000, 50))
#: Seconds after which a worker is measured.
SETTLED = 40
COLUMNS = (
    "database", "bots", "servers", "idle MB", "waiting MB", "more MB", "threads, idle", "threads", "CPU %, idle",
    "CPU %",
)  # fmt: skip
UP = Sight(is_active=True, is_exited=False, is_connected=False)


def measure(sizes: Sequence[tuple[int, int]] = SIZES) -> list[dict[str, Any]]:
    rows = []
    for bots, servers in sizes:
        with new_database() as database, ExitStack() as stack:
            each = bots // servers
            answers = multiplied(answers_of_one(), each)
            answers["/bot-orchestration/mqtt"] = _nobody(answers["/bot-orchestration/mqtt"])
            for number in range(servers):
                make_fleet(stack.enter_context(serving(answers)), each, f"server {number}")
            Deployment.objects.update(observed_state=BotState.STARTING, started_at=timezone.now())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            processes = Processes(folder, 1, 0, DATABASE_URL=url_of_database(), LOG_LEVEL="WARNING")
            stack.callback(processes.end)
            processes.start()
            idle = _cost(processes.worker_pid)
            _let_all_wait()
            waiting = _cost(processes.worker_pid)
            still = Operation.objects.waiting().count()
            if still != bots:
                raise RuntimeError(f"{still} of {bots} still wait")
        rows.append(
            {
                "database": database,
                "bots": bots,
                "servers": servers,
                "idle MB": idle["memory"],
                "waiting MB": waiting["memory"],
                "more MB": waiting["memory"] - idle["memory"],
                "threads, idle": int(idle["threads"]),
                "threads": int(waiting["threads"]),
                "CPU %, idle": idle["cpu"],
                "CPU %": waiting["cpu"],
            }
        )
    return rows


def _nobody(answer: bytes) -> bytes:
    """Return the answer of a server to which no bot has connected."""
    answered = json.loads(answer)
    answered["data"]["discovered_bots"] = []
    return json.dumps(answered).encode()


def _let_all_wait() -> None:
    """Leave a deploy of each bot waiting for its bot, as ``runner`` does."""
    until = timezone.now() + timedelta(hours=1)
    deployments = Deployment.objects.select_related("bot__client", "server").order_by("pk")
    for deployment in deployments:
        operation = operation_request(kind="redeploy", subject=deployment.bot, options={"open_orders": True})
        Operation.objects.filter(pk=operation.pk).update(
            state=State.RUNNING,
            started_at=timezone.now(),
            awaits="the bot to connect",
            awaits_until=until,
            checkpoint={"deployment": deployment.pk, "waits": {"the bot to connect": [time.time(), until.timestamp()]}},
            wake_at=timezone.now() + timedelta(seconds=30),
            wake_on=place_of(deployment.server, deployment.instance_name),
            wake_unless=str(UP),
        )
        definitions = operation.definition.steps
        Step.objects.bulk_create(
            Step(
                operation=operation,
                position=position,
                key=step.key,
                title=step.title,
                state=StepState.RUNNING if step == definitions[-1] else StepState.DONE,
            )
            for position, step in enumerate(definitions)
        )


def _cost(pid: int) -> dict[str, float]:
    """Return a process's memory in MB, its threads, and its CPU in percent, over a while."""
    begun = _cpu_seconds(pid)
    time.sleep(SETTLED)
    return {
        "memory": resident(pid),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "cpu": (_cpu_seconds(pid) - begun) / SETTLED * 100,
    }


def _cpu_seconds(pid: int) -> float:
    facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


def main(sizes: Sequence[tuple[int, int]]) -> None:
    print_table("Bots that start at once", measure(sizes), COLUMNS)


if __name__ == "__main__":
    main([tuple(map(int, size.split(","))) for size in sys.argv[1:]] or SIZES)  # type: ignore[misc]
