"""The server's messages, made fit to be shown: short, on one line, without secrets."""

import html
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from string import punctuation, whitespace
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

#: So much of a secret is masked before the end of a text, which may have been cut there, and behind an ellipsis.
MIN_CUT = 8

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
#: What is left out of a text, with the quotes and brackets around it.
_ELLIPSIS = re.compile(r"""[\s"'\[(<]{0,2}(?:…|\.{3,}|\\u2026|&hellip;)[\s"'\])>]{0,2}""", re.IGNORECASE)
#: What may stand behind the last word of a text.
_CLOSING = f"{whitespace}\"'`”])}}>.,;"
#: A word may begin behind it, although its last character could be the word's.
_ESCAPE = re.compile(r"(?:%(?:25){0,2}[0-9a-f]{2}|\\(?:[abfnrtv]|x[0-9a-f]{2}|u[0-9a-f]{4}))\Z", re.IGNORECASE)
LONGEST_ESCAPE = 7
_PYDANTIC_LINK = re.compile(r"For further information visit \S+")
_PYDANTIC_TITLE = re.compile(r"\d{1,6} validation errors? for \w+\s*")
_PYDANTIC_FIELD = re.compile(r"^(\w\S*)\n {2}(?=\S)", re.MULTILINE)


def mask_secrets(secrets: Iterable[object]) -> Callable[[str], str]:
    """Return a function that replaces every secret in a text, also when it is URL-encoded or escaped.

    A secret is masked only as a whole: within another word, the rest of the word would reveal it. Where a text was cut,
    in it or at its end, what is left of a secret there is masked, too. The caller decides what is a secret: see
    ``secret_values``.
    """
    forms = {_lower(form) for secret in _texts(secrets) for form in _spellings(secret) if len(form) >= MIN_SECRET}
    # By these few characters, a text is compared with any number of secrets at once.
    by_start: dict[str, list[str]] = {}
    by_end: dict[str, list[str]] = {}
    for form in forms:
        by_start.setdefault(form[:MIN_SECRET], []).append(form)
        by_end.setdefault(form[-MIN_SECRET:], []).append(form)
    beginnings_and_ends = {tuple(part) for part in (*by_start, *by_end)}

    def mask(text: str) -> str:
        lower = _lower(text)
        # Most lines of a log have none, which takes as long to see for a thousand secrets as for one.
        has_none = beginnings_and_ends.isdisjoint(zip(*(lower[at:] for at in range(MIN_SECRET)), strict=False))
        return text if has_none else _mask(text, lower, by_start, by_end)

    return mask


def _mask(text: str, lower: str, by_start: Mapping[str, list[str]], by_end: Mapping[str, list[str]]) -> str:
    gaps = [gap.span() for gap in _ELLIPSIS.finditer(text)]
    spans = {*_from_start(text, lower, [start for start, _ in gaps], by_start)}
    if gaps:
        spans.update(_from_gap(text, lower, [end for _, end in gaps], by_end))
    shown, read = [], 0
    for start, end in sorted(spans):
        if start >= read:
            shown += [text[read:start], MASK]
        read = max(read, end)
    return "".join([*shown, text[read:]])


def _from_start(text: str, lower: str, cuts: list[int], by_start: Mapping[str, list[str]]) -> Iterator[tuple[int, int]]:
    """Yield where secrets are, whole or up to where the text was cut."""
    ends = len(text.rstrip(_CLOSING))
    for i in [i for i in range(len(text) - MIN_SECRET + 1) if lower[i : i + MIN_SECRET] in by_start]:
        at = bisect_left(cuts, i + MIN_SECRET)
        cut = cuts[at] if at < len(cuts) else ends
        for form in by_start[lower[i : i + MIN_SECRET]]:
            if lower.startswith(form, i) and _is_separate(text, i, i + len(form)):
                yield i, i + len(form)
            if i + len(form) < cut:
                continue
            part = lower[i:cut]
            # Without an ellipsis, a secret's first word at the end is one that was not cut.
            may_be_cut = at < len(cuts) or (len(part) >= MIN_CUT and not _is_word_of(form, len(part)))
            if may_be_cut and form.startswith(part) and _is_separate(text, i, cut):
                yield i, cut


def _from_gap(text: str, lower: str, resumed: list[int], by_end: Mapping[str, list[str]]) -> Iterator[tuple[int, int]]:
    """Yield where the ends of secrets are whose beginnings were cut out of the text."""
    for end in [end for end in range(MIN_CUT, len(text) + 1) if lower[end - MIN_SECRET : end] in by_end]:
        at = bisect_right(resumed, end - MIN_CUT)
        start = resumed[at - 1] if at else end
        for form in by_end[lower[end - MIN_SECRET : end]]:
            if end - len(form) < start < end and form.endswith(lower[start:end]) and _is_separate(text, start, end):
                yield start, end


def _is_separate(text: str, start: int, end: int) -> bool:
    """Return whether that part of a text is no part of a word, or so long that no word has it."""
    if end - start >= MIN_SECRET_ANYWHERE and re.search(r"\d", text[start:end]):
        return True
    before, part, after = text[max(0, start - LONGEST_ESCAPE) : start], text[start:end], text[end : end + 1]
    is_inside = _is_of_words(part[0]) and _is_of_words(before[-1:]) and not _ESCAPE.search(before)
    return not is_inside and not (_is_of_words(part[-1]) and _is_of_words(after))


def _is_word_of(form: str, length: int) -> bool:
    """Return whether a secret begins with a whole word, of so many characters."""
    return form[:length].strip(punctuation).isalpha() and not form[length - 1 : length + 1].isalnum()


def _lower(text: str) -> str:
    """Return it in small letters, of which each is at its capital's place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


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
        quote(quote(secret, safe=""), safe=""),
        html.escape(secret),
    }
    slashes = ("\\/", "\\u002F", "&#x2F;")  # as PHP, JavaScript and templates spell them
    return spellings.union(form.replace("/", slash) for form in spellings for slash in slashes) - {""}
