"""The JSON API, put together. It stands at the root of the site: ``/bots``, ``/clients``, ``/operations``, ..."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Swagger

from json_api import routes_bots, routes_clients, routes_operations, routes_servers
from json_api.access import take_token
from json_api.answers import MEDIA_TYPE, handle_problems, problem_response
from json_api.parser import StrictParser
from json_api.problems import RequestProblem
from json_api.router import STATUSES


def staff_or_token(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The documentation is for whoever is signed in to the admin, and for tools with a token."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return staff_member_required(view)(request, *args, **kwargs)
        try:
            take_token(request, secret)
        except RequestProblem as problem:
            return problem_response(request, problem)
        return view(request, *args, **kwargs)

    return guarded


class PanelAPI(NinjaAPI):
    def get_openapi_schema(self, **kwargs: Any) -> Any:
        """The schema, with what goes wrong in its own media type."""
        schema = super().get_openapi_schema(**kwargs)
        for path in schema["paths"].values():
            for call in path.values():
                for status, response in call["responses"].items():
                    if status in STATUSES and "content" in response:
                        response["content"] = {MEDIA_TYPE: next(iter(response["content"].values()))}
        return schema


api = PanelAPI(
    title="Hummingbot control panel",
    version="1",
    description="Creates and steers bots for the agency's other tools. Every call needs a token: make one in the "
    "admin, under “API tokens”, and send it as “Authorization: Bearer …”.",
    openapi_url="/api/openapi.json",
    docs_url="/api/docs",
    docs=Swagger({"persistAuthorization": False}),
    docs_decorator=staff_or_token,
    urls_namespace="json_api",
    parser=StrictParser(),
)
handle_problems(api)
for routes in (routes_bots, routes_clients, routes_servers, routes_operations):
    api.add_router("", routes.router)
