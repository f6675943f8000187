"""Bots: defined, deployed, started, stopped, archived, looked at."""

from typing import Any, Literal

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Path, Query, Status

from bots.models import Bot, BotState, Deployment, Strategy
from json_api.access import may_deploy, may_read, require
from json_api.asking import ask, once, wait_for
from json_api.defining import check, define
from json_api.lists import Paged, page
from json_api.router import PanelRouter
from json_api.schemas import BotChange, BotCreate, BotOut, BotPage, Id, OperationOut, Waiting
from operations.models import Operation

router = PanelRouter(tags=["bots"])

#: What a bot's answer needs, in a constant number of queries.
RELATED = ("client", "server", "strategy", "deployment")
#: The API's names for what the model calls otherwise.
COLUMNS = {"pair": "trading_pair", "config": "settings"}

Action = Literal["deploy", "redeploy", "start", "stop", "archive", "refresh"]


class BotFilters(Paged):
    client: str | None = Field(None, description="The client's name.")
    account: str | None = Field(None, description="The client's account name.")
    server: str | None = Field(None, description="The server's name.")
    connector: str | None = None
    pair: str | None = None
    strategy: str | None = None
    state: BotState | None = Field(None, description="What the server last showed.")
    search: str | None = Field(None, description="Part of the bot's or the client's name, or of the pair.")
    order_by: Literal["id", "-id", "name", "-name"] = "-id"


def visible(request: HttpRequest) -> models.QuerySet[Bot]:
    require(request.user, "bots.view_bot")
    return Bot.objects.visible_to(request.user).select_related(*RELATED).prefetch_related("client__keys")


@router.get("/bots", response=BotPage, auth=may_read)
def list_bots(request: HttpRequest, asked: Query[BotFilters]) -> Any:
    """The bots that the token's user may see."""
    equal = {
        "client__name": asked.client,
        "client__account_name": asked.account,
        "server__name": asked.server,
        "connector": asked.connector,
        "trading_pair": asked.pair and asked.pair.upper().replace("/", "-"),
        "strategy__name": asked.strategy,
    }
    bots = visible(request).filter(**{name: value for name, value in equal.items() if value is not None})
    if asked.state:
        bots = bots.filter(deployment__in=Deployment.objects.in_state(asked.state, timezone.now()))
    if asked.search:
        term = asked.search
        bots = bots.filter(
            models.Q(name__icontains=term)
            | models.Q(client__name__icontains=term)
            | models.Q(trading_pair__icontains=term)
        )
    return page(request, bots, asked, asked.order_by)


@router.post("/bots/create", response={201: BotOut, 202: OperationOut}, auth=may_deploy)
def create_bot(request: HttpRequest, response: HttpResponse, body: BotCreate, waiting: Query[Waiting]) -> Any:
    """Define a bot and deploy it.

    Answers 201 when the bot was heard, 202 with the operation when that takes longer than ``wait``. With an
    ``Idempotency-Key`` a request that is repeated asks for nothing twice; without one a bot that is defined just so,
    and of which nothing is on a server, is deployed.
    """
    require(request.user, "bots.add_bot")

    def define_and_deploy() -> Operation:
        return ask("deploy", define(request.user, body), request)

    operation = wait_for(once(request, define_and_deploy), waiting.wait)
    if operation.is_active:
        response["Location"] = f"/operations/{operation.pk}"
        return Status(202, operation)
    response["Location"] = f"/bots/{operation.subject_id}"
    return Status(201, visible(request).get(pk=operation.subject_id))


@router.get("/bots/{bot_id}", response=BotOut, auth=may_read)
def get_bot(request: HttpRequest, bot_id: Path[Id]) -> Any:
    return get_object_or_404(visible(request), pk=bot_id)


@router.patch("/bots/{bot_id}", response=BotOut, auth=may_deploy)
def change_bot(request: HttpRequest, bot_id: Path[Id], body: BotChange) -> Any:
    """Change the definition. What runs is not touched: redeploy it to apply the change."""
    require(request.user, "bots.change_bot")
    bot = get_object_or_404(visible(request), pk=bot_id)
    errors: dict[str, list[str]] = {}
    for name, value in body.dict(exclude_unset=True).items():
        if name == "strategy":
            strategy = Strategy.objects.filter(name=value).first()
            if strategy is None:
                errors["strategy"] = [f"There is no strategy “{value}”: see GET /strategies."]
            else:
                bot.strategy = strategy
        elif name == "config":
            bot.settings = bot.settings | value
        else:
            setattr(bot, COLUMNS.get(name, name), value)
    check(bot, errors)
    bot.save()
    return bot


@router.delete("/bots/{bot_id}", response={204: None}, auth=may_deploy)
def delete_bot(request: HttpRequest, bot_id: Path[Id]) -> Any:
    """Delete the definition of a bot that was never deployed, or whose instances are all archived."""
    require(request.user, "bots.delete_bot")
    bot = get_object_or_404(visible(request), pk=bot_id)
    bot.remove()
    return Status(204, None)


@router.post(
    "/bots/{bot_id}/{action}", response={200: BotOut, 202: OperationOut}, auth=may_deploy, operation_id="act_on_bot"
)
def act(request: HttpRequest, response: HttpResponse, bot_id: Path[Id], action: Action, waiting: Query[Waiting]) -> Any:
    """Deploy, redeploy, start, stop, archive or refresh a bot.

    Answers 200 with the bot when that succeeded, 202 with the operation when it takes longer than ``wait``.
    """
    bot = get_object_or_404(visible(request), pk=bot_id)
    operation = wait_for(once(request, lambda: ask(action, bot, request)), waiting.wait)
    if operation.is_active:
        response["Location"] = f"/operations/{operation.pk}"
        return Status(202, operation)
    return Status(200, visible(request).get(pk=bot_id))
