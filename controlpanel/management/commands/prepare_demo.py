"""``manage.py prepare_demo``: two weeks of three clients, for ``manage.py demo`` to open with."""

import gc
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Client
from controlpanel.environment import DATA_DIR, PRODUCTION


class Command(BaseCommand):
    help = "Fill an empty database with the demo's clients. It is what “manage.py demo” runs at its first start."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--state", type=Path, default=DATA_DIR / "sandbox.json", help="the sandbox's file")

    def handle(self, *args: Any, **options: Any) -> None:
        if PRODUCTION:
            raise CommandError("The demo's clients are invented. Set ENVIRONMENT=development, or use ./run demo.")
        if Client.objects.exists():
            raise CommandError("The database already has clients. The demo's are only added to an empty one.")
        # Not before: it needs what production does not install.
        from controlpanel.demo.clients import FIRST_SERVER
        from controlpanel.demo.history import LENGTH, History, two_sandboxes
        from controlpanel.demo.past import Past
        from controlpanel.demo.story import tell

        # What is made stays until the end: it is not searched for garbage again and again.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        end = datetime.now(UTC)
        past = Past(end - LENGTH)
        with past.present(), two_sandboxes(past) as sandboxes:
            tell(History(past, sandboxes, end))
            sandboxes[FIRST_SERVER].world.save(options["state"])
