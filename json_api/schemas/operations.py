"""Operations and their steps, as the JSON API answers them."""

from datetime import datetime
from typing import Any, Literal

from django.db import models
from ninja import Field, Schema

from json_api.schemas.common import Page
from operations.models import Operation

#: What can be requested of a bot.
Action = Literal[
    "deploy",
    "redeploy",
    "start",
    "stop",
    "recover",
    "pause",
    "resume",
    "apply_settings",
    "archive",
    "refresh",
    "check",
]


class StepOut(Schema):
    key: str
    title: str
    state: str
    detail: str
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None


class OperationOut(Schema):
    """An action of the panel on a server."""

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
    waiting_for: str = Field(alias="awaits", description="What its current step waits for; empty when nothing.")
    waiting_until: datetime | None = Field(alias="awaits_until", description="When it stops waiting for that.")
    requested_by: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @staticmethod
    def rows(operations: models.QuerySet[Operation]) -> models.QuerySet[Operation]:
        """Return the rows with their related rows, in a constant number of queries."""
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


class OperationPage(Page):
    results: list[OperationOut]


class OperationEvent(Schema):
    """An operation has ended."""

    type: Literal["operation.succeeded", "operation.failed", "operation.cancelled"]
    timestamp: datetime = Field(description="When the operation ended.")
    data: OperationOut
