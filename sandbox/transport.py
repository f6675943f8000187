"""Between the socket and the application: recording requests, and the faults of network and tunnel."""

import asyncio
import json
import logging
import socket
import struct
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.clock import Clock
from sandbox.faults import Fault, Faults

SKIP_WARNING = "ngrok-skip-browser-warning"
#: Status of a request that was not answered.
UNANSWERED = 0

_SLOW_SECONDS = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

logger = logging.getLogger(__name__)


class CrashError(Exception):
    """Stands for an uncaught exception of the real server: plain-text 500, and a connection that is dropped."""


@dataclass
class RecordedRequest:
    """One request that reached the server; ``status`` is 0 while it is not answered, or forever."""

    method: str
    path: str
    query: dict[str, str]
    json: object
    headers: dict[str, str] = field(repr=False)
    status: int = UNANSWERED


class Connection(H11Protocol):
    """One client connection, known to the application as ``scope["state"]["connection"]``."""

    dropped = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": self}

    def data_received(self, data: bytes) -> None:
        if self.dropped:
            self.reset()
        else:
            super().data_received(data)

    def reset(self) -> None:
        """Close with a reset rather than with a goodbye."""
        raw_socket = self.transport.get_extra_info("socket")
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class Front:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, faults: Faults, clock: Clock, requests: list[RecordedRequest]) -> None:
        self._app = app
        self._faults = faults
        self.clock = clock
        self._requests = requests
        self.late: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        record = _recorded(scope, body)
        self._requests.append(record)
        connection: Connection = scope["state"]["connection"]
        take = partial(self._faults.take, method=record.method, path=record.path)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        async def respond(response: Response) -> None:
            await response(scope, receive, answer)

        if fault := take("time_out_before"):
            await _hang(connection, fault)
            return
        if fault := take("slow"):
            await self.clock.sleep(_number(fault.options.get("seconds", _SLOW_SECONDS)))
        if take("tunnel_offline"):
            await respond(_tunnel_page("ERR_NGROK_3200", 404))
        elif take("tunnel_backend_down"):
            await respond(_tunnel_page("ERR_NGROK_8012", 502))
        elif take("html_interstitial", when=partial(_shows_warning, record.headers)):
            await respond(HTMLResponse(_WARNING_PAGE))
        elif take("route_missing"):
            await respond(JSONResponse({"detail": "Not Found"}, 404))
        elif fault := take("server_error"):
            await respond(PlainTextResponse(str(fault.options.get("message", "Internal Server Error")), 500))
            connection.dropped = True
        elif fault := take("late"):
            seconds = _number(fault.options.get("seconds", _SLOW_SECONDS))
            self.late.append(asyncio.create_task(self._run_late(seconds, scope, body, connection)))
            await _hang(connection, fault)
        elif fault := take("time_out_after"):
            await self._run(scope, body, _swallow, connection)
            await _hang(connection, fault)
        elif take("truncated_json"):
            await self._run(scope, body, partial(_half, answer), connection)
            connection.transport.close()
        else:
            await self._run(scope, body, answer, connection)

    async def _run_late(self, seconds: float, scope: Scope, body: bytes, connection: Connection) -> None:
        await self.clock.sleep(seconds)
        await self._run(scope, body, _swallow, connection)

    async def _run(self, scope: Scope, body: bytes, send: Send, connection: Connection) -> None:
        """Let the application answer; when it crashes, Starlette has sent the 500 and the drop is left."""

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._app(scope, receive, send)
        except CrashError:
            connection.dropped = True
        except Exception:
            logger.exception("The sandbox itself failed at %s %s", scope["method"], scope["path"])
            connection.dropped = True


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _recorded(scope: Scope, body: bytes) -> RecordedRequest:
    try:
        content = json.loads(body) if body else None
    except ValueError:
        content = None
    return RecordedRequest(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        content,
        {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
    )


async def _hang(connection: Connection, fault: Fault) -> None:
    """Send nothing until the fault is cleared, the client gives up or the server stops; then hang up."""
    while not fault.cleared and not connection.transport.is_closing():
        await asyncio.sleep(0.02)
    connection.transport.abort()
    await asyncio.sleep(0)  # lets uvicorn notice, which would answer 500 otherwise


async def _swallow(_: Message) -> None:
    """Send nothing."""


async def _half(send: Send, message: Message) -> None:
    """Send half of a body under the length of the whole one."""
    if message["type"] == "http.response.body":
        body = message.get("body", b"")
        message = {**message, "body": body[: len(body) // 2], "more_body": True}
    await send(message)


def _shows_warning(headers: dict[str, str], fault: Fault) -> bool:
    return SKIP_WARNING not in headers or bool(fault.options.get("always"))


def _number(value: object) -> float:
    return float(str(value))


_WARNING_PAGE = """\
<!DOCTYPE html><html><head><title>ngrok - You are about to visit</title></head><body>
<h1>You are about to visit a site served for free through ngrok.com</h1>
<p>You should only visit this website if you trust whoever sent the link to you. (ERR_NGROK_6024)</p>
</body></html>
"""


def _tunnel_page(code: str, status: int) -> HTMLResponse:
    page = f"<!DOCTYPE html><html><head><title>ngrok</title></head><body><p>{code}</p></body></html>\n"
    return HTMLResponse(page, status, headers={"ngrok-error-code": code})
