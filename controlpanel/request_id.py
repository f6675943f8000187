"""An id for each request: in its answer, in every line that is logged meanwhile, and in what the JSON API answers."""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from hummingbot_api.text import truncate

HEADER = "X-Request-ID"
#: Hosts and callers may send their own, as long as it can't forge a line of the log.
SANE = re.compile(r"[A-Za-z0-9_.:-]{8,80}")

#: The exceptions with which Django rejects a request.
REFUSALS = (PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)

_current: ContextVar[str] = ContextVar("request_id", default="-")


def current_request_id() -> str:
    """Return the id of the request that this thread answers; a dash outside of any."""
    return _current.get()


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.headers.get(HEADER, "")
        request.id = sent if SANE.fullmatch(sent) else uuid4().hex  # type: ignore[attr-defined]
        token = _current.set(request.id)  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
        finally:
            _current.reset(token)
        response[HEADER] = request.id  # type: ignore[attr-defined]
        return response


class RequestIdFilter(logging.Filter):
    """Gives each record the id of the current request; a dash outside of any."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True


class RefusalFilter(logging.Filter):
    """Shortens the log record of a rejected request to a warning of one line: nothing is wrong in the panel.

    Anyone can send such requests, and their content must neither flood the log nor forge a line of it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], REFUSALS):
            record.msg, record.args = truncate(" ".join(record.getMessage().split()), 300), ()
            record.exc_info, record.exc_text = None, None
            if record.levelno > logging.WARNING:
                record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
