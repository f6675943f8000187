"""The request bodies that the server documents. Unknown keys are ignored without a word."""

from pydantic import BaseModel, Field


class Script(BaseModel):
    content: str


class Deployment(BaseModel):
    """The fields that both kinds of deploy share."""

    instance_name: str
    credentials_profile: str
    image: str = "hummingbot/hummingbot:latest"
    script_config: str | None = None
    headless: bool = False


class V2ScriptDeployment(Deployment):
    script: str | None = None


class V2ControllerDeployment(Deployment):
    controllers_config: list[str]
    max_global_drawdown_quote: float | None = None
    max_controller_drawdown_quote: float | None = None


class StartBotAction(BaseModel):
    bot_name: str
    log_level: str | None = None
    script: str | None = None
    conf: str | None = None
    async_backend: bool = False


class StopBotAction(BaseModel):
    bot_name: str
    skip_order_cancellation: bool = False
    async_backend: bool = False


class PriceRequest(BaseModel):
    connector_name: str
    trading_pairs: list[str]


class OrderBookRequest(BaseModel):
    connector_name: str
    trading_pair: str
    depth: int = Field(10, ge=1, le=1000)


class PortfolioStateFilterRequest(BaseModel):
    account_names: list[str] | None = None
    connector_names: list[str] | None = None
    skip_gateway: bool = False
    refresh: bool = False


class PortfolioHistoryFilterRequest(BaseModel):
    limit: int = Field(100, ge=1, le=1000)
    start_time: int | None = None
    end_time: int | None = None
    cursor: str | None = None
    account_names: list[str] | None = None
    connector_names: list[str] | None = None
    interval: str | None = "5m"
