"""Real worker processes for the tests that kill them.

Loading Django takes a second, so one process, the nursery, loads it once and forks a worker for each order. A worker
has a process, a database connection and HTTP connections of its own; what it runs is the production runner. It can be
instructed to signal itself at a boundary: that is what "killed at this line" means here, without a hook in production
code.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]
#: Short, so that a takeover does not keep the tests waiting.
LEASE = 0.2
#: How long a worker tries to claim an operation.
PATIENCE = 10.0


class Nursery:
    """The tests' side: starts workers, one after another, and returns how each ended."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bots.deploying.workers"],
            cwd=ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def migrate(self, database: str) -> None:
        assert self._order(do="migrate", database=database) == "exited with 0"

    def work(self, database: str, operation_id: int, signal_at: str = "", signal_number: int = 9) -> str:
        """Let a worker work on an operation, and return how the worker ended.

        ``signal_at`` is where it signals itself: the step's key and the moment in it, ``deploy:acted``.
        """
        return self._order(
            do="work",
            database=database,
            operation_id=operation_id,
            signal_at=signal_at,
            signal_number=signal_number,
        )

    def wake(self) -> str:
        """Let the worker continue that was stopped last, and return how it ended."""
        return self._order(do="wake")

    def _order(self, **order: Any) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def attend() -> None:
    """The nursery's side."""
    import django

    django.setup()
    import bots.operations  # noqa: F401  loaded before the forks rather than in each

    stopped = 0
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        order = json.loads(line)
        deed = order.pop("do")
        if deed == "wake":
            pid = stopped
            os.kill(pid, signal.SIGCONT)
        else:
            pid = os.fork()
            if not pid:
                _live(deed, **order)
        _, status = os.waitpid(pid, os.WUNTRACED)
        stopped = pid if os.WIFSTOPPED(status) else stopped
        answers.write(_describe(status) + "\n")
        answers.flush()


def _describe(status: int) -> str:
    if os.WIFSTOPPED(status):
        return "stopped"
    if os.WIFSIGNALED(status):
        return f"killed by {os.WTERMSIG(status)}"
    return f"exited with {os.WEXITSTATUS(status)}"


def _live(deed: str, database: str, **order: Any) -> None:
    """The worker's side."""
    ended_well = False
    try:
        from django.db import connections

        connections.settings["default"]["NAME"] = database
        {"migrate": _migrate, "work": _work}[deed](**order)
        connections.close_all()
        ended_well = True
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0 if ended_well else 1)


def _migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def _work(operation_id: int, signal_at: str, signal_number: int) -> None:
    from django.conf import settings

    from operations import run, runner

    settings.OPERATIONS["LEASE"] = LEASE
    if signal_number == signal.SIGSTOP:
        # Its other thread would sometimes fall asleep in the middle of a write: SQLite lets nobody else write then.
        run.Lease._keep = lambda self: None  # type: ignore[method-assign]
    if signal_at:
        arm(signal_at, lambda: os.kill(os.getpid(), signal_number))
    deadline = time.monotonic() + PATIENCE
    while not runner.run(operation_id):
        if time.monotonic() > deadline:
            raise TimeoutError(f"operation {operation_id} could not be claimed")
        time.sleep(0.02)


def arm(boundary: str, strike: Callable[[], None], patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """Call ``strike`` at one moment of one step, ``deploy:acted``; ``patch`` puts what does it in its place."""
    from accounts import profiles
    from bots.operations.steps import deploy, lifecycle, recovery
    from hummingbot_api.resources.docker import Docker
    from operations import runner

    key, moment = boundary.split(":")

    def around(module: Any, name: str, *, before: bool, when: Any = lambda *args: True) -> None:
        original = getattr(module, name)

        def patched(*args: Any, **kwargs: Any) -> Any:
            concerned = when(*args)
            if concerned and before:
                strike()
            result = original(*args, **kwargs)
            if concerned and not before:
                strike()
            return result

        patch(module, name, patched)

    def in_step(lease: Any, operation: Any, waiting: Any) -> bool:
        return bool(operation.current_step.key == key)

    match moment:
        case "begun":
            around(runner, "_begin", before=False, when=lambda run, step: step.key == key)
        case "acted":
            around(runner, "_end", before=True, when=lambda lease, step, *rest: step.key == key)
        case "recorded":
            around(runner, "_end", before=False, when=lambda lease, step, *rest: step.key == key)
        case "pausing":
            around(runner, "_pause", before=True, when=in_step)
        case "paused":
            around(runner, "_pause", before=False, when=in_step)
        case "woken":
            around(runner, "_go_through_steps", before=True, when=lambda run, *rest: run.operation.awaits != "")
        case "unmarked":
            around(deploy, "_mark_as_sent", before=True)
        case "marked":
            around(deploy, "_send_once", before=True)
        case "bringing_up":
            around(recovery, "begin_run", before=True)
            around(lifecycle, "begin_run", before=True)
        case "starting":
            around(Docker, "start", before=True)
        case "started":
            around(Docker, "start", before=False)
        case "stopped":
            around(recovery, "put_kill_switch_back", before=True)
        case "accounted":
            around(lifecycle, "account_for_end", before=False)
        case "removed":
            around(lifecycle, "_remove_container", before=False)
        case "answered":
            around(deploy, "_send", before=False)
        case "refused":
            around(profiles, "_clean_up_refused", before=True)
        case _:
            raise ValueError(moment)


if __name__ == "__main__":
    attend()
