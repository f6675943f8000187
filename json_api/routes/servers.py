"""Servers and their check; strategies with the schema of their settings; the catalog of problems."""

from typing import Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Path, Query

from accounts.models import Server
from bots.models import Strategy
from core.problems import Problem
from json_api.auth import may_administer, may_read, require
from json_api.router import PanelRouter
from json_api.schemas.common import Id, ProblemKind, Waiting
from json_api.schemas.operations import OperationOut
from json_api.schemas.servers import ServerOut, StrategyOut, StrategyWithSchema
from json_api.submit import idempotent, respond, submit

router = PanelRouter()


def visible(request: HttpRequest) -> Any:
    require(request.user, "accounts.view_server")
    return Server.objects.visible_to(request.user)


@router.get("/servers", response=list[ServerOut], auth=may_read, tags=["servers"])
def list_servers(request: HttpRequest) -> Any:
    """Lists the servers that the token's user may see, with the results of the last poll."""
    return visible(request)


@router.get("/servers/{server_id}", response=ServerOut, auth=may_read, tags=["servers"])
def get_server(request: HttpRequest, server_id: Path[Id]) -> Any:
    return get_object_or_404(visible(request), pk=server_id)


@router.post(
    "/servers/{server_id}/{action}",
    response={200: ServerOut, 202: OperationOut},
    auth=may_administer,
    tags=["servers"],
    operation_id="act_on_server",
)
def act(
    request: HttpRequest,
    response: HttpResponse,
    server_id: Path[Id],
    action: Literal["check", "read_controllers"],
    waiting: Query[Waiting],
) -> Any:
    """Check the connection to a server, or refresh its controllers, whose files may have changed."""
    server = get_object_or_404(visible(request), pk=server_id)
    kind = "check_server" if action == "check" else action
    operation = idempotent(request, lambda: submit(kind, server, request))
    return respond(operation, waiting, response, visible(request))


@router.get("/strategies", response=list[StrategyOut], auth=may_read, tags=["strategies"])
def list_strategies(request: HttpRequest) -> Any:
    require(request.user, "bots.view_strategy")
    return Strategy.objects.all()


@router.get("/strategies/{name}", response=StrategyWithSchema, auth=may_read, tags=["strategies"])
def get_strategy(request: HttpRequest, name: str) -> Any:
    """Returns a strategy with the JSON Schema of its settings."""
    require(request.user, "bots.view_strategy")
    return get_object_or_404(Strategy, name=name)


@router.get("/api/problems", response=list[ProblemKind], auth=may_read, tags=["problems"])
def list_problems(request: HttpRequest) -> Any:
    """Lists every error code with its meaning and its remedy."""
    return list(Problem.catalog())


@router.get("/api/problems/{code}", response=ProblemKind, auth=may_read, tags=["problems"])
def get_problem(request: HttpRequest, code: str) -> Any:
    for kind in Problem.catalog():
        if kind.code == code:
            return ProblemKind.from_orm(kind)
    raise Http404
