"""An id for each request: in its answer, in every line that is logged meanwhile, and in what the JSON API answers."""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
#: Hosts and callers may send their own, as long as it can't forge a line of the log.
SANE = re.compile(r"[A-Za-z0-9_.:-]{8,80}")

_current: ContextVar[str] = ContextVar("request_id", default="-")


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
    """Gives each record the id of the request at hand; a dash outside of any."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _current.get()
        return True


class RefusalFilter(logging.Filter):
    """Takes the traceback from what is logged of a request that was refused: nothing is wrong in the panel."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], PermissionDenied):
            record.exc_info = None
        return True
