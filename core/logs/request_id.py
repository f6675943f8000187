"""The id of the request that is being answered, or that requested the operation which is being carried out."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Characters of an id at most.
LONGEST = 80

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """Return the id; empty outside of any request."""
    return _current.get()


@contextmanager
def request_id_is(value: str) -> Iterator[None]:
    """Have this id in every line that is logged inside."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)
