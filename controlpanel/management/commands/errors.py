"""``manage.py errors``: the catalog of everything that can go wrong, as ``docs/errors.md`` contains it."""

from typing import Any

from django.core.management.base import BaseCommand

from core.problems import Problem


class Command(BaseCommand):
    help = "Print the catalog of errors as Markdown: python manage.py errors > docs/errors.md"
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(catalog())


def catalog() -> str:
    """Return the whole catalog as a Markdown page, by code."""
    rows = [
        f"| `{kind.code}` | {kind.meaning} | {kind.default_remedy} | {'yes' if kind.retryable else 'no'} |"
        for kind in sorted(Problem.catalog(), key=lambda kind: kind.code)
    ]
    return "\n".join(
        [
            "# Error codes",
            "",
            "Every failure in the panel has one of these codes. The actual message is often more precise. “Retry” "
            "says whether the same request may succeed later without any change.",
            "",
            "| Code | Meaning | What to do | Retry |",
            "|---|---|---|---|",
            *rows,
        ]
    )
