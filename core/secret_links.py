"""Addresses that let in anyone who has them. No line of a log and no report of an error shows one whole.

Each is declared where it is routed, by ``secret_path``. No line of the log is anyone else's either: see ``LogRecord``.
"""

import logging
import re
import textwrap
from functools import cache
from typing import Any

from django.urls import URLPattern, path

from hummingbot_api.text import MASK

#: What comes before each secret, as a regular expression.
_beginnings: list[str] = []
_SLASH = "(?:/|%2F)"
#: What a terminal or a collector of logs takes for the end of a line, or for a command.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def secret_path(route: str, view: Any, *, name: str) -> URLPattern:
    """Return the pattern of an address whose last parameter is a secret.

    Args:
        route: from the root of the site, as ``path`` takes it.
    """
    parts = re.split(r"<[^>]+>", f"/{route}".rpartition("<")[0])
    beginning = rf"(?:(?!{_SLASH})\S)+".join(map(re.escape, parts))
    _beginnings.append(beginning.replace("/", f"{_SLASH}+"))
    _pattern.cache_clear()
    return path(route, view, name=name)


def without_secret_links(text: str) -> str:
    """Mask everything that follows the beginning of such an address."""
    return _pattern().sub(rf"\1{MASK}", text) if _beginnings else text


@cache
def _pattern() -> re.Pattern[str]:
    # Below the admin, there are other pages with such names.
    inside = "(?<!/admin)(?<!%2Fadmin)"
    return re.compile(rf"{inside}({'|'.join(_beginnings)})[^\s\"'<>]+", re.IGNORECASE)


class LogRecord(logging.LogRecord):
    """What is logged, by anything in this process, for any handler: without such addresses, and in one line, whatever
    the names of clients and servers have in them.
    """

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        return escaped(without_secret_links(super().getMessage()))

    @property
    def exc_text(self) -> str | None:
        """The stack trace, which ends with the error's message: each of its lines is indented, as no other line is."""
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        if text:
            lines = without_secret_links(text).split("\n")
            text = textwrap.indent("\n".join(map(escaped, lines)), "  ", lambda line: True)
        self._exc_text = text


def escaped(text: str) -> str:
    """Return a text as one line that is safe to print."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
