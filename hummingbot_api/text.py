"""The server's messages, made fit to be shown: short, on one line, without secrets."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import category

from hummingbot_api.errors import HummingbotAPIError

MAX_QUOTE = 300
#: How many characters of a server's message are read: it may send megabytes.
MAX_READ = 20_000
#: So many are masked before, that no secret is cut in two and half of it shown.
MAX_MASKED = 5 * MAX_READ

# Reading a server's message takes time in proportion to its length, for any content: none of these starts with, or
# contains, an unbounded repetition that can start anywhere.
_TRACEBACK = "Traceback (most recent call last):"
#: How Pydantic ends a line of a validation error. It repeats the input, truncated: a mask could leave some of it.
PYDANTIC_INPUT = re.compile(r"\[type=\w+, input_value=.*")
#: A color, a movement of the cursor, a window's title. Bounded: a log may consist only of beginnings of these.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,50}[ -/]{0,5}[@-~]|\x1b\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|\x1b[ -/]?[0-Z\\-~]"
)
_PYDANTIC_LINK = re.compile(r"For further information visit \S+")
_PYDANTIC_TITLE = re.compile(r"\d{1,6} validation errors? for \w+\s*")
_PYDANTIC_FIELD = re.compile(r"^(\w\S*)\n {2}(?=\S)", re.MULTILINE)


def error_detail(body: Any) -> str:
    """Return the message in a failure's JSON, without the ``input`` of a ``422``, which echoes the request."""
    words = body.get("detail") or body.get("message") if isinstance(body, Mapping) else body
    if isinstance(words, list):
        return "; ".join(filter(None, map(_field_error, words)))
    return words if isinstance(words, str) else ""


def sanitize(text: str, mask: Callable[[str], str] = str) -> str:
    """Return a server's message on one line, without secrets, whatever its length and type.

    Without a ``mask``, the result is only for evaluation, and must neither be shown nor stored.
    """
    return one_line(mask(strip_invisible(text[:MAX_MASKED]))[:MAX_READ])


def strip_invisible(text: str) -> str:
    """Return the text without what a terminal or a browser obeys instead of showing it: ANSI escape codes, marks that
    turn the direction of writing, characters that can't be seen. Line ends and tabs stay.
    """
    return "".join(filter(_is_shown, _ANSI.sub("", text)))


def _is_shown(character: str) -> bool:
    # Cf: formatting, such as U+200B and the bidirectional marks; Cc: control characters.
    return character in "\n\t" or category(character) not in {"Cf", "Cc"}


def one_line(text: str) -> str:
    """Reduce a traceback to its last line and a Pydantic report to its fields; collapse whitespace."""
    text = text.strip()
    before, begins, trace = text.partition(_TRACEBACK)
    if begins and "\n" in trace:
        text = before + trace.rpartition("\n")[2]
    if _PYDANTIC_TITLE.search(text):
        text = _PYDANTIC_LINK.sub("", PYDANTIC_INPUT.sub("", _PYDANTIC_TITLE.sub("", text)))
        text = _PYDANTIC_FIELD.sub(r"; \1: ", text).lstrip("; ")
    return " ".join(text.split())


def problem(kind: type[HummingbotAPIError], words: str) -> HummingbotAPIError:
    """Create an error of this kind that quotes the server's message, cut to a readable length."""
    if not words:
        return kind()
    return kind(f"{kind.meaning} The server responded: {truncate(words, MAX_QUOTE)}")


def truncate(text: str, longest: int) -> str:
    """``text``, or its beginning where it is longer than that: for a page or a column of so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _field_error(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return ""
    where = entry.get("loc")
    # "body" only means that the field was in the request's body.
    names = [str(part) for part in where if part != "body"] if isinstance(where, list) else []
    return f"{'.'.join(names)}: {entry.get('msg', '')}" if names else str(entry.get("msg", ""))
