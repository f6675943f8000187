"""Connections to addresses that staff entered: where they may lead, and how long and how large an answer may be.

A user who may edit servers or channels chooses where the panel's host connects to. So this module resolves the name,
checks the address, and connects to the same address: a change of the name in between can't bypass the check.

The host may be broken or hostile. The timeouts of requests restart with every byte, and requests reads and unzips
without bound: here the whole answer, its headers included, has one deadline and one largest size.
"""

import io
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from hummingbot_api.errors import AddressForbidden

#: Bytes of an answer, before and after unzipping. The largest request is for a month of hourly balances: 744 times 100
#: bytes for each token, of which some accounts have hundreds.
MAX_SIZE = 20_000_000
#: Bytes that are read at a time.
PIECE = 64 * 1024

#: Where hosters give out a machine's own credentials, at addresses that are not link-local: AWS, Akamai (Linode),
#: Alibaba Cloud, Azure, Google Cloud, Oracle Cloud, Scaleway.
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:a9fe:a9fe::1",
            "100.100.100.200",
            "fd00:100::100:200",
            "168.63.129.16",
            "fd20:ce::254",
            "192.0.0.192",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
        ),
    )
)
#: What a network without IPv4 puts in front of an IPv4 address (NAT64).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def check_address(address: str, *, loopback: bool) -> None:
    """May the panel connect to this address? To every single host, private networks included, but to no link-local
    address, no metadata service, and none that hides an IPv4 address in a tunnel of long ago (6to4, Teredo).

    Args:
        loopback: whether also to the panel's own machine.

    Raises:
        AddressForbidden: no.
        ValueError: it is no IP address.
    """
    ip: Any = ipaddress.ip_address(address.partition("%")[0])
    if ip in _NAT64:
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback and loopback:
        return
    is_tunnelled = getattr(ip, "sixtofour", None) or getattr(ip, "teredo", None)
    is_no_host = ip.is_multicast or ip.is_unspecified or ip.is_reserved
    if ip.is_loopback or ip.is_link_local or ip in _METADATA or is_tunnelled or is_no_host:
        raise AddressForbidden(sent=False)


class AnswerTooLarge(urllib3.exceptions.HTTPError):
    """More than ``MAX_SIZE`` bytes; the rest was not read."""


@dataclass(frozen=True)
class _Limits:
    until: float
    loopback: bool
    before_sending: Callable[[], None]


_limits: ContextVar[_Limits] = ContextVar("limits")


@contextmanager
def limited(*, until: float, loopback: bool, before_sending: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Around a request of a guarded session, and the reading of its answer.

    Within, besides what ``requests`` raises: ``AddressForbidden``, ``AnswerTooLarge``, and its timeouts also when the
    answer is not complete in time.

    Args:
        until: when the whole answer has to be there, on ``time.monotonic``'s clock. The time in which a name is
            resolved is the system's to limit.
        loopback: see ``check_address``.
        before_sending: called when a new connection is there, and nothing was sent over it yet.
    """
    token = _limits.set(_Limits(until, loopback, before_sending))
    try:
        yield
    finally:
        _limits.reset(token)


def guarded_session() -> requests.Session:
    """Return a session for use within ``limited``. It repeats nothing, and reads nothing from the environment: a proxy
    would decide where requests go, a ``.netrc`` would replace the login.
    """
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _Adapter())
    session.mount("http://", _Adapter())
    return session


def content_of(response: requests.Response) -> bytes:
    """Return the body of a response that was requested with ``stream=True``, unzipped.

    Raises:
        AnswerTooLarge
    """
    content = bytearray()
    for piece in response.iter_content(PIECE):
        content += piece
        if len(content) > MAX_SIZE:
            raise AnswerTooLarge
    return bytes(content)


class _LimitedFile(io.RawIOBase):
    """What comes from a socket, up to the limits: also within a line that never ends."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._until = until
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        patience = self._sock.gettimeout()
        if patience is None or left < patience:
            self._sock.settimeout(left)
        count = self._file.readinto(buffer)
        self._count += count or 0
        if self._count > MAX_SIZE:
            raise AnswerTooLarge
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _LimitedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_LimitedFile(sock, _limits.get().until))


class _Guarded:
    """Mixed into a connection."""

    def _new_conn(self: Any) -> socket.socket:
        name, patience = self._dns_host, self.timeout
        failure: Exception | None = None
        try:
            for address in self._resolved():
                check_address(address, loopback=_limits.get().loopback)
                if (left := _limits.get().until - time.monotonic()) <= 0:
                    break
                self._dns_host, self.timeout = address, min(patience, left)
                try:
                    return super()._new_conn()  # type: ignore[misc]
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failure = error
        finally:
            self._dns_host, self.timeout = name, patience
        raise failure or ConnectTimeoutError(self, "The time limit was reached before a connection was made.")

    def _resolved(self: Any) -> list[str]:
        host = self._dns_host.strip("[]")
        try:
            found = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error
        except UnicodeError:
            raise LocationParseError(host) from None
        return [str(socket_address[0]) for *_, socket_address in found]

    def connect(self: Any) -> None:
        super().connect()  # type: ignore[misc]
        _limits.get().before_sending()


class _HTTP(_Guarded, HTTPConnection):
    response_class = _LimitedResponse


class _HTTPS(_Guarded, HTTPSConnection):
    response_class = _LimitedResponse


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
