"""The panel's settings during a soak: as they are, with waits that fit a sandbox whose time passes faster."""

from controlpanel.settings import *  # noqa: F403
from controlpanel.settings import API, FLEET, OPERATIONS

#: How much faster. A bot connects 20 sandbox seconds after its deploy.
SANDBOX_SPEED = 10

OPERATIONS = OPERATIONS | {"LEASE": 6, "EXCLUSIVE_TIMEOUT": 60}
FLEET = FLEET | {
    "POLL": 1,
    "GLANCE": 5,
    "UNCONFIRMED": 15,
    "CONNECT_SOONEST": 1,
    "CONNECT_DEADLINE": 30,
    "RECONNECT_GRACE": 6,
    "SETTLE": 4,
    "STOPPED": 10,
    "RESEND": 2,
    "QUIET": 2,
    "CANCELS": 2,
    "RELOADED": 10,
    "ARCHIVED": 30,
    "ARCHIVE_LISTED": 5,
}
API = API | {"PER_MINUTE": 1_000_000}
