"""The log as JSON: one object in each line, for whatever collects it."""

import logging
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from core.logs.context import ABOUT
from core.logs.secret_links import without_secret_links

#: What a line has, by the names of Python's log records.
FIELDS = {
    "asctime": "time",
    "levelname": "level",
    "name": "logger",
    "message": "message",
    "request_id": "request_id",
    "user": "user",
    "address": "address",
    **{name: name for name in ABOUT},
    "exc_info": "exception",
}


class JsonLines(JsonFormatter):
    """Writes what the panel's own format writes, and what a line is about. Anything else that a library attaches to its
    records stays out: it has not been checked for secrets.
    """

    def __init__(self) -> None:
        super().__init__([*FIELDS][:-1], rename_fields=FIELDS)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return without_secret_links(str(super().formatException(ei)))

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in log_data.items() if name in FIELDS.values() and value not in (None, "-")}
