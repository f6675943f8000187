"""The command line: what a person does there is recorded as done in a terminal, also with Django's own commands."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import django
from django.core.management import execute_from_command_line
from django.db import DatabaseError

from controlpanel.starting.checks import check_command
from core.acting import Actor, Door, acting, note

logger = logging.getLogger(__name__)

#: What serves others, or builds the database that the trail is in: nobody acts there.
SERVING = frozenset(
    {"demo", "migrate", "prepare_demo", "run_huey", "runserver", "sandbox", "soak", "test", "testserver"}
)
#: What writes rows, or reads all of them, without a signal that the trail listens to. Its arguments are kept.
RECORDED = frozenset(
    {
        "axes_reset",
        "axes_reset_failure_logs",
        "axes_reset_ip",
        "axes_reset_ip_username",
        "axes_reset_logs",
        "axes_reset_username",
        "clearsessions",
        "dbshell",
        "dumpdata",
        "flush",
        "loaddata",
        "reencrypt",
        "remove_stale_contenttypes",
        "sendtestemail",
        "shell",
    }
)
#: Code and SQL may have secrets in them: of these it is kept that they ran.
WITHOUT_ARGUMENTS = frozenset({"dbshell", "shell"})


def main(arguments: Sequence[str]) -> None:
    """Run a command as ``manage.py`` was called."""
    check_command(arguments)
    with in_terminal(arguments[1:]):
        execute_from_command_line(list(arguments))


@contextmanager
def in_terminal(command: Sequence[str]) -> Iterator[None]:
    """Record what a command does, if it is a person's."""
    name = command[0] if command else ""
    if name in SERVING:
        yield
        return
    if name in RECORDED:
        django.setup()
    with acting(Actor(Door.TERMINAL)):
        if name in RECORDED:
            _record(command)  # before: it may end in any way
        try:
            yield
        finally:
            if name == "flush":
                _record(command)  # again: it deletes the trail too


def _record(command: Sequence[str]) -> None:
    try:
        detail = "" if command[0] in WITHOUT_ARGUMENTS else " ".join(command[1:])
        note(None, f"ran {command[0]}", detail)
    except DatabaseError:
        # It may be why the command was called.
        logger.warning("“%s” could not be recorded in the audit trail.", command[0])
