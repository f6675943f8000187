"""Who acts now: the person behind a request or a command. What a worker does, the panel does by itself.

What lower apps do that no saved row shows is recorded by ``note``; the app ``audit`` listens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import models
from django.dispatch import Signal
from django.http import HttpRequest


class Door(StrEnum):
    """Where an act came in."""

    PAGES = "pages"
    API = "api"
    TERMINAL = "terminal"
    #: What it does by itself: by a policy, by the clock, or when an operation ends.
    PANEL = "panel"


@dataclass
class Actor:
    """Who acts.

    Attributes:
        request: of a page or of the JSON API. Its user is only known once it was let in.
        recorded: the rows that this request or command has changed, as the trail has them.
        emergency_stops: those that are in force, once a request has read them.
    """

    door: Door
    request: HttpRequest | None = None
    recorded: set[tuple[str, str]] = field(default_factory=set)
    emergency_stops: list[Any] | None = None


_current: ContextVar[Actor | None] = ContextVar("actor", default=None)

#: Sent with ``subject``, ``verb`` and ``detail``.
noted = Signal()
#: Sent with ``subject`` and ``detail``.
refused = Signal()

#: The verb of what shows a secret in an answer, and never again.
SHOWN_ONCE = "showed a secret once"


@contextmanager
def acting(actor: Actor) -> Iterator[Actor]:
    token = _current.set(actor)
    try:
        yield actor
    finally:
        _current.reset(token)


def current_actor() -> Actor | None:
    return _current.get()


def note(subject: models.Model | None, verb: str, detail: str = "") -> None:
    """Record what was done besides saving a row, such as “acknowledged” or “exported”."""
    noted.send(sender=type(subject), subject=subject, verb=verb, detail=detail)


def note_refusal(subject: models.Model, detail: str) -> None:
    """Record that something was refused which its owner would want to know of: once in a while for each address."""
    refused.send(sender=type(subject), subject=subject, detail=detail)
