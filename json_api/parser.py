"""Reads what is sent. Python takes more for JSON than there is: numbers that are none, text that can't be stored."""

import json
from math import isfinite
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser


class StrictParser(Parser):
    """Takes what every database can store.

    Raises:
        ValueError: which ninja answers as a body that can't be read.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        body = json.loads(request.body, parse_constant=_number, parse_float=_number)
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        return body


def _number(text: str) -> float:
    """A number that has an end: neither NaN nor Infinity, nor 1e999, which becomes it."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number
