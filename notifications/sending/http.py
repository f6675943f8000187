"""Posting to addresses that staff entered: over https, to allowed hosts, once, without recording the address.

A user who may edit channels chooses where the panel's host connects to, see ``hummingbot_api.http.connections``.
Loopback addresses, link-local ones (a hoster's metadata service gives out the machine's own credentials there) and
anything but a single host are blocked. Private networks are allowed: a desk's own chat or alerting is often there. This
allows all other addresses of this machine, which look like its neighbors'.
"""

import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote, unquote_plus, urlsplit

import requests
import urllib3
from django.conf import settings
from requests.utils import requote_uri

from core.problems import Problem
from hummingbot_api.errors import AddressForbidden
from hummingbot_api.http.connections import check_address, guarded_session, limited
from hummingbot_api.masking import mask_secrets
from hummingbot_api.text import MAX_READ, one_line, truncate
from notifications.problems import ChannelBusy, ChannelForbidden, ChannelRefused, ChannelUnreachable

#: Seconds to connect, and to wait for the answer; and for both together.
TIMEOUT = (5, 10)
#: What is so long in an address may be what makes it a secret, and is not quoted.
MIN_PIECE = 8
#: Parts of the addresses of chats that anyone knows.
PATH_WORDS = frozenset({"services", "webhooks", "workflows"})
#: How much of a refusal is quoted, in characters.
MAX_QUOTE = 200


def check_url(url: str) -> None:
    """Check that it is an address to post to. No message quotes it: a webhook's address is its password.

    Raises:
        ChannelForbidden
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ChannelForbidden("The address can't be read. Check its host and port.") from None
    if not host or port == 0 or not url.isprintable() or " " in url or "\\" in url:
        raise ChannelForbidden("This is not a valid webhook address. Enter https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise ChannelForbidden("Remove the username and password from the address.")
    local = settings.NOTIFICATIONS["LOCAL"] and host in {"127.0.0.1", "::1", "localhost"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ChannelForbidden("The address must begin with https://, so that the messages are encrypted.")
    try:
        check_address(host, loopback=bool(settings.NOTIFICATIONS["LOCAL"]))
    except AddressForbidden:
        raise ChannelForbidden from None
    except ValueError:
        pass  # where a name leads is checked with each connection


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
    mask = mask_secrets([*_spellings(url), *secrets])
    with guarded_session() as session:
        try:
            with (
                limited(until=time.monotonic() + sum(TIMEOUT), loopback=bool(settings.NOTIFICATIONS["LOCAL"])),
                session.post(
                    url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
                ) as response,
            ):
                return _problem_in(response, mask)
        except AddressForbidden:
            return ChannelForbidden()
        except requests.exceptions.SSLError:
            return ChannelUnreachable("The receiver's TLS certificate is not valid.")
        except requests.Timeout:
            return ChannelUnreachable("The receiver did not respond in time. It may have received the message.")
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            return ChannelUnreachable(f"Could not connect to {parts.hostname}, or the connection was cut.")


def _spellings(url: str) -> set[str]:
    """Return the path and its parts as a receiver may quote them: as entered, as sent, and decoded."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}"
    pieces = [path, parts.path, *(piece for piece in re.split(r"[/?&=]", path) if _is_secret(piece))]
    return {spell(piece) for piece in pieces for spell in (str, requote_uri, unquote, unquote_plus)}


def _is_secret(piece: str) -> bool:
    return len(piece) >= MIN_PIECE and piece not in PATH_WORDS


def _problem_in(response: requests.Response, mask: Callable[[str], str]) -> Problem | None:
    status = response.status_code
    if 200 <= status < 300:
        return None
    # One piece, as it comes: an endless answer must not block the caller. It may end within a character.
    piece = (
        response.raw.read1(MAX_READ, decode_content=False).decode(errors="replace").rstrip("\N{REPLACEMENT CHARACTER}")
    )
    # Masked before it is cut: of a secret that is cut in two, half would be shown.
    words = truncate(one_line(mask(piece)), MAX_QUOTE)
    output = f"The receiver responded with {status}{f': {words}' if words.isprintable() and words else ''}."
    if status == 429 or status >= 500:
        return ChannelBusy(output, wait=_seconds(response.headers.get("Retry-After", "")))
    return ChannelRefused(output)


def _seconds(retry_after: str) -> int:
    return int(retry_after) if retry_after.isdecimal() else 0
