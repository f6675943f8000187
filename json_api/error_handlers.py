"""Problems as answers: RFC 9457, with the catalog's code and remedy, for every error in the JSON API."""

import logging
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelInvalid
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as RequestInvalid

from bots.problems import (
    BotExists,
    BotLive,
    ClientOffboarded,
    EmergencyStopActive,
    OrdersMayBeOpen,
    PauseWouldEnd,
)
from core.problems import Problem
from core.problems.server import problem_of
from hummingbot_api.errors import HummingbotAPIError
from hummingbot_api.text import one_line
from json_api.parser import JSON
from json_api.problems import (
    BodyTooLarge,
    BodyUnreadable,
    ChangedMeanwhile,
    ContentTypeRefused,
    FieldsInvalid,
    OperationFailed,
    RequestProblem,
    ResourceNotFound,
    TokenMissing,
    TooManyRequests,
)
from operations.problems import NotPossibleNow, OperationActive, PanelFault

logger = logging.getLogger(__name__)
#: For problems with a status of their own, although the request is not at fault.
STATUSES = {
    **dict.fromkeys(
        (
            OperationActive,
            NotPossibleNow,
            BotExists,
            BotLive,
            PauseWouldEnd,
            OrdersMayBeOpen,
            ClientOffboarded,
            EmergencyStopActive,
        ),
        409,
    ),
    PanelFault: 500,
}
#: Names that the model has for what the API calls otherwise.
API_NAMES = {"client": "account", "trading_pair": "pair", "settings": "config", NON_FIELD_ERRORS: ""}
MEDIA_TYPE = "application/problem+json"


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    status = getattr(problem, "status", None) or STATUSES.get(type(problem), 424)
    content: dict[str, Any] = {
        "type": f"/api/problems/{problem.code}",
        "title": problem.meaning,
        "status": status,
        "detail": problem.message,
        "code": problem.code,
        "remedy": problem.remedy,
        "retryable": problem.retryable,
        "request_id": getattr(request, "id", ""),
        "errors": [],
        "operation": None,
        "bot": None,
    }
    if isinstance(problem, FieldsInvalid):
        content["errors"] = [
            {"field": name, "message": message} for name, messages in problem.errors.items() for message in messages
        ]
    if isinstance(problem, BotExists):
        content["bot"] = f"/bots/{problem.bot_id}"
    if isinstance(problem, OperationActive | OperationFailed):
        content["operation"] = f"/operations/{problem.operation_id}"
    if isinstance(problem, OperationFailed) and problem.operation.error_code:
        # The reason is the operation's own problem.
        code = problem.operation.error_code
        content |= {
            "type": f"/api/problems/{code}",
            "code": code,
            "retryable": problem.operation.error_retryable,
        }
    response = JsonResponse(content, status=status, content_type=MEDIA_TYPE)
    if isinstance(problem, ContentTypeRefused):
        response["Accept"] = JSON
    if isinstance(problem, TooManyRequests):
        response["Retry-After"] = "60"
    if isinstance(problem, TokenMissing):
        response["WWW-Authenticate"] = "Bearer"
    return response


def nothing_at(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the answer to an address that the API does not have."""
    return _outside(request, ResourceNotFound())


def failed_before(request: HttpRequest) -> HttpResponse:
    """Return the answer to a call that failed before it reached the API."""
    return _outside(request, PanelFault())


def refused_before(request: HttpRequest, message: str, remedy: str) -> HttpResponse:
    """Return the answer to a call that was refused before it reached the API."""
    return _outside(request, RequestProblem(message, remedy=remedy))


def _outside(request: HttpRequest, problem: Problem) -> HttpResponse:
    response = problem_response(request, problem)
    patch_vary_headers(response, ["Authorization"])
    return response


def model_errors(invalid: ModelInvalid, prefix: str = "") -> dict[str, list[str]]:
    """Return a model's errors by the API's names for its fields; settings each by its own name."""
    errors: dict[str, list[str]] = {}
    for name, messages in invalid.message_dict.items():
        for message in messages:
            setting, colon, sentence = message.partition(": ")
            if name == "settings" and colon:
                errors.setdefault(f"{prefix}config.{setting}", []).append(sentence)
            else:
                errors.setdefault(prefix + API_NAMES.get(name, name), []).append(message)
    return errors


def handle_problems(api: NinjaAPI) -> None:
    """Have ``api`` answer whatever is raised as a problem."""

    @api.exception_handler(HummingbotAPIError)
    def server_error(request: HttpRequest, error: HummingbotAPIError) -> HttpResponse:
        return problem_response(request, problem_of(error))

    @api.exception_handler(Problem)
    def known(request: HttpRequest, problem: Problem) -> HttpResponse:
        return problem_response(request, problem)

    @api.exception_handler(ModelInvalid)
    def invalid_row(request: HttpRequest, invalid: ModelInvalid) -> HttpResponse:
        return problem_response(request, FieldsInvalid(model_errors(invalid)))

    @api.exception_handler(RequestInvalid)
    def invalid_request(request: HttpRequest, invalid: RequestInvalid) -> HttpResponse:
        errors: dict[str, list[str]] = {}
        for error in invalid.errors:
            # The first part names the place (body, query, path), the second the function's argument.
            place = [str(part) for part in error["loc"]][1:]
            name = ".".join(place[1:] if error["loc"][0] == "body" and len(place) > 1 else place)
            errors.setdefault(name, []).append(error["msg"])
        return problem_response(request, FieldsInvalid(errors))

    @api.exception_handler(AuthenticationError)
    def no_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        return problem_response(request, TokenMissing())

    @api.exception_handler(Http404)
    def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem_response(request, ResourceNotFound())

    @api.exception_handler(RequestDataTooBig)
    def too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        return problem_response(request, BodyTooLarge())

    @api.exception_handler(HttpError)
    def unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
        # The only other error that ninja raises itself; its cause is the parser's.
        why = error.__cause__
        if isinstance(why, Problem):
            return problem_response(request, why)
        if isinstance(why, RequestDataTooBig):
            return too_large(request, why)
        return problem_response(
            request, BodyUnreadable(" ".join(why.messages) if isinstance(why, ModelInvalid) else "")
        )

    @api.exception_handler(IntegrityError)
    def too_late(request: HttpRequest, error: IntegrityError) -> HttpResponse:
        # What is checked before is right mostly; the database has the last word.
        return problem_response(request, ChangedMeanwhile())

    @api.exception_handler(Exception)
    def fault(request: HttpRequest, error: Exception) -> HttpResponse:
        logger.error("%s %s failed", request.method, one_line(request.path), exc_info=error)
        return problem_response(request, PanelFault())
