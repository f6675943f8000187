"""The server's messages, made fit to be shown: short, on one line, without secrets."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unicodedata import category
from urllib.parse import quote, quote_plus

from hummingbot_api.errors import HummingbotAPIError

MASK = "•••"
MAX_QUOTE = 300
#: Shorter texts are no secrets: masking them would hide words.
MIN_SECRET = 4
#: A secret of so many characters, which no word has, is masked within others too: in a URL, between other secrets.
MIN_SECRET_ANYWHERE = 16
#: A line of a secret of several, such as a private key in a file, is a secret from this length on.
MIN_SECRET_LINE = 8

#: How many characters of a server's message are read: it may send megabytes.
MAX_READ = 20_000
#: So many are masked before, that no secret is cut in two and half of it shown.
MAX_MASKED = 5 * MAX_READ

# Reading a server's message takes time in proportion to its length, for any content: none of these starts with, or
# contains, an unbounded repetition that can start anywhere.
_TRACEBACK = "Traceback (most recent call last):"
#: How Pydantic ends a line of a validation error. It repeats the input, truncate: no mask would match it.
_PYDANTIC_INPUT = re.compile(r"\[type=\w+, input_value=.*")
#: A color, a movement of the cursor, a window's title. Bounded: a log may consist only of beginnings of these.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,50}[ -/]{0,5}[@-~]|\x1b\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|\x1b[ -/]?[0-Z\\-~]"
)
_PYDANTIC_LINK = re.compile(r"For further information visit \S+")
_PYDANTIC_TITLE = re.compile(r"\d{1,6} validation errors? for \w+\s*")
_PYDANTIC_FIELD = re.compile(r"^(\w\S*)\n {2}(?=\S)", re.MULTILINE)


def mask_secrets(secrets: Iterable[object]) -> Callable[[str], str]:
    """Return a function that replaces every secret in a text, also when it is URL-encoded or escaped.

    A secret is masked only as a whole: within another word, the rest of the word would reveal it. At the end of a text,
    its beginning is masked, too: who wrote or sent the text may have cut it there. The caller decides what is a secret:
    see ``secret_values``.
    """
    forms = {form for secret in _texts(secrets) for form in _spellings(secret) if len(form) >= MIN_SECRET}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(map(_as_a_whole, sorted(forms, key=len, reverse=True))), re.IGNORECASE)
    return lambda text: pattern.sub(MASK, _mask_cut(text, forms))


def _as_a_whole(form: str) -> str:
    if _is_masked_anywhere(form):
        return re.escape(form)
    before, after = (r"(?<!\w)" if _is_of_words(form[0]) else ""), (r"(?!\w)" if _is_of_words(form[-1]) else "")
    return f"{before}{re.escape(form)}{after}"


def _mask_cut(text: str, forms: Iterable[str]) -> str:
    """Mask the beginning of a secret with which the text ends, of several the longest."""
    shown = text.rstrip().removesuffix("…").removesuffix("...")
    starts = (start for form in forms if (start := _start_of_cut(shown, form)) is not None)
    start = min(starts, default=None)
    return text if start is None else shown[:start] + MASK + text[len(shown) :]


def _start_of_cut(text: str, form: str) -> int | None:
    form = form.lower()
    offset = max(0, len(text) - len(form))
    tail = text[offset:].lower()
    start = tail.find(form[:MIN_SECRET])
    while start >= 0:
        is_whole_word = not (_is_of_words(form[0]) and _is_of_words(text[: offset + start][-1:]))
        if form.startswith(tail[start:]) and (is_whole_word or _is_masked_anywhere(form)):
            return offset + start
        start = tail.find(form[:MIN_SECRET], start + 1)
    return None


def _is_masked_anywhere(form: str) -> bool:
    return len(form) >= MIN_SECRET_ANYWHERE and re.search(r"\d", form) is not None


def _is_of_words(character: str) -> bool:
    return character.isalnum() or character == "_"


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
        text = _PYDANTIC_LINK.sub("", _PYDANTIC_INPUT.sub("", _PYDANTIC_TITLE.sub("", text)))
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


def _texts(values: Iterable[object]) -> Iterator[str]:
    """Yield every text in ``values``, however deep, and each of its lines: a PEM key may be quoted in part."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)
        elif value is not None and not isinstance(value, bool):
            yield str(value)
            yield from (line for line in str(value).splitlines() if len(line) >= MIN_SECRET_LINE)


def _spellings(secret: str) -> set[str]:
    secret = secret.strip()
    spellings = {
        secret,
        " ".join(secret.split()),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    }
    return spellings - {""}
