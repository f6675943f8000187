"""Emergency stops, as the JSON API takes and answers them."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema
from pydantic import ConfigDict

from bots.models import EmergencyStop
from bots.models.emergency_stop import MAX_REASON
from bots.operations.emergency import BotRow, Report
from json_api.schemas.common import Body, Page


class EmergencyStopIn(Body):
    model_config = ConfigDict(
        json_schema_extra={"example": {"scope": "client", "client": "Sharp", "reason": "Key leaked"}}
    )

    scope: Literal["everything", "client", "server"]
    client: str | None = Field(None, description="The client's name, for the scope “client”.")
    server: str | None = Field(None, description="The server's name, for the scope “server”.")
    reason: str = Field("", max_length=MAX_REASON, description="Shown to everyone whose clients it concerns.")


class EmergencyStopOut(Schema):
    """An emergency stop: until it is lifted, no bot in its scope can be deployed, started, resumed or changed live."""

    id: int
    url: str
    scope: str
    client: str | None
    server: str | None
    reason: str
    requested_by: str | None
    requested_at: datetime
    lifted_by: str | None
    lifted_at: datetime | None
    only_blocks: bool = Field(description="A hold, as after a restore: it blocks trading and stops nothing.")
    outcome: str = Field(description="What had stopped when it was lifted; empty before.")

    @staticmethod
    def resolve_url(stop: EmergencyStop) -> str:
        return f"/emergency-stops/{stop.pk}"

    @staticmethod
    def resolve_client(stop: EmergencyStop) -> str | None:
        return stop.client.name if stop.client else None

    @staticmethod
    def resolve_server(stop: EmergencyStop) -> str | None:
        return stop.server.name if stop.server else None

    @staticmethod
    def resolve_requested_by(stop: EmergencyStop) -> str | None:
        return str(stop.requested_by) if stop.requested_by else None

    @staticmethod
    def resolve_lifted_by(stop: EmergencyStop) -> str | None:
        return str(stop.lifted_by) if stop.lifted_by else None


class StoppedBot(Schema):
    bot: str = Field(description="The URL of the bot.")
    about: str
    state: Literal["stopped", "stopping", "failed"]
    operation: str | None = Field(description="The URL of the newest operation that stops it.")
    error_code: str
    error_message: str
    error_remedy: str
    orders: str = Field(description="What it may have left at its exchange; empty for nothing.")

    @staticmethod
    def of(row: BotRow) -> dict[str, Any]:
        failed = row.operation if row.operation and row.state == "failed" else None
        return {
            "bot": f"/bots/{row.bot.pk}",
            "about": str(row.bot),
            "state": row.state,
            "operation": f"/operations/{row.operation.pk}" if row.operation else None,
            "error_code": failed.error_code if failed else "",
            "error_message": failed.error_message if failed else "",
            "error_remedy": failed.error_remedy if failed else "",
            "orders": row.orders,
        }


class EmergencyStopDetail(EmergencyStopOut):
    stopped: int = Field(description="Bots that have stopped, as far as you may see them.")
    stopping: int = Field(description="Bots that are being stopped.")
    failed: int = Field(description="Bots that could not be stopped yet. The panel keeps trying.")
    bots: list[StoppedBot] = Field(description="Up to 200 of them, those that have not stopped first.")

    @staticmethod
    def of(stop: EmergencyStop, report: Report) -> Any:
        """Return an emergency stop with what has become of its bots."""
        row: Any = stop
        row.stopped, row.stopping, row.failed = report.stopped, report.stopping, report.failed
        row.rows = report.rows
        return row

    @staticmethod
    def resolve_bots(stop: Any) -> list[dict[str, Any]]:
        return [StoppedBot.of(row) for row in stop.rows]


class EmergencyStopPage(Page):
    results: list[EmergencyStopOut]
