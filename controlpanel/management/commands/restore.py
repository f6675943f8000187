"""``manage.py restore FILE``: replace everything in the database by what a backup has."""

import shutil
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from controlpanel.backup.file import Reader
from controlpanel.backup.load import require_restorable, restore, settle_copy
from controlpanel.management.progress import Progress
from controlpanel.starting.canary import OTHER_SIGNING_KEY, secret_key_fits

STANDARD_INPUT = "-"
AFTERWARDS = (
    "Operations that had not ended were ended, and messages that waited will not be sent. A hold is in force: no bot "
    "is deployed, started or restarted until you lift it. Before you do:\n"
    "- Make sure that no other panel manages these servers.\n"
    "- Start web and worker, and wait until every server was read. A bot may have been deployed, stopped or archived "
    "since the backup.\n"
    "- Open the banner “Hold on everything” and lift it."
)


class Command(BaseCommand):
    help = "Replace everything in the database by what a backup has. Stop web and worker first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", help="a file of “manage.py backup”; “-” for the standard input")
        parser.add_argument("--replace", action="store_true", help="delete what is in this database")
        parser.add_argument(
            "--settle",
            action="store_true",
            help="without a file: the database itself was set back, as by pg_restore or a snapshot of the host",
        )
        parser.add_argument("--yes", action="store_true", help="don't ask for confirmation, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["file"]) == options["settle"]:
            raise CommandError("Name the backup's file. If the database itself was set back, use --settle instead.")
        if options["settle"]:
            settle_copy()
            self.stdout.write(f"The database was settled.\n{AFTERWARDS}")
            return
        with Reader(_opened(options["file"])) as reader:
            rows = sum(require_restorable(reader, replace=options["replace"]).values())
            if options["replace"] and not options["yes"]:
                self._confirm(reader, rows, asks=options["file"] != STANDARD_INPUT)
            progress = Progress("Restoring", rows, self.stderr)
            try:
                counts = restore(reader, progress.advance)
            finally:
                progress.end()
        self.stdout.write(
            f"{sum(counts.values()):,} rows of {len(counts)} tables were restored, as of {reader.header.created_at}.\n"
            f"{AFTERWARDS}"
        )
        if not secret_key_fits():
            self.stderr.write(OTHER_SIGNING_KEY)

    def _confirm(self, reader: Reader, rows: int, *, asks: bool) -> None:
        if not asks or not sys.stdin.isatty():
            raise CommandError("--replace deletes what is in this database. In a script, confirm it with --yes.")
        self.stdout.write(
            f"Everything in this database will be deleted and replaced by the backup of {reader.header.created_at} "
            f"({rows:,} rows). What happened since then will be lost."
        )
        if input("Type “replace” to go on: ").strip().strip("“”\"'") != "replace":
            raise CommandError("Nothing was changed.")


def _opened(name: str) -> BinaryIO:
    """Return the file. What comes by the standard input is read twice, so it is kept in a nameless file meanwhile."""
    if name != STANDARD_INPUT:
        try:
            return Path(name).open("rb")
        except OSError as error:
            raise CommandError(f"{name} can't be read: {error.strerror}.") from None
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - the reader closes it
    shutil.copyfileobj(sys.stdin.buffer, kept)
    return kept
