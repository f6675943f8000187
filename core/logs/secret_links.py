"""Addresses that let in anyone who has them. No line of a log and no report of an error shows one whole.

Each is declared where it is routed, by ``secret_path``.
"""

import re
from functools import cache
from typing import Any

from django.urls import URLPattern, path

from hummingbot_api.masking import MASK

#: How each of them begins, as a regular expression.
_beginnings: list[str] = []


def secret_path(route: str, view: Any, *, name: str) -> URLPattern:
    """Return the pattern of an address whose last parameter is a secret. All that follows its first part is masked.

    Args:
        route: from the root of the site, as ``path`` takes it.
    """
    _beginnings.append(_spelled(f"/{route}".partition("<")[0]))
    _pattern.cache_clear()
    return path(route, view, name=name)


def is_secret_link(path: str) -> bool:
    return without_secret_links(path) != path


def _spelled(text: str) -> str:
    """Return a regular expression for a part of an address, each letter plain or percent-encoded, also repeatedly."""
    letters = (rf"(?:{re.escape(letter)}|%(?:25)*{ord(letter):02X})" for letter in text)
    return "".join(f"{letter}+" if of == "/" else letter for letter, of in zip(letters, text, strict=True))


def without_secret_links(text: str) -> str:
    """Mask everything that follows the beginning of such an address."""
    return _pattern().sub(rf"\1{MASK}", text) if _beginnings else text


@cache
def _pattern() -> re.Pattern[str]:
    # Below the admin, there are other pages with such names.
    inside = "(?<!/admin)(?<!%2Fadmin)"
    # A link that was broken over two lines has a blank in it, one that was copied with its quotes those: also behind a
    # first parameter, which is a short one.
    first = rf"(?:[^/\s]{{1,20}}\s?{_spelled('/')})?"
    blank, rest = r"[\s\"'<>]+", r"[^\s\"'<>]"
    # And where it was broken in the secret itself, what goes on like one does.
    more = rf"(?:{blank}{rest}{{1,4}})*{blank}(?=[\w/%-]*\d)[\w/%-]{{8,}}{rest}*"
    return re.compile(
        rf"{inside}({'|'.join(_beginnings)}){first}(?:{blank})?{rest}+(?:{more})*",
        re.IGNORECASE,
    )
