"""What the JSON API takes and answers. Secrets are taken, and never answered."""

from typing import Annotated

from ninja import Field, Schema
from pydantic import BaseModel, ConfigDict

#: A row's number, as every database can hold it.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Body(BaseModel):
    """What a call takes in its body.

    It is none of ninja's schemas: those make Python's objects of JSON before it is checked, see ``validate_strictly``.
    """

    model_config = ConfigDict(extra="forbid")


class Waiting(Schema):
    wait: float = Field(
        20,
        ge=0,
        le=25,
        description="Seconds to wait for the operation's end before the API returns 202. Some routers cut "
        "requests at 30.",
    )


class FieldError(Schema):
    field: str
    message: str


class ProblemOut(Schema):
    """An error in the format of RFC 9457, with the panel's own code and remedy."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    retryable: bool = Field(description="Whether the same request may succeed later without any change.")
    request_id: str = Field(description="Identifies the request in the panel's log.")
    errors: list[FieldError] = Field([], description="Every field that is not valid.")
    operation: str | None = Field(None, description="The URL of the related operation.")
    bot: str | None = Field(None, description="The URL of the related bot.")


class ProblemKind(Schema):
    code: str
    meaning: str
    remedy: str = Field(alias="default_remedy")
    retryable: bool


class Page(Schema):
    """A page of a list: follow ``next`` and ``previous`` as they are."""

    previous: str | None
    next: str | None
