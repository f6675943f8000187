"""What the JSON API takes and answers. Secrets are taken, and never answered."""

from typing import Annotated

from ninja import Field, Schema

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


class ProblemKind(Schema):
    code: str
    meaning: str
    remedy: str = Field(alias="default_remedy")
    retryable: bool


class Page(Schema):
    """A page of a list: follow ``next`` and ``previous`` as they are."""

    previous: str | None
    next: str | None
