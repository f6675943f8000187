"""What the lines of the log are about: the operation, the bot, the client and the server that a thread works for."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

#: What a line may be about, each by its primary key.
ABOUT = ("operation", "bot", "client", "server")

_about: ContextVar[Mapping[str, int]] = ContextVar("log_context", default=MappingProxyType({}))


@contextmanager
def logging_about(**keys: int) -> Iterator[None]:
    """Let every line that this thread logs meanwhile say what it is about, by primary keys.

    Args:
        keys: of ``ABOUT``.
    """
    token = _about.set({**_about.get(), **keys})
    try:
        yield
    finally:
        _about.reset(token)


def about_now() -> dict[str, int]:
    """Return what the lines are about that this thread logs now."""
    return dict(_about.get())


class AboutFilter(logging.Filter):
    """Gives each record what it is about; ``None`` for what it is not."""

    def filter(self, record: logging.LogRecord) -> bool:
        about = about_now()
        for name in ABOUT:
            setattr(record, name, about.get(name))
        return True
