"""One request and its answer: connections, timeouts, retries, and what others than the API answer."""

import html
import logging
import math
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from http.client import HTTPException, RemoteDisconnected
from socket import gaierror
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from hummingbot_api.errors import (
    AddressForbidden,
    HummingbotAPIError,
    NotFound,
    RequestRejected,
    ServerFailed,
    ServerTimedOut,
    ServerUnreachable,
    TLSFailed,
    TunnelBackendDown,
    TunnelError,
    TunnelInterstitial,
    TunnelOffline,
    UnexpectedAnswer,
    WrongPassword,
)
from hummingbot_api.http.connections import MAX_SIZE, AnswerTooLarge, content_of, guarded_session, limited
from hummingbot_api.http.urls import check_base_url
from hummingbot_api.masking import mask_secrets
from hummingbot_api.reading import storable, storable_json
from hummingbot_api.secret_values import login_secrets, secrets_in
from hummingbot_api.server_faults import NotSupportedByServer, server_fault
from hummingbot_api.text import error_detail, problem, sanitize

logger = logging.getLogger("hummingbot_api")

HEADERS = {
    "Accept": "application/json",
    # Without it a free ngrok tunnel answers with its warning page for browsers.
    "ngrok-skip-browser-warning": "true",
}
#: Seconds before the first, second, ... retry of a read.
BACKOFF = (0.2, 0.5, 1.0, 2.0)
RETRIED_STATUSES = {502, 503, 504}
#: Values, roughly, in the JSON of an answer: fifty times the largest answer in memory could be made of empty ones.
MAX_VALUES = 1_000_000
TIMED_OUT = "The server was too slow: the time limit for all its requests was reached."

#: The answers of the server's framework, as opposed to the server's own, which name what was not found.
_NO_ROUTE = ({"detail": "Not Found"}, {"detail": "Method Not Allowed"})
_TUNNEL_CODE = re.compile(r"ERR_NGROK_\d+")
_TUNNEL_ERRORS: dict[str, type[TunnelError]] = {
    "ERR_NGROK_3200": TunnelOffline,
    "ERR_NGROK_6024": TunnelInterstitial,
    "ERR_NGROK_8012": TunnelBackendDown,
}
#: ngrok's warning page in the versions that do not show its code.
_INTERSTITIAL = re.compile(r"You are about to visit|cdn\.ngrok\.com/static", re.IGNORECASE)
#: Bounded, because a page may be made of nothing but such beginnings.
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,500})(<?)", re.IGNORECASE)


class Answer:
    """The API's own answer, a result or a rejection.

    Attributes:
        status: the HTTP status.
        plain: whether the body is not JSON: the server crashed (``Internal Server Error``).
        raw: what ``words`` says, unmasked. It decides what the answer means, and is never shown or stored.
    """

    def __init__(self, status: int, body: Any, words: str, mask: Callable[[str], str], plain: bool) -> None:
        self.status = status
        self.plain = plain
        self.raw = sanitize(words)
        self._words = words
        self._body = body
        self._mask = mask

    @property
    def words(self) -> str:
        """The server's message about what went wrong, on one line, without secrets; mostly empty for a result."""
        return sanitize(self._words, self._mask)

    def check(self) -> None:
        """Make sure that the answer is a result.

        Raises:
            NotFound, RequestRejected, ServerFailed: it is a rejection without a more precise meaning.
        """
        if self.status >= 500:
            raise problem(server_fault(self.raw) or ServerFailed, self.words)
        if self.status == 404:
            raise problem(NotFound, self.words)
        if self.status >= 400:
            raise problem(server_fault(self.raw) or RequestRejected, self.words)

    @property
    def value(self) -> Any:
        """The JSON of a result, checked."""
        self.check()
        return self._body

    def refusal(self, kind: Callable[[str], type[HummingbotAPIError]], text: object) -> HummingbotAPIError:
        """Make an error of a text from within the answer.

        Args:
            kind: chooses the kind of error by the text with all that is in it.
        """
        text = text if isinstance(text, str) else ""
        return problem(kind(sanitize(text)), sanitize(text, self._mask))


class Transport:
    """Sends requests to one server. Reads are repeated when the server is not reached, writes never.

    Reads share pooled connections. Every write opens a connection of its own: the server drops a kept-alive
    connection after a failure without notice, and a write that is reset on it looks like one that
    took effect, so it could not be repeated either (a deploy sent twice makes two bots).
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        verify_tls: bool,
        connect_timeout: float,
        read_timeout: float,
        long_read_timeout: float,
        transfer_timeout: float,
        total_timeout: float | None,
        read_retries: int,
        before_write: Callable[[], None],
        secrets: Callable[[], Iterable[str]],
    ) -> None:
        self.base_url = check_base_url(base_url)
        self._auth = HTTPBasicAuth(username.encode(), password.encode())
        self._login = login_secrets(username, password)
        self._secrets = secrets
        self._verify_tls = verify_tls
        self._timeout = (connect_timeout, read_timeout)
        self._long_timeout = (connect_timeout, long_read_timeout)
        self._transfer_timeout = transfer_timeout
        self._until = math.inf if total_timeout is None else time.monotonic() + total_timeout
        self._read_pauses = BACKOFF[:read_retries]
        self._before_write = before_write
        self._reads = self._new_session()
        if not verify_tls:
            # The operator who disabled it knows; a warning at every request would only drown the others.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        """Close the pooled connections. Not final: the next read opens a new one."""
        self._reads.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, long: bool = False) -> Answer:
        """Read. See ``request``."""
        return self.request("GET", path, params=params, long=long)

    def post(
        self,
        path: str,
        json: object = None,
        *,
        params: Mapping[str, Any] | None = None,
        long: bool = False,
        secret: bool = False,
    ) -> Answer:
        """Write. See ``request``."""
        return self.request("POST", path, json=json, params=params, long=long, secret=secret)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, Any] | None = None,
        long: bool = False,
        secret: bool = False,
    ) -> Answer:
        """Send a request and return what the API answered, also when that is a refusal.

        Args:
            path: already percent-encoded, from the root.
            long: whether to wait for ``long_read_timeout`` rather than ``read_timeout`` seconds.
            secret: whether ``json`` is an exchange key, whose secrets no message may quote (nor the server's ever).

        Raises:
            ServerUnreachable, ServerTimedOut, TLSFailed: there was no answer.
            TunnelError, WrongPassword, UnexpectedAnswer: there was one, but not the API's, or unusable.
            NotSupportedByServer: the server has no such route.
        """
        mask = self._mask_of(json if secret else None)
        for pause in (*(self._read_pauses if method == "GET" else ()), None):
            status, outcome = self._attempt(method, path, json, params, long, mask)
            unanswered = isinstance(outcome, ServerUnreachable | ServerTimedOut) and outcome.retryable
            may_help = unanswered or status in RETRIED_STATUSES
            if pause is None or not may_help or time.monotonic() + pause >= self._until:
                break
            time.sleep(pause)
        if isinstance(outcome, HummingbotAPIError):
            raise outcome
        return outcome

    def _mask_of(self, sent: object) -> Callable[[str], str]:
        """Return what masks the server's secrets, and those of a key that is sent. Looks for them when called."""

        @cache
        def mask() -> Callable[[str], str]:
            sent_secrets = secrets_in(sent) if isinstance(sent, Mapping) else []
            return mask_secrets([*self._login, *sent_secrets, *self._secrets()])

        return lambda text: mask()(text) if text else text

    def _attempt(
        self,
        method: str,
        path: str,
        json: object,
        params: Mapping[str, Any] | None,
        long: bool,
        mask: Callable[[str], str],
    ) -> tuple[int | None, Answer | HummingbotAPIError]:
        """Send once and log it.

        Errors are returned, not raised: raised within ``except`` they would carry along the exception of
        requests, and with it the request, its password and its body.
        """
        timeout = self._long_timeout if long else self._timeout
        session = self._reads if method == "GET" else self._new_session()
        started = time.monotonic()
        if started >= self._until:
            return None, ServerTimedOut(TIMED_OUT)
        until = min(started + sum(timeout) + self._transfer_timeout, self._until)
        status: int | None = None
        outcome: Answer | HummingbotAPIError
        try:
            with (
                limited(
                    until=until,
                    loopback=True,
                    # Each write has a connection of its own, which takes its time.
                    before_sending=self._before_write if method != "GET" else lambda: None,
                ),
                session.request(
                    method,
                    self.base_url + path,
                    params=params,
                    json=json,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                content = content_of(response)
        except AddressForbidden:
            outcome = AddressForbidden(sent=False)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            ended = time.monotonic()
            if ended >= self._until:
                outcome = ServerTimedOut(TIMED_OUT)
            else:
                outcome = _no_answer(error, method, until - started if ended >= until else timeout[1])
        else:
            status = response.status_code
            outcome = _read(response, content, mask)
        if session is not self._reads or status is None or status >= 500:
            session.close()  # after a failure the server drops its connections, see above
        result = outcome.code if isinstance(outcome, HummingbotAPIError) else outcome.status
        milliseconds = (time.monotonic() - started) * 1000
        logger.info("%s %s%s: %s in %d ms", method, self.base_url, path, result, milliseconds)
        return status, outcome

    def _new_session(self) -> requests.Session:
        session = guarded_session()
        session.verify = self._verify_tls
        session.auth = self._auth
        session.headers.update(HEADERS)
        return session


def _read(response: requests.Response, content: bytes, mask: Callable[[str], str]) -> Answer | HummingbotAPIError:
    """Tell the API's answers from those of tunnels, proxies and websites."""
    status = response.status_code
    content_type = response.headers.get("Content-Type", "")
    text = storable(content.decode("utf-8", errors="replace"))
    # Only where the API can't be the sender: a bot's log may contain such a code.
    tunnel_code = response.headers.get("ngrok-error-code", "") + ("" if "json" in content_type else text)
    if match := _TUNNEL_CODE.search(tunnel_code):
        return _tunnel_error(match[0])
    if 300 <= status < 400:
        target = _without_secrets(urljoin(response.url, response.headers.get("Location", "")))
        return UnexpectedAnswer(f"The server redirects to {mask(target)}. Enter the API's own address as the base URL.")
    if "html" in content_type or text.lstrip().startswith("<"):
        if _INTERSTITIAL.search(text):
            return TunnelInterstitial()
        title = _TITLE.search(text)
        heading = sanitize(html.unescape(title[1] if title[2] else f"{title[1]}…"), mask) if title else "untitled"
        return problem(UnexpectedAnswer, f"The server returned a web page ({status}): {heading}")
    if status == 401:
        return WrongPassword()
    if sum(map(text.count, "{[,")) > MAX_VALUES:
        return UnexpectedAnswer("The response holds more values than any server sends, so it was not read.")
    try:
        body = storable_json(text)
    except (ValueError, RecursionError):
        if status < 400:
            return UnexpectedAnswer(f"The response ({status}) is not valid JSON, or was cut off.")
        return Answer(status, None, text, mask, plain=True)
    if body in _NO_ROUTE and urlsplit(response.url).path != "/":
        asked = f"{response.request.method} {urlsplit(response.url).path}"
        return NotSupportedByServer(f"{NotSupportedByServer.meaning[:-1]}: {mask(asked)}.")
    return Answer(status, body, error_detail(body), mask, plain=False)


def _tunnel_error(code: str) -> TunnelError:
    kind = _TUNNEL_ERRORS.get(code, TunnelError)
    return kind(f"{kind.meaning} ({code})")


def _without_secrets(url: str) -> str:
    """Return the URL without possible secrets: user name, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that can't be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _no_answer(error: Exception, method: str, waited: float) -> HummingbotAPIError:
    """Name the cause in the client's own text: an exception of requests may quote the URL and the body."""
    causes = list(_causes(error))

    def caused_by(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    unknown = "" if method == "GET" else "; it is unknown whether the request took effect"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TLSFailed(f"{TLSFailed.meaning} ({cause.verify_message})")
    if caused_by(ssl.SSLError, requests.exceptions.SSLError):
        # Maybe before anything was sent, maybe not: OpenSSL names both alike.
        return ServerUnreachable(
            f"{ServerUnreachable.meaning[:-1]} (no TLS: does it speak plain HTTP on this port?){unknown}."
        )
    if caused_by(requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
        return ServerTimedOut(
            f"No complete response within {waited:.3g} s. It is unknown whether the request took effect."
        )
    if caused_by(AnswerTooLarge):
        return UnexpectedAnswer(
            f"The response is larger than {MAX_SIZE // 1_000_000} MB, more than any server sends, so it was not read."
        )
    if caused_by(requests.ConnectTimeout):
        return ServerUnreachable(f"{ServerUnreachable.meaning[:-1]} (connection timed out).", sent=False)
    if caused_by(gaierror, urllib3.exceptions.LocationParseError):
        return ServerUnreachable(f"{ServerUnreachable.meaning[:-1]} (host name not found).", sent=False)
    if caused_by(ConnectionRefusedError):
        return ServerUnreachable(f"{ServerUnreachable.meaning[:-1]} (connection refused).", sent=False)
    if caused_by(requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        return UnexpectedAnswer("The response was cut off.")
    if caused_by(ConnectionResetError, BrokenPipeError, RemoteDisconnected):
        return ServerUnreachable(f"{ServerUnreachable.meaning[:-1]} (connection reset){unknown}.")
    if caused_by(HTTPException, urllib3.exceptions.InvalidHeader):
        return UnexpectedAnswer("The response is not HTTP. Check the scheme and the port of the base URL.")
    return ServerUnreachable()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
