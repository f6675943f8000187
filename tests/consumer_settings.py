"""The tests' settings for a consumer of its own: the queue in an SQLite file beside the database, short leases."""

from controlpanel.environment import database, queue
from tests.settings import *  # noqa: F403

HUEY = queue(database()) | {"huey_class": "huey.SqliteHuey"}
OPERATIONS = {"LEASE": 0.5, "PER_SERVER": 8}
