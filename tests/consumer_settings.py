"""The tests' settings for a consumer of its own: the queue in an SQLite file beside the database, short leases."""

from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, HUEY

HUEY |= {
    "huey_class": "huey.SqliteHuey",
    "connection": {"filename": str(Path(DATABASES["default"]["NAME"]).with_name("queue.sqlite3"))},
}
OPERATIONS = {"LEASE": 0.5, "PER_SERVER": 8}
