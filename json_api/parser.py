"""Reads what is sent."""

from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from core.strict_json import read_json


class StrictParser(Parser):
    """Takes what every database can store, and what can be meant in one way only.

    Raises:
        ValidationError: which ninja answers as a body that can't be read.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        return read_json(request.body)
