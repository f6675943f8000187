"""Bots: what the JSON API takes and answers."""

from datetime import datetime
from typing import Any, Literal

from django.db import models
from ninja import Field, Schema
from pydantic import ConfigDict

from accounts.models import ExchangeKey
from bots.definitions import bot_define
from bots.models import LIMITS, RESTARTING, Bot, RestartPolicy
from bots.unapplied import differs_now
from core.visibility import AnyUser
from json_api.schemas.common import Body, Page

#: Fields with the model's own default.
OPTIONAL = ("image", "headless", *LIMITS, *RESTARTING)


class BotCreate(Body):
    """A bot to create and deploy. Missing settings use the strategy's defaults."""

    model_config = ConfigDict(
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
    pair: str = Field("", description="Base and quote asset, in the exchange's spelling: SHARP/USDT, kPEPE-USD.")
    strategy: str = Field("", description="The name of a strategy. See GET /strategies.")
    config: dict[str, Any] = Field({}, description="Settings, as defined by the strategy's schema.")
    server: str | None = Field(None, description="A server's name. Defaults to the client's server.")
    image: str | None = Field(None, description="The Docker image of Hummingbot.")
    headless: bool | None = None
    max_global_drawdown_quote: float | None = Field(None, description="Controllers only, in the quote asset.")
    max_controller_drawdown_quote: float | None = Field(None, description="Controllers only, in the quote asset.")
    restart_policy: RestartPolicy | None = Field(
        None, description="“after_crash” cancels what a crashed bot left open and starts it again."
    )
    max_restarts_per_hour: int | None = Field(None, description="From 1 to 20; then it stays as it is.")

    def define(self, user: AnyUser) -> Bot:
        """Save the definition. For what is raised see ``bot_define``."""
        values = {"name": self.name, "connector": self.connector, "trading_pair": self.pair, "settings": self.config}
        values |= {name: value for name in OPTIONAL if (value := getattr(self, name)) is not None}
        return bot_define(
            user=user, values=values, account_name=self.account, strategy=self.strategy, server=self.server
        )


class BotChange(Body):
    """Changes to a bot's definition. Omitted fields keep their values. A running instance does not change."""

    name: str = ""
    connector: str = ""
    pair: str = ""
    strategy: str = ""
    config: dict[str, Any] = Field({}, description="Settings to change. Other settings keep their values.")
    image: str = ""
    headless: bool = True
    max_global_drawdown_quote: float | None = None
    max_controller_drawdown_quote: float | None = None
    restart_policy: RestartPolicy = RestartPolicy.NEVER
    max_restarts_per_hour: int = 3


class Decisions(Body):
    """Decisions that a user must make explicitly, for “deploy” and “redeploy”. “start” and “resume” take only
    ``open_orders``."""

    resume: bool = Field(
        False,
        description="Resume trading for a paused bot: its new instance is not paused. Required to deploy a paused bot.",
    )
    unlisted: bool = Field(False, description="Deploy even if the exchange does not list the trading pair.")
    open_orders: bool = Field(
        False,
        description="Trade although orders may be open: of this bot, or of the client's other bots in its market.",
    )


class BotOut(Schema):
    """A bot: its definition, and the state that the server last reported."""

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
    restart_policy: str = Field(description="never or after_crash.")
    max_restarts_per_hour: int
    restart_due_at: datetime | None = Field(description="When it is started again after a crash.")
    restarts_exhausted_at: datetime | None = Field(
        description="Since when it is not started again, until a person acts."
    )
    state: str = Field(description="The state that the server last reported; “none” if the bot was never deployed.")
    trouble: str = Field(
        description="What keeps a running bot from quoting: orders_rejected, not_ready or no_balance; empty if "
        "nothing does."
    )
    trouble_reason: str = Field(description="The message of the exchange or of the bot's log.")
    seen_at: datetime | None
    instance: str | None = Field(description="The server's name for the latest deployment.")
    last_error: str
    pnl_quote: float | None = Field(description="PnL in the quote asset. Controllers only.")
    volume_quote: float | None = Field(description="Traded volume in the quote asset. Controllers only.")
    has_unsent_changes: bool = Field(description="The running instance was made from an older definition.")
    has_newer_key: bool = Field(description="The running instance uses an exchange key that has been replaced.")

    @staticmethod
    def rows(bots: models.QuerySet[Bot]) -> models.QuerySet[Bot]:
        """Return the rows with their related rows, in a constant number of queries."""
        # Not what takes time to decrypt or to read, and is not shown.
        unused = ("password", "connectors", "account_names", "instances")
        keys = models.Prefetch("client__keys", ExchangeKey.objects.only("client", "connector", "fingerprint"))
        rows = bots.select_related("client", "server", "strategy", "deployment").prefetch_related(keys)
        return rows.defer(*(f"server__{name}" for name in unused))

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
    def resolve_has_unsent_changes(bot: Bot) -> bool:
        return differs_now(bot)

    @staticmethod
    def resolve_volume_quote(bot: Bot) -> float | None:
        return bot.deployment.volume_quote if bot.deployment else None


class LogLineOut(Schema):
    at: datetime = Field(alias="logged_at", description="On the bot's clock.")
    instance: str = Field(alias="deployment.instance_name")
    kind: str
    level: str
    logger: str
    message: str = Field(description="It may contain a whole traceback.")


class SampleOut(Schema):
    """A controller's performance at one time, in the quote asset, since the deployment began."""

    controller: str = Field(alias="controller_id")
    at: datetime = Field(alias="taken_at")
    realized_pnl_quote: float | None = Field(description="PnL of closed positions, in the quote asset.")
    unrealized_pnl_quote: float | None = Field(
        description="PnL of open positions at the price of the time, in the quote asset."
    )
    global_pnl_quote: float | None = Field(description="Realized and unrealized PnL, in the quote asset.")
    volume_quote: float | None = Field(description="Total volume of all fills, in the quote asset.")


class PerformanceOut(Schema):
    instance: str | None = Field(description="The deployment that the figures belong to; null if there is none.")
    quote_asset: str | None = Field(description="The asset of all amounts.")
    newest: list[SampleOut] = Field(description="The latest figures of each controller, regardless of age.")
    series: list[SampleOut] = Field(description="The figures since the requested time, oldest first.")


class BotPage(Page):
    results: list[BotOut]


class LogPage(Page):
    results: list[LogLineOut]


class BotStateChange(Schema):
    state_before: str
    state: str
    bot: BotOut = Field(description="The bot at the time of the change.")


class BotStateEvent(Schema):
    """The state of a bot has changed since the last poll."""

    type: Literal["bot.state_changed"]
    timestamp: datetime = Field(description="When the change was detected.")
    data: BotStateChange
