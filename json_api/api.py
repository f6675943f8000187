"""The JSON API, assembled. It is at the root of the site: ``/bots``, ``/clients``, ``/operations``, ..."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Schema, Swagger
from pydantic.json_schema import models_json_schema

from core.version import VERSION
from json_api.auth import consume_quota
from json_api.error_handlers import MEDIA_TYPE, handle_problems, problem_response
from json_api.parser import StrictParser
from json_api.problems import MethodRefused, RequestProblem
from json_api.router import STATUSES
from json_api.routes import batches, bots, clients, emergency_stops, markets, operations, orders, servers, webhooks
from json_api.schemas.bots import BotStateEvent
from json_api.schemas.operations import OperationEvent


def staff_or_token(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open the documentation to users who are signed in to the admin, and to tools with a token."""

    @require_safe
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return staff_member_required(view)(request, *args, **kwargs)
        try:
            consume_quota(request, secret)
        except RequestProblem as problem:
            return problem_response(request, problem)
        return view(request, *args, **kwargs)

    return guarded


#: The events that webhooks receive.
EVENTS = (OperationEvent, BotStateEvent)
#: What each of their messages is signed with, see docs/api.md.
SIGNED_WITH = ("Webhook-Id", "Webhook-Timestamp", "Webhook-Signature")


def _notified(event: type[Schema]) -> dict[str, Any]:
    body = {"schema": {"$ref": f"#/components/schemas/{event.__name__}"}}
    return {
        "summary": event.__doc__,
        "parameters": [
            {"in": "header", "name": name, "required": True, "schema": {"type": "string"}} for name in SIGNED_WITH
        ],
        "requestBody": {"content": {"application/json": body}},
        "responses": {"2XX": {"description": "Accepted. Any other response is retried."}},
    }


def as_of_the_api(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer an unsupported method with a problem, like all other errors, and not in plain text. Say of every answer
    that it depends on the token.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if isinstance(response, HttpResponseNotAllowed):
            allowed = response["Allow"]
            sentence = f"{request.path} supports {allowed}, not {request.method}."
            response = problem_response(request, MethodRefused(sentence))
            response["Allow"] = allowed
        patch_vary_headers(response, ["Authorization"])
        return response

    return answer


class PanelAPI(NinjaAPI):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._schemas: dict[str, Any] = {}

    @property
    def urls(self) -> Any:
        patterns, *names = super().urls
        for pattern in patterns:
            pattern.callback = as_of_the_api(pattern.callback)  # type: ignore[arg-type]
        return patterns, *names

    def get_openapi_schema(self, *, path_prefix: str | None = None, path_params: Any = None) -> Any:
        """Return the schema. It is generated at the first request only: that takes most of a second."""
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        if prefix not in self._schemas:
            self._schemas[prefix] = self._generate_schema(prefix)
        return self._schemas[prefix]

    def _generate_schema(self, path_prefix: str) -> Any:
        """Return the schema, with problems in their own media type, and with the webhooks' events."""
        schema = super().get_openapi_schema(path_prefix=path_prefix)
        _, definitions = models_json_schema(
            [(event, "serialization") for event in EVENTS],
            by_alias=False,  # as ninja names what it answers
            ref_template="#/components/schemas/{model}",
        )
        schema["components"]["schemas"] |= definitions["$defs"]
        schema["webhooks"] = {event.__name__: {"post": _notified(event)} for event in EVENTS}
        for path in schema["paths"].values():
            for call in path.values():
                for status, response in call["responses"].items():
                    if status in STATUSES and "content" in response:
                        response["content"] = {MEDIA_TYPE: next(iter(response["content"].values()))}
        return schema


api = PanelAPI(
    title="Hummingbot control panel",
    version=VERSION,
    description="Creates and manages bots for the agency's other tools. Every call needs a token: create one in the "
    "admin, under “API tokens”, and send it as “Authorization: Bearer …”.",
    openapi_url="/api/openapi.json",
    docs_url="/api/docs",
    docs=Swagger({"persistAuthorization": False}),
    docs_decorator=staff_or_token,
    urls_namespace="json_api",
    parser=StrictParser(),
)
handle_problems(api)
# The routes of a bot's orders come before those of its operations, which match any word after its number.
for routes in (orders, markets, bots, clients, servers, operations, batches, emergency_stops, webhooks):
    api.add_router("", routes.router)
