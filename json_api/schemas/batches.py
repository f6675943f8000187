"""Batches, as the JSON API takes and answers them."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema
from pydantic import ConfigDict

from json_api.schemas.bots import Decisions
from json_api.schemas.common import Body, Id, Page
from json_api.schemas.operations import Action
from operations.models import Batch, Progress, Reason

BatchAction = Literal[Action, "push"]


class BatchIn(Body):
    """The same operation for many bots. “push” pushes the keys of the bots' clients."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"operation": "redeploy", "client": "Sharp", "options": {"resume": False}}},
    )

    operation: BatchAction
    bots: list[Id] | None = Field(None, description="The numbers of the bots.", max_length=10_000)
    client: str | None = Field(None, description="All bots of the client with this name.")
    server: str | None = Field(None, description="All bots that are defined on the server with this name.")
    options: Decisions | None = Field(None, description="The decisions that the action takes, the same for all.")


class ReasonOut(Schema):
    """What failed, or was not started, for one reason."""

    code: str
    meaning: str
    remedy: str
    count: int
    examples: list[str] = Field(description="Some of them: what each is about.")

    @staticmethod
    def resolve_examples(reason: Reason) -> list[str]:
        return [row.subject_label for row in reason.rows]


class BatchOut(Schema):
    """Operations that were requested at once."""

    id: int
    url: str
    kind: str
    reason: str = Field(description="Why the panel itself requested it; empty otherwise.")
    requested_by: str | None
    requested_at: datetime
    retry_of: str | None = Field(description="The URL of the batch whose failures it repeats.")
    total: int
    counts: dict[str, int] = Field(
        description="Rows by state: queued, running, succeeded, failed, cancelled, and not_started for those for "
        "which no operation could be submitted."
    )

    @staticmethod
    def resolve_url(batch: Batch) -> str:
        return f"/batches/{batch.pk}"

    @staticmethod
    def resolve_requested_by(batch: Batch) -> str | None:
        return str(batch.requested_by) if batch.requested_by else None

    @staticmethod
    def resolve_retry_of(batch: Batch) -> str | None:
        return f"/batches/{batch.retry_of_id}" if batch.retry_of_id else None

    @staticmethod
    def resolve_total(batch: Batch) -> int:
        return sum(batch.counts.values())


class BatchDetail(BatchOut):
    per_minute: float | None = Field(description="Operations that ended per minute; null while none has.")
    seconds_left: float | None = Field(description="Seconds to the end at that rate; null if unknown or ended.")
    failures: list[ReasonOut] = Field(description="What failed, by reason, the most frequent one first.")
    not_started: list[ReasonOut] = Field(description="What could not be submitted, by reason.")

    @staticmethod
    def of(batch: Batch, user: Any) -> Any:
        """Return a batch with its progress and its failures, as far as the user sees them."""
        row: Any = batch
        progress: Progress = batch.progress(user)
        row.per_minute = progress.per_minute
        row.seconds_left = progress.left.total_seconds() if progress.left else None
        row.reasons = batch.failures(user), batch.obstacles(user)
        return row

    @staticmethod
    def resolve_failures(batch: Any) -> list[Reason]:
        return list(batch.reasons[0])

    @staticmethod
    def resolve_not_started(batch: Any) -> list[Reason]:
        return list(batch.reasons[1])


class NotStartedOut(Schema):
    """A bot or client for which no operation could be submitted."""

    about: str = Field(alias="subject_label")
    about_id: int = Field(alias="subject_id")
    error_code: str
    error_message: str
    error_remedy: str


class BatchPage(Page):
    results: list[BatchOut]


class NotStartedPage(Page):
    results: list[NotStartedOut]
