"""The tests' settings for a consumer of its own: the queue beside the database, or in it, and short leases."""

import os

from controlpanel.environment import queue
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

os.environ["QUEUE_URL"] = ""
HUEY = queue(DATABASES["default"])
OPERATIONS = {"LEASE": 0.5, "MAX_PER_SERVER": 8, "EXCLUSIVE_TIMEOUT": 5}
