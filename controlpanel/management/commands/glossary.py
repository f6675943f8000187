"""``manage.py glossary``: the panel's terms as Markdown, as ``docs/glossary.md`` contains them."""

from typing import Any

from django.core.management.base import BaseCommand

from core.glossary import GLOSSARY


class Command(BaseCommand):
    help = "Print the glossary as Markdown: python manage.py glossary > docs/glossary.md"
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(markdown())


def markdown() -> str:
    """Return the whole glossary as a Markdown page, in alphabetical order."""
    rows = [f"| {word} | {meaning} |" for word, meaning in sorted(GLOSSARY.items())]
    return "\n".join(
        [
            "# Glossary",
            "",
            "The panel takes these words from Hummingbot, or uses them in a sense of its own. The page "
            "**Settings → Glossary** shows the same list.",
            "",
            "| Word | Meaning |",
            "|---|---|",
            *rows,
        ]
    )
