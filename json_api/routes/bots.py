"""Bots: defined, deployed, started, stopped, archived, refreshed."""

from datetime import timedelta
from typing import Any, Literal

from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Path, Query, Schema, Status

from bots.definitions import bot_check, find_strategy
from bots.models import Bot, BotState, LogKind, LogLine, shown_state
from json_api.auth import may_deploy, may_read, require
from json_api.error_handlers import API_NAMES
from json_api.pagination import Moment, Paged, Term, page
from json_api.problems import FieldsInvalid
from json_api.router import PanelRouter
from json_api.schemas.bots import BotChange, BotCreate, BotOut, BotPage, Decisions, LogPage, PerformanceOut
from json_api.schemas.common import Id, Waiting
from json_api.schemas.operations import Action, OperationOut
from json_api.submit import idempotent, respond, submit

router = PanelRouter(tags=["bots"])

#: The API's names for what the model calls otherwise.
COLUMNS = {name: column for column, name in API_NAMES.items()}

#: What there is to decide, by action.
DECISIONS = {
    "deploy": frozenset(Decisions.model_fields),
    "redeploy": frozenset(Decisions.model_fields),
    "start": frozenset({"open_orders"}),
    "resume": frozenset({"open_orders"}),
}


class BotFilters(Paged):
    client: str | None = Field(None, description="The client's name.")
    account: str | None = Field(None, description="The client's account name.")
    server: str | None = Field(None, description="The server's name.")
    connector: str | None = None
    pair: Term | None = None
    strategy: str | None = None
    state: BotState | None = Field(None, description="The state that the server last reported.")
    search: Term | None = Field(None, description="Part of the bot's name, the client's name or the pair.")
    order_by: Literal["id", "-id", "name", "-name"] = "-id"


class LogFilters(Paged):
    kind: LogKind | None = Field(None, description="The bot's error log, or its other lines.")
    level: str | None = Field(None, description="As logged by the bot: INFO, WARNING, ERROR, ...")
    search: Term | None = Field(None, description="Part of the message or of the logger's name.")
    instance: str | None = Field(
        None, description="The server's name for a deployment. Defaults to all deployments of the bot."
    )


class PerformanceFilters(Schema):
    since: Moment | None = Field(None, description="Defaults to one day ago. Times without a zone are UTC.")
    interval: Literal["hourly", "daily"] = Field("hourly", description="The last figures of each hour or day.")
    instance: str | None = Field(None, description="The server's name for a deployment. Defaults to the latest one.")


def visible(request: HttpRequest) -> models.QuerySet[Bot]:
    require(request.user, "bots.view_bot")
    return BotOut.rows(Bot.objects.visible_to(request.user))


@router.get("/bots", response=BotPage, auth=may_read)
def list_bots(request: HttpRequest, asked: Query[BotFilters]) -> Any:
    """Lists the bots that the token's user may see."""
    equal = {
        "client__name": asked.client,
        "client__account_name": asked.account,
        "server__name": asked.server,
        "connector": asked.connector,
        # A user who searches for a pair need not know how its exchange spells it.
        "trading_pair__iexact": asked.pair and asked.pair.replace("/", "-"),
        "strategy__name": asked.strategy,
    }
    bots = visible(request).filter(**{name: value for name, value in equal.items() if value is not None})
    if asked.state:
        bots = bots.alias(shown=shown_state(timezone.now(), "deployment__")).filter(shown=asked.state)
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
    """Create a bot and deploy it.

    Returns 201 when the bot has connected, or 202 with the operation when that takes longer than ``wait``. With an
    ``Idempotency-Key``, a repeated request does nothing twice. Without one, an identical bot that exists and has no
    instance on a server is deployed.
    """
    require(request.user, "bots.add_bot")

    operation = idempotent(request, lambda: submit("deploy", body.define(request.user), request))
    return respond(operation, waiting, response, visible(request), created_at="/bots/{}")


@router.get("/bots/{bot_id}", response=BotOut, auth=may_read)
def get_bot(request: HttpRequest, bot_id: Path[Id]) -> Any:
    return get_object_or_404(visible(request), pk=bot_id)


@router.get("/bots/{bot_id}/logs", response=LogPage, auth=may_read)
def list_log_lines(request: HttpRequest, bot_id: Path[Id], asked: Query[LogFilters]) -> Any:
    """Lists the stored lines of the bot's log, newest first: up to 200 lines of each kind per deployment.

    Exchange keys are masked. The action “refresh” reads the log now.
    """
    bot = get_object_or_404(visible(request), pk=bot_id)
    equal = {"kind": asked.kind, "level": asked.level, "deployment__instance_name": asked.instance}
    lines = LogLine.objects.filter(deployment__bot=bot).select_related("deployment")
    lines = lines.filter(**{name: value for name, value in equal.items() if value is not None})
    if term := asked.search:
        lines = lines.filter(models.Q(message__icontains=term) | models.Q(logger__icontains=term))
    return page(request, lines, asked, "-logged_at")


@router.get("/bots/{bot_id}/performance", response=PerformanceOut, auth=may_read)
def get_performance(request: HttpRequest, bot_id: Path[Id], asked: Query[PerformanceFilters]) -> Any:
    """Returns the performance over time that each controller, or the script, of one deployment has reported."""
    bot = get_object_or_404(visible(request), pk=bot_id)
    run = get_object_or_404(bot.deployments, instance_name=asked.instance) if asked.instance else bot.deployment
    if run is None:
        return {"instance": None, "quote_asset": None, "newest": [], "series": []}
    since = asked.since or timezone.now() - timedelta(days=1)
    samples = run.performance.since(since)
    return {
        "instance": run.instance_name or None,
        "quote_asset": run.quote_asset,
        "newest": run.performance.newest().order_by("controller_id"),
        "series": (samples.daily() if asked.interval == "daily" else samples.hourly()).order_by(
            "taken_at", "controller_id"
        ),
    }


@router.patch("/bots/{bot_id}", response=BotOut, auth=may_deploy)
@transaction.atomic
def change_bot(request: HttpRequest, bot_id: Path[Id], body: BotChange) -> Any:
    """Change the bot's definition. A running instance does not change: apply the settings, or redeploy the bot."""
    require(request.user, "bots.change_bot")
    # Locked, so that it is saved as it was read: an operation or the poll may be about to write on the same row.
    bot = get_object_or_404(visible(request).select_for_update(of=("self",), no_key=True), pk=bot_id)
    errors: dict[str, list[str]] = {}
    for name, value in body.model_dump(exclude_unset=True).items():
        if name == "strategy":
            if strategy := find_strategy(value, errors):
                bot.strategy = strategy
        elif name == "config":
            bot.settings = bot.settings | value
        else:
            setattr(bot, COLUMNS.get(name, name), value)
    bot_check(bot, user=request.user, errors=errors)
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
def act(
    request: HttpRequest,
    response: HttpResponse,
    bot_id: Path[Id],
    action: Action,
    waiting: Query[Waiting],
    body: Decisions | None = None,
) -> Any:
    """Deploy, redeploy, start, stop, recover, pause, resume or archive a bot; apply the settings that can change
    while it runs; refresh its state; check its definition with its server and exchange.

    Returns 200 with the bot on success, or 202 with the operation when it takes longer than ``wait``.
    """
    bot = get_object_or_404(visible(request), pk=bot_id)
    kind = "check_bot" if action == "check" else action
    decided = body.model_dump(exclude_unset=True) if body else {}
    if unknown := set(decided) - DECISIONS.get(action, frozenset()):
        raise FieldsInvalid.not_taken(action, unknown)
    operation = idempotent(request, lambda: submit(kind, bot, request, **decided))
    return respond(operation, waiting, response, visible(request))
