"""What the JSON API takes and answers. Secrets are taken, and never answered."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.db import models
from ninja import Field, Schema
from pydantic import ConfigDict

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Strategy
from json_api.models import EventType, Webhook, WebhookDelivery
from notifications.outbox import DeliveryState
from operations.models import Operation

#: A row's number, as every database can hold it.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Waiting(Schema):
    wait: float = Field(
        20, ge=0, le=25, description="Seconds to wait for the operation's end before answering 202. Routers cut at 30."
    )


class FieldError(Schema):
    field: str
    message: str


class ProblemOut(Schema):
    """What went wrong, as RFC 9457 has it, with the panel's own code and remedy."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    retryable: bool = Field(description="Whether the same request may succeed later without anything being changed.")
    request_id: str = Field(description="Stands in the panel's log beside what happened.")
    errors: list[FieldError] = Field([], description="Every field that is wrong.")
    operation: str | None = Field(None, description="The URL of the operation that this is about.")
    bot: str | None = Field(None, description="The URL of the bot that this is about.")


class StepOut(Schema):
    key: str
    title: str
    state: str
    detail: str
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None


class OperationOut(Schema):
    """One thing that the panel does to the outside."""

    id: int
    url: str
    kind: str
    about: str = Field(alias="subject_label")
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    summary: str
    error_code: str
    error_message: str
    error_remedy: str
    error_retryable: bool
    requested_by: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @staticmethod
    def rows(operations: models.QuerySet[Operation]) -> models.QuerySet[Operation]:
        """With what is needed of other tables, in a constant number of queries."""
        return operations.select_related("requested_by")

    @staticmethod
    def resolve_url(operation: Operation) -> str:
        return f"/operations/{operation.pk}"

    @staticmethod
    def resolve_requested_by(operation: Operation) -> str | None:
        return str(operation.requested_by) if operation.requested_by else None


class OperationWithSteps(OperationOut):
    steps: list[StepOut]

    @staticmethod
    def resolve_steps(operation: Operation) -> list[Any]:
        return list(operation.steps.all())


class BotCreate(Schema):
    """A bot to define and deploy. Settings that are missing take the strategy's defaults."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "required": ["name", "account", "connector", "pair", "strategy"],
            "example": {
                "name": "Sharp Spread",
                "account": "client_sharp",
                "connector": "bitmart",
                "pair": "SHARP/USDT",
                "strategy": "spread",
                "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
            },
        },
    )

    # All may be missing as far as this class goes, so that one answer names everything that is wrong.
    name: str = ""
    account: str = Field("", description="The client's account name on the server.")
    connector: str = ""
    pair: str = Field("", description="Base and quote asset, spelled as the exchange does: SHARP/USDT, kPEPE-USD.")
    strategy: str = Field("", description="The name of a strategy, see GET /strategies.")
    config: dict[str, Any] = Field({}, description="Settings, by the strategy's schema.")
    server: str | None = Field(None, description="A server's name; the client's own by default.")
    image: str | None = Field(None, description="The Docker image of Hummingbot.")
    headless: bool | None = None
    max_global_drawdown_quote: float | None = Field(None, description="Controllers only; in the quote asset.")
    max_controller_drawdown_quote: float | None = Field(None, description="Controllers only; in the quote asset.")


class BotChange(Schema):
    """What to change of a bot's definition. What is left out stays; a running instance is not touched."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    connector: str = ""
    pair: str = ""
    strategy: str = ""
    config: dict[str, Any] = Field({}, description="Settings to change; the others stay.")
    image: str = ""
    headless: bool = True
    max_global_drawdown_quote: float | None = None
    max_controller_drawdown_quote: float | None = None


class Decisions(Schema):
    """What only a person may decide, for “deploy” and “redeploy”; of it ``open_orders`` for “start” and “resume”."""

    model_config = ConfigDict(extra="forbid")

    resume: bool = Field(
        False,
        description="A bot that is paused may quote again: its new instance is not paused. Needed for such a bot.",
    )
    unlisted: bool = Field(False, description="Deploy also when the exchange does not list the trading pair.")
    open_orders: bool = Field(
        False,
        description="Quote on top of orders that may be open: of this bot, or of the client's others in its market.",
    )


class BotOut(Schema):
    """A bot: what is wanted, and apart from that what the server last showed."""

    id: int
    url: str
    name: str
    client: str
    account: str
    server: str
    connector: str
    pair: str = Field(alias="trading_pair")
    strategy: str
    config: dict[str, Any] = Field(alias="settings")
    image: str
    headless: bool
    max_global_drawdown_quote: float | None
    max_controller_drawdown_quote: float | None
    state: str = Field(description="What the server last showed; “none” when it was never deployed.")
    trouble: str = Field(
        description="What keeps a running bot from quoting: orders_rejected, not_ready, no_balance; empty for nothing."
    )
    trouble_reason: str = Field(description="In the words of the exchange or of the bot's log.")
    seen_at: datetime | None
    instance: str | None = Field(description="The server's name for the newest deployment.")
    last_error: str
    pnl_quote: float | None = Field(description="Profit and loss in the quote asset; controllers only.")
    volume_quote: float | None = Field(description="Traded volume in the quote asset; controllers only.")
    has_unsent_changes: bool = Field(description="The live instance was made from another definition.")
    has_newer_key: bool = Field(description="The live instance holds an exchange key that was replaced since.")

    @staticmethod
    def rows(bots: models.QuerySet[Bot]) -> models.QuerySet[Bot]:
        """With what is needed of other tables, in a constant number of queries."""
        return bots.select_related("client", "server", "strategy", "deployment").prefetch_related("client__keys")

    @staticmethod
    def resolve_url(bot: Bot) -> str:
        return f"/bots/{bot.pk}"

    @staticmethod
    def resolve_client(bot: Bot) -> str:
        return bot.client.name

    @staticmethod
    def resolve_account(bot: Bot) -> str:
        return bot.client.account_name

    @staticmethod
    def resolve_server(bot: Bot) -> str:
        return bot.server.name

    @staticmethod
    def resolve_strategy(bot: Bot) -> str:
        return bot.strategy.name

    @staticmethod
    def resolve_state(bot: Bot) -> str:
        return bot.deployment.state.value if bot.deployment else "none"

    @staticmethod
    def resolve_trouble(bot: Bot) -> str:
        return (bot.deployment.shown_trouble or "") if bot.deployment else ""

    @staticmethod
    def resolve_trouble_reason(bot: Bot) -> str:
        return bot.deployment.trouble_reason if bot.deployment and bot.deployment.shown_trouble else ""

    @staticmethod
    def resolve_seen_at(bot: Bot) -> datetime | None:
        return bot.deployment.observed_at if bot.deployment else None

    @staticmethod
    def resolve_instance(bot: Bot) -> str | None:
        return (bot.deployment.instance_name or None) if bot.deployment else None

    @staticmethod
    def resolve_last_error(bot: Bot) -> str:
        return bot.deployment.last_error if bot.deployment else ""

    @staticmethod
    def resolve_pnl_quote(bot: Bot) -> float | None:
        return bot.deployment.pnl_quote if bot.deployment else None

    @staticmethod
    def resolve_volume_quote(bot: Bot) -> float | None:
        return bot.deployment.volume_quote if bot.deployment else None


class LogLineOut(Schema):
    at: datetime = Field(alias="logged_at", description="On the bot's clock.")
    instance: str = Field(alias="deployment.instance_name")
    kind: str
    level: str
    logger: str
    message: str = Field(description="It may be a whole traceback.")


class SampleOut(Schema):
    """A controller's figures at a moment, all in the quote asset, counted since the deployment began."""

    controller: str = Field(alias="controller_id")
    at: datetime = Field(alias="taken_at")
    realized_pnl_quote: float | None = Field(description="Profit and loss of what was closed, in the quote asset.")
    unrealized_pnl_quote: float | None = Field(description="Of what is open, at the price then, in the quote asset.")
    global_pnl_quote: float | None = Field(description="Both together, in the quote asset.")
    volume_quote: float | None = Field(description="Sum of all fills, in the quote asset.")


class PerformanceOut(Schema):
    instance: str | None = Field(description="The deployment that the figures are of; null when there was none.")
    quote_asset: str | None = Field(description="What all amounts are in.")
    newest: list[SampleOut] = Field(description="Each controller's last figures, however long ago.")
    series: list[SampleOut] = Field(description="Since the time that was asked for, the oldest first.")


class ClientIn(Schema):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["name", "server"]})

    name: str = ""
    server: str = Field("", description="A server's name.")
    account_name: str = Field("", description="Of its profile on the server; made from the name when left out.")
    notes: str = ""


class ClientChange(Schema):
    """What to change of a client. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    status: Literal["onboarding", "active", "paused", "offboarded"] = "active"
    notes: str = ""


class ClientOut(Schema):
    id: int
    url: str
    name: str
    account: str = Field(alias="account_name")
    server: str
    account_manager: str | None
    status: str
    profile: str = Field(alias="profile_in_words", description="How its keys stand to what the server has.")
    created_at: datetime

    @staticmethod
    def rows(clients: models.QuerySet[Client]) -> models.QuerySet[Client]:
        """With what is needed of other tables, in a constant number of queries."""
        return clients.select_related("server", "account_manager").prefetch_related(
            "keys__client__profiles__pushed_keys", "keys__client__server", "profiles__pushed_keys"
        )

    @staticmethod
    def resolve_url(client: Client) -> str:
        return f"/clients/{client.pk}"

    @staticmethod
    def resolve_server(client: Client) -> str:
        return client.server.name

    @staticmethod
    def resolve_account_manager(client: Client) -> str | None:
        return str(client.account_manager) if client.account_manager else None


class KeyIn(Schema):
    """An exchange key: the connector's fields with their values. They are encrypted, and can't be read back.

    The fields of a group are nested in it, or named ``group.field``; lists and objects are sent as such.
    """

    model_config = ConfigDict(extra="forbid")

    values: dict[str, Any]


class Rotation(Schema):
    """What a rotation takes beside the key."""

    model_config = ConfigDict(extra="forbid")

    bots: list[Id] | None = Field(
        None,
        description="Ids of the client's bots to redeploy; of those that trade with the former key, all by default. "
        "Redeploying takes the scope “deploy”.",
    )


class KeyOut(Schema):
    client: str
    connector: str
    hint: str = Field(description="The API key's last characters.")
    state: str = Field(description="How it stands to what is on the server.")
    changed_at: datetime

    @staticmethod
    def resolve_client(key: ExchangeKey) -> str:
        return key.client.name


class ServerOut(Schema):
    id: int
    url: str
    name: str
    base_url: str = Field(description="Empty for who may not change servers.")
    health: str
    reachable: bool | None
    docker_running: bool | None
    mqtt_connected: bool | None
    version: str
    latency_ms: int | None
    checked_at: datetime | None

    @staticmethod
    def resolve_url(server: Server) -> str:
        return f"/servers/{server.pk}"

    @staticmethod
    def resolve_base_url(server: Server, context: dict[str, Any] | None) -> str:
        # The terminal has no request: whoever is at it has the host.
        may_see = context is None or context["request"].user.has_perm("accounts.change_server")
        return server.base_url if may_see else ""


class StrategyOut(Schema):
    name: str
    url: str
    kind: str
    controller_type: str
    description: str
    spot_only: bool
    defaults: dict[str, Any]

    @staticmethod
    def resolve_url(strategy: Strategy) -> str:
        return f"/strategies/{strategy.name}"


class StrategyWithSchema(StrategyOut):
    settings_schema: dict[str, Any] = Field(description="JSON Schema of the settings.")


class ProblemKind(Schema):
    code: str
    meaning: str
    remedy: str = Field(alias="default_remedy")
    retryable: bool


class Page(Schema):
    """A page of a list: follow ``next`` and ``previous`` as they are."""

    previous: str | None
    next: str | None


class BotPage(Page):
    results: list[BotOut]


class ClientPage(Page):
    results: list[ClientOut]


class LogPage(Page):
    results: list[LogLineOut]


class OperationPage(Page):
    results: list[OperationOut]


class OperationEvent(Schema):
    """An operation has ended."""

    type: Literal["operation.succeeded", "operation.failed", "operation.cancelled"]
    timestamp: datetime = Field(description="When it ended.")
    data: OperationOut


class BotStateChange(Schema):
    state_before: str
    state: str
    bot: BotOut = Field(description="As it was when this was noticed.")


class BotStateEvent(Schema):
    """A look at a bot shows another state than the look before."""

    type: Literal["bot.state_changed"]
    timestamp: datetime = Field(description="When it was noticed.")
    data: BotStateChange


class WebhookIn(Schema):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["name", "address"]})

    name: str = ""
    address: str = Field("", description="Where to post, with https://. It can be replaced, and not read back.")
    events: list[EventType] = Field([], description="What to tell; all of it when this is empty.")
    active: bool = True


class WebhookChange(Schema):
    """What to change of a webhook. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    address: str = ""
    events: list[EventType] = []
    active: bool = True


class WebhookOut(Schema):
    id: int
    url: str
    name: str
    host: str = Field(description="Whom it tells: the address without what may be a password in it.")
    events: list[str]
    active: bool
    since: datetime = Field(description="It is told of nothing older.")

    @staticmethod
    def resolve_url(webhook: Webhook) -> str:
        return f"/webhooks/{webhook.pk}"


class WebhookWithSecret(WebhookOut):
    secret: str = Field(description="What its messages are signed with. It is shown this once.")


class DeliveryOut(Schema):
    id: int
    event_id: str = Field(description="The header Webhook-Id.")
    type: str
    about: str
    occurred_at: datetime
    state: Literal["waiting", "sent", "failed"]
    attempts: int
    next_attempt_at: datetime | None = Field(description="While it waits.")
    sent_at: datetime | None
    error_code: str
    last_error: str

    @staticmethod
    def resolve_next_attempt_at(delivery: WebhookDelivery) -> datetime | None:
        return delivery.next_attempt_at if delivery.state == DeliveryState.WAITING else None


class DeliveryPage(Page):
    results: list[DeliveryOut]
