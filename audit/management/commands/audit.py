"""``manage.py audit verify``: finds what was changed in the trail, removed from it or inserted."""

import re
from argparse import ArgumentTypeError
from datetime import UTC
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import chain

HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


def kept_head(text: str) -> tuple[int, str]:
    found = HEAD.fullmatch(text.strip())
    if found is None:
        raise ArgumentTypeError("A head is a position, a colon and 64 hexadecimal digits, as “audit verify” prints it.")
    return int(found[1]), found[2]


class Command(BaseCommand):
    help = (
        "Verify the audit trail and print its head, to be kept on another machine: with --head, a later call proves "
        "that nothing before it was rewritten. Exits with 1 if a row was changed, removed or inserted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["verify"])
        parser.add_argument(
            "--head",
            type=kept_head,
            metavar="POSITION:HASH",
            help="a head that was printed earlier: it must still be part of the chain",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = chain.verify(options["head"])
        except chain.Broken as broken:
            raise CommandError(
                f"{broken}\nWhat to do: compare it with a backup, and find out who can write here."
            ) from None
        head = found.head
        self.stderr.write(
            f"{found.rows} rows are complete and unchanged, up to position {head.position}.", self.style.SUCCESS
        )
        if head.pruned_until is not None:
            until = f"{head.pruned_until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            self.stderr.write(
                f"Those up to position {head.pruned_position}, of {until}, were pruned.", self.style.NOTICE
            )
        if found.unsealed:
            minutes = int(chain.SEALED_WITHIN.total_seconds() // 60)
            rows = "1 row is" if found.unsealed == 1 else f"{found.unsealed} rows are"
            raise CommandError(
                f"{rows} older than {minutes} minutes and not sealed yet.\n"
                "What to do: start the worker, which seals them, and look into its log if their number does not fall."
            )
        # Alone on standard output, so that it can be appended to a file.
        self.stdout.write(str(head))
