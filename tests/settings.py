"""The project's settings for tests: own keys, a queue in memory, waits that take milliseconds."""

import os

os.environ.update(
    ENVIRONMENT="development",
    SECRET_KEY="only-for-tests",
    FERNET_KEYS="only-for-tests",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    QUEUE_URL="memory://",
    DEBUG="",
    HUMMINGBOT_API_URL="",
)

from controlpanel.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
#: Each test client would list all static files before its first request.
WHITENOISE_AUTOREFRESH = True
#: A test waits within its transaction.
OPERATIONS = OPERATIONS | {"IDLE_IN_TRANSACTION": 0}  # noqa: F405
FLEET = {
    "INTERVAL": 20,
    "LONGEST_INTERVAL": 300,
    "POLL_THREADS": 32,
    "POLL_CONNECTIONS": 8,
    "STALE": 60,
    "POLL": 0.05,
    "GLANCE": 0.05,
    "CONNECT_SOONEST": 0,
    "CONNECT_DEADLINE": 3,
    "STOPPED": 3,
    "RESEND": 0.2,
    "CANCELS": 0.2,
    "QUIET": 0.1,
    "RELOADED": 3,
    "ARCHIVED": 3,
    "ARCHIVE_LISTED": 0.3,
    "LOGS_PER_POLL": 2,
    "ENDS_PER_POLL": 20,
    "UNCONFIRMED": 0,
    "RECONNECT_GRACE": 0.3,
    "SETTLE": 0.5,
}
