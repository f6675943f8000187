"""Runs ``manage.py`` again and again: loading Django takes longer than most of the commands.

A process that has loaded it forks for each command, which so has an environment, output and status of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


class Manager:
    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.manager"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # it waits for a command, and has nothing to tidy up
        self._process.wait()

    def run(self, *arguments: str) -> str:
        """What the command prints.

        Raises:
            CalledProcessError
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        status, output = json.loads(self._process.stdout.readline())
        if status:
            raise subprocess.CalledProcessError(status, ["manage.py", *arguments], output)
        return str(output).strip()


def attend() -> None:
    """The manager's side."""
    import django

    django.setup()
    import controlpanel.urls  # noqa: F401  loaded before the forks rather than in each

    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as output:
            pid = os.fork()
            if not pid:
                _obey(json.loads(line), output.fileno())
            _, ended = os.waitpid(pid, 0)
            output.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(ended), output.read()]), flush=True)  # noqa: T201


def _obey(arguments: list[str], output: int) -> None:
    """The command's side."""
    status = 1
    try:
        from django.core.management import execute_from_command_line

        os.dup2(output, sys.stdout.fileno())
        try:
            execute_from_command_line(["manage.py", *arguments])
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    attend()
