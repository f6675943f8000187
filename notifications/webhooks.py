"""Posting to addresses that staff entered: over https, to where it may go, once, without a trace of the address.

Whoever may edit channels chooses where the panel's host connects to. So the address that a name leads to is checked
after the connection was made and before a byte is sent, which no change of the name in between gets around. Refused are
the host itself, link-local addresses (a hoster's metadata service gives out the host's own credentials there) and what
is no single host. Private networks are allowed: a desk's own chat or alerting is often there.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from hummingbot_api.errors import Problem
from hummingbot_api.words import masker, one_line
from notifications.problems import ChannelBusy, ChannelForbidden, ChannelRefused, ChannelUnreachable

#: Seconds to connect, and to wait for the answer.
TIMEOUT = (5, 10)
#: What is so long in an address may be what makes it a secret, and is not quoted.
SHORTEST_PIECE = 8
#: How much of a refusal is quoted, in characters.
LONGEST_QUOTE = 200


def check_url(url: str) -> None:
    """Is it an address to post to? No message quotes it: a webhook's address is its password.

    Raises:
        ChannelForbidden
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ChannelForbidden("The address can't be read: check its host and port.") from None
    if not host or port == 0 or not url.isprintable() or " " in url or "\\" in url:
        raise ChannelForbidden("This is not the address of a webhook: it begins with https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise ChannelForbidden("The address must not hold a username or password.")
    local = settings.NOTIFICATIONS["LOCAL"] and host in {"127.0.0.1", "::1", "localhost"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ChannelForbidden("The address must begin with https://, so that nobody on the way reads the messages.")
    with suppress(ValueError):  # of a name: where it leads is checked with each connection
        _check_ip(host)


def _check_ip(address: str) -> None:
    """May messages go to this address?

    Raises:
        ChannelForbidden: no.
        ValueError: it is no IP address.
    """
    ip: Any = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback and settings.NOTIFICATIONS["LOCAL"]:
        return
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip in _METADATA:
        raise ChannelForbidden


#: Metadata services at addresses that are not link-local: of AWS over IPv6, of Alibaba Cloud.
_METADATA = {ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")}


class _Guard:
    """Mixed into a connection: looks where it led, before anything is sent."""

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()  # type: ignore[misc]
        try:
            _check_ip(connected.getpeername()[0])
        except ChannelForbidden:
            connected.close()
            raise
        return connected


class _GuardedHTTP(_Guard, HTTPConnection):
    pass


class _GuardedHTTPS(_Guard, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def post(url: str, body: bytes, *, headers: Mapping[str, str] | None = None, secrets: tuple[str, ...] = ()) -> None:
    """Post ``body``, JSON, once. A redirect is not followed: it could lead anywhere.

    Args:
        secrets: what must not be quoted from the answer, besides the address.

    Raises:
        ChannelForbidden, ChannelUnreachable, ChannelBusy, ChannelRefused
    """
    check_url(url)
    # Raised in here and not where it was met: there it would carry along the exception of requests, and the address.
    if problem := _try_to_post(url, body, {"Content-Type": "application/json", **(headers or {})}, secrets):
        raise problem


def _try_to_post(url: str, body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...]) -> Problem | None:
    parts = urlsplit(url)
    pieces = [piece for piece in re.split(r"[/?&=]", f"{parts.path}?{parts.query}") if len(piece) >= SHORTEST_PIECE]
    mask = masker([url, parts.path, *pieces, *secrets])
    with requests.Session() as session:
        session.trust_env = False  # a proxy would decide where it goes, a .netrc would add a password
        session.mount("https://", _GuardedAdapter())
        session.mount("http://", _GuardedAdapter())
        try:
            with session.post(
                url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                return _problem_in(response, mask)
        except ChannelForbidden:
            return ChannelForbidden()
        except requests.exceptions.SSLError:
            return ChannelUnreachable("The receiver's TLS certificate is not valid.")
        except requests.Timeout:
            return ChannelUnreachable("The receiver did not answer in time; it may have got the message.")
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            return ChannelUnreachable(f"There was no connection to {parts.hostname}, or it was cut.")


def _problem_in(response: requests.Response, mask: Callable[[str], str]) -> Problem | None:
    status = response.status_code
    if 200 <= status < 300:
        return None
    # One piece, as it comes: nobody has to wait for the rest of an endless answer.
    words = one_line(mask(response.raw.read1(LONGEST_QUOTE, decode_content=False).decode(errors="replace")))
    said = f"The receiver answered {status}{f': {words}' if words.isprintable() and words else ''}."
    if status == 429 or status >= 500:
        return ChannelBusy(said, wait=_seconds(response.headers.get("Retry-After", "")))
    return ChannelRefused(said)


def _seconds(retry_after: str) -> int:
    return int(retry_after) if retry_after.isdecimal() else 0
