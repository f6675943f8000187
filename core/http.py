"""Addresses: where a request came from, and which page an object calls its own."""

from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest

if TYPE_CHECKING:  # the log asks for addresses before there are models
    from django.contrib.auth.models import User


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address. Each trusted proxy appends the address of its client to ``X-Forwarded-For``;
    anything before that comes from the visitor, and counts for nothing.
    """
    proxies = settings.TRUSTED_PROXIES
    addresses = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < proxies <= len(addresses):
        with suppress(ValueError):
            return str(ip_address(addresses[-proxies].strip()))
    return request.META.get("REMOTE_ADDR") or None


def client_scheme(request: HttpRequest) -> str | None:
    """Return the scheme that the client used, in the words of the outermost trusted proxy: of as many values of
    ``X-Forwarded-Proto`` as there are trusted proxies, counted from the right, the first one. Most proxies replace the
    header instead of appending to it, and leave one value.
    """
    schemes = request.META.get("HTTP_X_FORWARDED_PROTO")
    if schemes is None or not settings.TRUSTED_PROXIES:
        return None
    return str(schemes.split(",")[-settings.TRUSTED_PROXIES :][0]).strip()


def is_row_number(text: str) -> bool:
    """Return whether it can be a row's number, in every database."""
    return text.isdecimal() and len(text) <= 18


def signed_in_user(request: HttpRequest) -> "User":
    """Return the user of a request that only signed-in users can make: the admin and the JSON API see to that."""
    return cast("User", request.user)


def own_page(row: Model) -> str:
    """Return the address of the row's own page; empty when it has none."""
    address = getattr(row, "get_absolute_url", None)
    return str(address()) if address else ""
