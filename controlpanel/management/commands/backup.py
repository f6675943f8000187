"""``manage.py backup FILE``: write everything in the database into one file, while the panel works."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from controlpanel.backup.dump import count_rows, write_backup
from controlpanel.backup.file import new_file
from controlpanel.management.progress import Progress
from controlpanel.models import Installation
from core.acting import Actor, Door, acting, note

STANDARD_OUTPUT = "-"


class Command(BaseCommand):
    help = "Write everything in the database into one file. Secrets in it stay encrypted with FERNET_KEYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="where to write it; “-” for the standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        target = options["file"]
        if target == STANDARD_OUTPUT:
            if sys.stdout.isatty():
                raise CommandError("Send the standard output into a file: python manage.py backup - > panel.backup")
            counts = self._write(sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            path = Path(target)
            if path.is_dir():
                raise CommandError(f"{path} is a folder. Name a file in it: {path / 'panel.backup'}")
            with new_file(path) as stream:
                counts = self._write(stream)
        Installation.objects.update(backed_up_at=timezone.now())
        with acting(Actor(Door.TERMINAL)):
            note(None, "backed up the panel")
        self.stderr.write(
            f"{sum(counts.values()):,} rows of {len(counts)} tables were backed up. The file has no FERNET_KEYS: keep "
            "a copy of them in another place. Without them the secrets in it can't be read."
        )

    def _write(self, stream: BinaryIO) -> dict[str, int]:
        progress = Progress("Backing up", count_rows(), self.stderr)
        try:
            return write_backup(stream, progress.advance)
        finally:
            progress.end()
