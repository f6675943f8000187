"""The queue's classes in production: an unreachable queue is polled less and less often, and logged once a minute.

Huey itself polls again at once in each of its threads, and logs each failure with its traceback.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import django.db
import psycopg
import redis
from django.conf import settings
from huey import Huey, PostgresHuey, PriorityRedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.serializer import SignedSerializer

from controlpanel.environment import env
from hummingbot_api.masking import mask_secrets
from hummingbot_api.text import one_line, truncate

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: Seconds between two tries of a thread: the first, and how long they may become.
FIRST_WAIT, MAX_WAIT = 0.5, 5.0
#: Seconds between two lines about an outage.
LOG_INTERVAL = 60
#: The exceptions with which libraries report that the other side is out of reach, as opposed to a fault in a task.
OUTAGE_ERRORS = (
    django.db.OperationalError,
    django.db.InterfaceError,
    psycopg.OperationalError,
    sqlite3.OperationalError,
    redis.ConnectionError,
    redis.TimeoutError,
)


def without_passwords(text: str) -> str:
    """Mask the passwords of the database and the queue: a library may quote the address that it was given."""
    queue_password = urlsplit(env("QUEUE_URL")).password or ""
    return mask_secrets([settings.DATABASES["default"].get("PASSWORD"), unquote(queue_password)])(text)


def reason(error: BaseException) -> str:
    """Return the error on one line, without passwords, with the setting that fixes it where there is one."""
    text = truncate(one_line(without_passwords(str(error))), 300)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        text += (
            " No trusted authority signed the certificate. For a self-signed one, add ssl_ca_certs=/path/to/ca.pem to "
            "the query of QUEUE_URL. Use ssl_cert_reqs=none if the provider offers no certificate to check (as on "
            "Heroku)."
        )
    return f"{type(error).__name__}: {text}"


class BackoffQueue(Huey):
    """A queue whose consumer backs off while the storage can't be read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()
        #: The start of the current outage, by the monotonic clock.
        self._since: float | None = None
        self._logged_at: float | None = None
        # The consumer's own, once there is one: a consumer that is to stop does not wait for the queue.
        self._stop = threading.Event()

    def create_consumer(self, **options: Any) -> Consumer:
        consumer = super().create_consumer(**options)
        self._stop = consumer.stop_flag
        return consumer

    def dequeue(self) -> Any:
        data = self._read(self.storage.dequeue)
        return None if data is None else self.deserialize_task(data)

    def read_schedule(self, timestamp: datetime | None = None) -> list[Any]:
        timestamp = self._get_timestamp() if timestamp is None else timestamp
        return self._deserialize_all(self._read(lambda: self.storage.read_schedule(timestamp)) or [])

    def _read(self, read: Callable[[], Found]) -> Found | None:
        """Return what the storage has; ``None``, after a pause, when it is out of reach."""
        try:
            found = read()
        except Exception as error:  # from any library: only the storage was accessed
            self._stop.wait(self._note(error))
            return None
        if self._since is not None:
            self._note_end()
        return found

    def _note(self, error: Exception) -> float:
        """Log an outage that was not logged lately. Returns how long to wait: as long again as it has lasted."""
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            lasted = now - self._since
            if self._logged_at is None or now - self._logged_at >= LOG_INTERVAL:
                self._logged_at = now
                logger.warning("The queue is unreachable, trying again. %s", reason(error))
        return min(max(FIRST_WAIT, lasted), MAX_WAIT)

    def _note_end(self) -> None:
        with self._lock:
            # An outage whose start was not logged has no logged end.
            if self._since is not None and self._logged_at is not None and self._logged_at >= self._since:
                logger.warning("The queue responds again, after %.0f s", time.monotonic() - self._since)
            self._since = None


class PostgresQueue(BackoffQueue, PostgresHuey):
    pass


class RedisQueue(BackoffQueue, PriorityRedisHuey):
    pass


class SqliteQueue(BackoffQueue, SqliteHuey):
    pass


class OutageFilter(logging.Filter):
    """Makes one line of what a worker logs, with a traceback, of a task or an operation that met an outage."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if record.name.startswith(("huey", "operations")) and isinstance(error, OUTAGE_ERRORS):
            # What the scheduler can't enqueue comes again in a minute, and the queue itself logs its outage.
            if record.name.endswith(".Scheduler"):
                return False
            record.msg, record.args = f"{record.getMessage()} {reason(error)}", ()
            record.exc_info, record.exc_text = None, None
        return True


class MessageUnsigned(ValueError):
    """Only a wake-up is lost: recovery enqueues abandoned operations again."""


class SignedMessages(SignedSerializer):
    def _unsign(self, signed: bytes) -> Any:
        try:
            return super()._unsign(signed)
        except ValueError:
            # Without huey's text, which quotes the message.
            raise MessageUnsigned from None


class UnsignedFilter(logging.Filter):
    """Shortens huey's log record about a message with an invalid signature, which has a traceback, to one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], MessageUnsigned):
            record.msg = "Dropped a message of the queue that was not signed with this SECRET_KEY"
            record.args, record.exc_info, record.exc_text = (), None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
