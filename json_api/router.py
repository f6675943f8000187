"""A router whose calls all declare the problems that they may answer with, and whose reads can be cached."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial, wraps
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest
from django.views.decorators.http import conditional_page
from ninja import Router, Schema
from ninja.decorators import decorate_view

from json_api.parser import require_json, validate_strictly
from json_api.problems import FieldsInvalid
from json_api.schemas.common import ProblemOut

#: No JSON; no token; not allowed; not there; not possible now; too much; not marked as JSON; invalid; what it depends
#: on failed; too many.
STATUSES = (400, 401, 403, 404, 409, 413, 415, 422, 424, 429)
#: The parameter of every call that submits an operation.
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "A unique string that identifies the request. A request repeated with the same key within a day "
    "leads to the same operation.",
}


@dataclass
class Taken:
    """What a call takes: the names of its parameters, and whether it has a body."""

    parameters: set[str] = field(default_factory=set)
    body: bool = False


def strict(view: Callable[..., Any], takes: Taken) -> Callable[..., Any]:
    """Reject requests that are too large or not marked as JSON, the one character that PostgreSQL can't store in text,
    and what the call does not take, or was sent twice: a mistyped filter would answer with every row, and fields that
    are sent to a call without any are meant for another one.

    It runs after the token check: the body of an unauthenticated request, which may come arbitrarily slowly, is not
    read.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        require_json(request)
        if wrong := {
            name: ["It was sent more than once." if name in takes.parameters else "There is no such parameter here."]
            for name, values in request.GET.lists()
            if name not in takes.parameters or len(values) > 1
        }:
            raise FieldsInvalid(wrong)
        if not takes.body and request.body.strip() not in {b"", b"{}"}:
            raise FieldsInvalid({"": ["This call takes no fields. Send it without a body."]})
        if "\0" in unquote(request.get_full_path()) or b"\0" in request.body or b"\\u0000" in request.body:
            raise FieldsInvalid({"": ["Text can't contain the character NUL (U+0000)."]})
        return view(request, *args, **kwargs)

    return answer


class ProblemResponse(Schema):
    """One for all calls and statuses. Django Ninja makes and describes one for each, which takes longer than all the
    rest of the API.
    """

    response: ProblemOut

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        return super().model_json_schema(*args, **options)


class PanelRouter(Router):
    def add_api_operation(
        self, path: str, methods: list[str], view_func: Any, *, response: Any = None, **options: Any
    ) -> None:
        """Like ninja's own; ``response`` gets the problems besides its own answers.

        A read has an ``ETag``, and is answered with 304 and nothing when the caller has it already.
        """
        answers = response if isinstance(response, dict) else {200: response}
        takes = Taken()
        view_func = strict(view_func, takes)
        if "GET" in methods:
            view_func = decorate_view(conditional_page)(view_func)
            answers |= {304: None}
        if 202 in answers:
            options["openapi_extra"] = {"parameters": [IDEMPOTENCY_KEY]}
        super().add_api_operation(path, methods, view_func, response=answers, **options)
        operation = self.path_operations[path].operations[-1]
        operation.response_models |= dict.fromkeys(STATUSES, ProblemResponse)
        for model in operation.models:
            if model.__ninja_param_source__ == "query":
                takes.parameters.update(model.__ninja_flatten_map__)
            if model.__ninja_param_source__ == "body":
                takes.body = True
                model.model_validate = partial(validate_strictly, model)
