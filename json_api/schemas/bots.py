"""Bots: what the JSON API takes and answers."""

from datetime import datetime
from typing import Any, Literal

from django.db import models
from ninja import Field, Schema
from pydantic import ConfigDict

from bots.models import Bot
from json_api.schemas.common import Page


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


class BotPage(Page):
    results: list[BotOut]


class LogPage(Page):
    results: list[LogLineOut]


class BotStateChange(Schema):
    state_before: str
    state: str
    bot: BotOut = Field(description="As it was when this was noticed.")


class BotStateEvent(Schema):
    """A look at a bot shows another state than the look before."""

    type: Literal["bot.state_changed"]
    timestamp: datetime = Field(description="When it was noticed.")
    data: BotStateChange
