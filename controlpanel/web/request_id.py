"""An id for each request: in its answer, in every line that is logged for it, and in what the JSON API answers."""

import logging
import re
from collections.abc import Callable
from uuid import uuid4

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.utils.functional import SimpleLazyObject, empty

from core.http import client_address
from core.logs.records import escaped
from core.logs.request_id import LONGEST, current_request_id, request_id_is
from hummingbot_api.text import truncate

HEADER = "X-Request-ID"
#: Hosts and callers may send their own, as long as it can't forge a line of the log.
SANE = re.compile(rf"[A-Za-z0-9_.:-]{{8,{LONGEST}}}")

#: The exceptions with which Django rejects a request.
REFUSALS = (PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.headers.get(HEADER, "")
        request.id = sent if SANE.fullmatch(sent) else uuid4().hex  # type: ignore[attr-defined]
        with request_id_is(request.id):  # type: ignore[attr-defined]
            response = self.get_response(request)
        response[HEADER] = request.id  # type: ignore[attr-defined]
        return response


class RequestIdFilter(logging.Filter):
    """Gives each record the id of its request; a dash outside of any.

    Django logs a refused request after all middleware, ours included: its record names the request itself.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        own = getattr(getattr(record, "request", None), "id", "")
        record.request_id = own or current_request_id() or "-"
        return True


class RequesterFilter(logging.Filter):
    """Gives the record of a request who sent it and from where: a refusal says who was refused."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        user, address, words = "", None, ""
        if isinstance(request, HttpRequest):
            user, address = _user_of(request), client_address(request)
            words = escaped(f" ({user or 'nobody'} from {address or 'an unknown address'})")
        record.__dict__.update(user=user or None, address=address, requester=words)
        return True


def _user_of(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    # What nobody has asked for yet is not asked for by the log: it may be the database that is gone.
    if user is None or (isinstance(user, SimpleLazyObject) and user._wrapped is empty):
        return ""
    return user.get_username()


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
