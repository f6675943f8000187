"""Servers and strategies, as the JSON API answers them."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema

from accounts.models import Server
from bots.models import Strategy


class ServerOut(Schema):
    id: int
    url: str
    name: str
    base_url: str = Field(description="Empty for users who may not change servers.")
    health: str
    reachable: bool | None
    docker_running: bool | None
    mqtt_connected: bool | None
    version: str
    latency_ms: int | None
    checked_at: datetime | None
    next_try: datetime | None = Field(description="When the panel polls it again, if it does not answer.")

    @staticmethod
    def resolve_url(server: Server) -> str:
        return f"/servers/{server.pk}"

    @staticmethod
    def resolve_base_url(server: Server, context: dict[str, Any] | None) -> str:
        # The terminal has no request: its user has access to the host.
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
