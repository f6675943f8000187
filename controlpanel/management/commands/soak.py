"""``manage.py soak``: many workers, faults and kills, for as long as you like. Prints what was lost or done twice."""

import random
import tempfile
import threading
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from accounts.models import Client, Server
from controlpanel.environment import PRODUCTION
from controlpanel.soak.fleet import Fleet, build, submit_until
from controlpanel.soak.processes import Processes
from controlpanel.soak.verdict import Verdict, judge, unfinished

#: Seconds from one thing that goes wrong to the next.
EVERY = 2.0
#: Of the things that go wrong, how many are a worker's death.
KILLS = 0.4
#: How long the last operations may take to end when nothing goes wrong any more, in seconds.
GRACE = 180


class Command(BaseCommand):
    help = (
        "Run two web servers and four workers on the database of DATABASE_URL, which must be empty, with a queue in a "
        "Redis of their own. Deploy, stop, start and archive bots on sandboxes that do wrong, kill workers at random, "
        "restart Redis, and count what was lost or done twice. Fails unless that is nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--minutes", type=float, default=10, help="how long to request operations")
        parser.add_argument("--operations", type=int, default=0, help="stop after so many, instead of after a time")
        parser.add_argument("--servers", type=int, default=5)
        parser.add_argument("--bots", type=int, default=60)
        parser.add_argument("--workers", type=int, default=4)
        parser.add_argument("--webs", type=int, default=2, help="web processes")
        parser.add_argument("--seed", type=int, default=1, help="of the dice")

    def handle(self, *args: Any, **options: Any) -> None:
        if PRODUCTION:
            raise CommandError("A soak kills workers. Set ENVIRONMENT=development and a DATABASE_URL of its own.")
        if options["workers"] > 1 and connection.vendor == "sqlite":
            raise CommandError("Several workers need PostgreSQL. Set DATABASE_URL, or use --workers 1.")
        call_command("migrate", verbosity=0)
        if Server.objects.exists() or Client.objects.exists():
            raise CommandError("This database has servers or clients. Set DATABASE_URL to an empty one.")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            fleet = build(stack, options["servers"], options["bots"])
            processes = Processes(
                folder, options["workers"], options["webs"], DJANGO_SETTINGS_MODULE="controlpanel.soak.settings"
            )
            stack.callback(processes.end)
            self._say("Starting the web servers, the workers and the queue ...")
            processes.start()
            memory = self._run(fleet, processes, options)
            verdict = judge(fleet.sandboxes, fleet.accepted, processes.logs)
            self._report(verdict, fleet, processes, memory)
        if verdict.lost or verdict.doubled:
            raise CommandError("Something was lost or done twice, see above.")

    def _run(self, fleet: Fleet, processes: Processes, options: dict[str, Any]) -> dict[str, tuple[float, float]]:
        """Request operations while things go wrong, and let the last ones end. Return the memory before and after."""
        dice = random.Random(options["seed"])  # noqa: S311 - chance, no secret
        enough = threading.Event()
        seeds = range(options["seed"], options["seed"] + 4)
        submitters = [
            threading.Thread(target=submit_until, args=(enough, fleet, processes.urls, seed), daemon=True)
            for seed in seeds
        ]
        for submitter in submitters:
            submitter.start()
        begun = said = time.monotonic()
        before: dict[str, float] = {}
        restarted = False
        while not _is_done(fleet, begun, options):
            time.sleep(EVERY)
            share = _share(fleet, begun, options)
            if not before and share > 0.2:
                before = processes.memory()
            if not restarted and share > 0.5:
                processes.restart_redis()
                restarted = True
            elif dice.random() < KILLS and options["workers"] > 1:
                processes.kill_worker(dice.randrange(1, options["workers"]))
            else:
                fleet.go_wrong(dice)
            if time.monotonic() - said > 20:
                said = time.monotonic()
                self._say(f"{len(fleet.accepted)} operations requested, {unfinished()} not ended")
        enough.set()
        for submitter in submitters:
            submitter.join()
        fleet.recover()
        deadline = time.monotonic() + GRACE
        while unfinished() and time.monotonic() < deadline:
            time.sleep(1)
        after = processes.memory()
        return {name: (before.get(name, size), size) for name, size in after.items()}

    def _report(
        self, verdict: Verdict, fleet: Fleet, processes: Processes, memory: dict[str, tuple[float, float]]
    ) -> None:
        for fault in [*verdict.lost, *verdict.doubled]:
            self.stdout.write(self.style.ERROR(fault))
        self._say(
            f"done     {sum(verdict.done.values())}   ({_words(verdict.done)})\n"
            f"refused  {sum(fleet.refused.values())}   ({_words(fleet.refused)})\n"
            f"lost     {len(verdict.lost)}\n"
            f"doubled  {len(verdict.doubled)}\n"
            f"killed   {_words(processes.killed)}\n"
            f"faults   {_words(fleet.faults)}\n"
            + "\n".join(
                f"memory   {name} {a:.0f} MB, then {b:.0f} MB ({b - a:+.0f})" for name, (a, b) in memory.items()
            )
        )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _share(fleet: Fleet, begun: float, options: dict[str, Any]) -> float:
    """Return how much of the soak is done, from 0 to 1."""
    if options["operations"]:
        return float(len(fleet.accepted) / options["operations"])
    return float((time.monotonic() - begun) / (options["minutes"] * 60))


def _is_done(fleet: Fleet, begun: float, options: dict[str, Any]) -> bool:
    return _share(fleet, begun, options) >= 1


def _words(counted: Any) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.most_common()) or "nothing"
