"""Addresses that let in anyone who has them. No line of a log and no report of an error shows one whole.

Each is declared where it is routed, by ``secret_path``.
"""

import re
from functools import cache
from typing import Any

from django.urls import URLPattern, path

from hummingbot_api.text import MASK

#: What comes before each secret, as a regular expression.
_beginnings: list[str] = []
_SLASH = "(?:/|%2F)"


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
