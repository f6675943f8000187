"""``manage.py sandbox``: a Hummingbot API server to try the panel against, without exchanges or money."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Run a Hummingbot API server without exchanges or money, until interrupted. Use invented keys only."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--username", default="admin")
        parser.add_argument("--password", default="admin")
        parser.add_argument("--speed", type=float, default=1.0, help="how much faster than real time the sandbox runs")
        parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state here across restarts")
        parser.add_argument(
            "--market",
            choices=("living", "still"),
            default="living",
            help="living: prices walk and orders fill; still: nothing moves",
        )
        parser.add_argument(
            "--fault",
            action="append",
            default=[],
            metavar="NAME[:PATH]",
            help="a fault on every route, or on routes below PATH; repeatable",
        )
        parser.add_argument(
            "--legacy-config-map",
            action="store_true",
            help="return config-map as a plain list of names, as older servers do",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from sandbox import Sandbox
        except ImportError as error:
            raise CommandError(f"The sandbox needs {error.name}: pip install -r requirements-dev.txt") from error

        try:
            sandbox = Sandbox(
                username=options["username"],
                password=options["password"],
                speed=options["speed"],
                state_file=options["state"],
                legacy_config_map=options["legacy_config_map"],
                market=options["market"],
            )
            for fault in options["fault"]:
                name, _, path = fault.partition(":")
                sandbox.faults.add(name, path=path or None)
        except ValueError as error:
            raise CommandError(str(error)) from error

        self.stdout.write(f"Sandbox at http://127.0.0.1:{options['port']}, login {options['username']}.")
        for fault in options["fault"]:
            self.stdout.write(f"Fault on: {fault}")
        try:
            sandbox.run(options["port"])
        except OSError as error:
            raise CommandError(f"Port {options['port']} can't be used: {error}") from error
