"""The panel for a measurement: a database of its own, with tables and without rows.

Import this before anything of the panel. ``DATABASE_URL`` names the database server, SQLite by default; the measurement
writes into a new database beside the one that it names.
"""

import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ |= {
    "ENVIRONMENT": "development",
    "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
    "SECRET_KEY": "only-for-measuring",
    "FERNET_KEYS": "only-for-measuring",
    "ALLOWED_HOSTS": "*",
    "API_PER_MINUTE": "1000000",
}
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
os.environ.setdefault("QUEUE_URL", "memory://")

import django

django.setup()

from django.db import connection  # noqa: E402


@contextmanager
def new_database() -> Iterator[str]:
    """Make the tables in a database that is dropped afterwards. Yield the kind of database."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        if connection.vendor == "sqlite":
            connection.settings_dict["TEST"]["NAME"] = str(Path(folder) / "measured.sqlite3")
        name = str(connection.settings_dict["NAME"])
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            yield {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)


def url_of_database() -> str:
    """Return the address of the database that is being measured, for other processes."""
    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


def median_ms(
    action: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    before: Callable[[], object] = int,
) -> float:
    """Return the median of the repeats in milliseconds, the first one aside.

    Args:
        before: what is done before each of them, and not measured.
    """
    times = []
    for _ in range(rounds + 1):
        before()
        begun = clock()
        action()
        times.append((clock() - begun) * 1000)
    return statistics.median(times[1:])


def print_table(title: str, rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a Markdown table."""
    print(f"\n## {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")  # noqa: T201
    for row in rows:
        print(f"| {' | '.join(_shown(row[column]) for column in columns)} |")  # noqa: T201


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
