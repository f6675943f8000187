"""Reads what is sent."""

import json
from typing import Any, TypeVar

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import BaseModel

from core.input.strict_json import read_json
from hummingbot_api.text import truncate
from json_api.problems import BodyUnreadable, ContentTypeRefused

JSON = "application/json"
Model = TypeVar("Model", bound=BaseModel)


def require_json(request: HttpRequest) -> None:
    """
    Raises:
        ContentTypeRefused: there is a body of another type, or of none.
        BodyUnreadable: its length is not known.
    """
    if "Transfer-Encoding" in request.headers and not request.headers.get("Content-Length"):
        # Django reads none of it: what the call does would not depend on what was sent.
        raise BodyUnreadable("The body was sent in chunks, without a Content-Length.")
    if request.content_type == JSON or not request.body:
        return
    sent = truncate(request.headers.get("Content-Type", ""), 100)
    raise ContentTypeRefused(
        f"The body was sent with “Content-Type: {sent}”." if sent else "The body was sent without a Content-Type."
    )


def validate_strictly(model: type[Model], value: Any, **options: Any) -> Model:
    """Return what was read from JSON as this model. Each value must have the JSON type that its schema names.

    Raises:
        ValidationError: pydantic's.
    """
    # As JSON: strict with Python's objects, pydantic would take no text for an enum, a time or a UUID.
    return model.model_validate_json(json.dumps(value), strict=True, **options)


class StrictParser(Parser):
    """Takes what every database can store, and what can be meant in one way only.

    Raises:
        ContentTypeRefused
        ValidationError: which ninja answers as a body that can't be read.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        require_json(request)
        return read_json(request.body)
