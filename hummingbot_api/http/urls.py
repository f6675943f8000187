"""Addresses: the base URL of a server, the paths below it."""

import ipaddress
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from hummingbot_api.errors import InvalidBaseURL


def check_base_url(url: str) -> str:
    """Return the base URL in one form: ``https://host[:port]``, in lower case, without a trailing slash or a default
    port.

    No message quotes the URL, because it may contain a password.

    Raises:
        InvalidBaseURL: anything but http or https, a host and perhaps a port.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise InvalidBaseURL("The base URL can't be read. Check its host and port.") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidBaseURL("The base URL must begin with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        raise InvalidBaseURL("Remove the username and password from the base URL. They have fields of their own.")
    # A dot that is written in percents is none to what reads the address here, and one to what calls it.
    in_percents = "%" in host and ":" not in host
    if not host or port == 0 or in_percents or "\\" in url or not url.isprintable() or " " in url:
        raise InvalidBaseURL("Enter a valid host in the base URL, and a port from 1 to 65535 if it has one.")
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        raise InvalidBaseURL("Remove everything after the host and port from the base URL: no path, no “?” and no “#”.")
    default_port = ":443" if parts.scheme == "https" else ":80"
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(default_port)}"


#: Suffixes of names that can't exist on the internet.
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


def is_readable_by_others(base_url: str) -> bool:
    """Return whether others could read a login and keys sent to this base URL: by http, and to a public host."""
    parts = urlsplit(base_url)
    return parts.scheme == "http" and is_public(parts.hostname or "")


def is_public(host: str) -> bool:
    """Return whether the way to a host leads through the internet, as far as its address or name shows. Names are not
    resolved; one without a dot is of a private network.
    """
    with suppress(UnicodeError):
        # As it is looked up: other alphabets have dots and digits of their own.
        host = host.encode("idna").decode().rstrip(".")
    try:
        address: Any = _address(host)
        # These two lead through the internet to the IPv4 address in them.
        return bool(address.is_global or getattr(address, "sixtofour", None) or getattr(address, "teredo", None))
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_NAMES)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # also 134744072, which is 8.8.8.8
    except OSError:
        return ipaddress.ip_address(host)


def path(*parts: str) -> str:
    """Join the parts to a path, each percent-encoded as a whole: ``path("a", "b/c")`` is ``/a/b%2Fc``."""
    return "/" + "/".join(quote(part, safe="") for part in parts)
