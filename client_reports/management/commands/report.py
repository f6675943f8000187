"""``manage.py report``: a client's report as a page, a spreadsheet or JSON."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Client
from client_reports.build import build_report
from client_reports.formats.as_json import as_json
from client_reports.formats.rendering import page
from client_reports.formats.workbook import workbook
from client_reports.models import last_month
from client_reports.periods import read_month
from core.acting import Actor, Door, acting, note


class Command(BaseCommand):
    help = "Write the report of a client for a month to a file (.html, .xlsx or .json), or as JSON to the terminal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", required=True, help="the client's name or account name")
        parser.add_argument("--month", help="such as 2026-11; the last month by default")
        parser.add_argument("--output", type=Path, help="the file; its ending says what is written")

    def execute(self, *args: Any, **options: Any) -> str | None:
        with acting(Actor(Door.TERMINAL)):
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        client = self._client(options["client"])
        now = timezone.now()
        try:
            first, last = read_month(options["month"]) if options["month"] else last_month(now.date())
        except ValueError:
            raise CommandError("Enter the month as 2026-11.") from None
        try:
            report = build_report(client, first, last, now)
        except ValueError as error:
            raise CommandError(str(error)) from None
        output: Path | None = options["output"]
        note(client, "downloaded report", f"{first} to {last}, {output.suffix[1:] if output else 'json'}")
        if output is None:
            self.stdout.write(json.dumps(as_json(report), indent=2, ensure_ascii=False))
            return
        writers = {
            ".html": lambda: page(report).encode(),
            ".xlsx": lambda: workbook(report),
            ".json": lambda: json.dumps(as_json(report), indent=2, ensure_ascii=False).encode(),
        }
        if output.suffix not in writers:
            raise CommandError(f"The file's name must end in {', '.join(writers)}.")
        try:
            output.write_bytes(writers[output.suffix]())
        except OSError as error:
            raise CommandError(f"The file could not be written: {error.strerror}.") from None
        self.stdout.write(f"The report for {client}, {report.title}, is in {output}.")

    def _client(self, name: str) -> Client:
        found = Client.objects.filter(name=name) | Client.objects.filter(account_name=name)
        client = found.first()
        if client is None:
            raise CommandError(f"There is no client “{name}”.")
        return client
