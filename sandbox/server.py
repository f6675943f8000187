"""Running the sandbox on loopback, in a thread or in the foreground."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from sandbox.app import build_app
from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.transport import Connection, Front, RecordedRequest
from sandbox.world import MarketMode, World

HOST = "127.0.0.1"
#: How often the server checks whether a signal has requested its end, in seconds of real time.
_POLL_SECONDS = 0.2
#: How long the server's thread may take for what another thread asks of it. One that is stuck does not hold up others.
_PATIENCE_SECONDS = 30.0


class Sandbox:
    """A Hummingbot API server without exchanges, containers or money, traps included.

    It is made for invented keys: with a ``state_file`` they are written to disk as they are (mode 0600).

    Args:
        speed: how much faster than the wall's the sandbox's time passes.
        state_file: where the state survives a restart; ``None`` to drop it.
        legacy_config_map: answer config-map with a plain list of names, as older servers do.
        market: ``still``: prices and orders stand still, and nothing fills; ``living``: prices walk, bots replace their
            orders, and orders fill.
        clock: one that several sandboxes share; ``None`` for one of its own.
    """

    def __init__(
        self,
        username: str = "admin",
        password: str = "admin",  # noqa: S107  the real server's default
        speed: float = 1.0,
        state_file: Path | str | None = None,
        legacy_config_map: bool = False,
        market: MarketMode = "still",
        clock: Clock | None = None,
    ) -> None:
        self.url = ""
        self.requests: list[RecordedRequest] = []
        self.faults = Faults()
        self._speed = speed
        self._market: MarketMode = market
        self._state_file = Path(state_file) if state_file is not None else None
        self._serving: _Server | None = None
        clock = clock or Clock(speed)
        self.world = World(clock, self._state_file, self._market)
        self._app = build_app(
            self.world, self.faults, username=username, password=password, legacy_config_map=legacy_config_map
        )
        self._front = Front(self._app, self.faults, clock, self.requests)

    @contextmanager
    def serve(self, port: int = 0) -> Iterator["Sandbox"]:
        """Serve from a thread until the block is left; port 0 takes a free one."""
        server = self._server(port, uvicorn.Config(self._front, log_config=None, log_level="critical"))
        thread = threading.Thread(target=asyncio.run, args=(server.serve(),), daemon=True)
        thread.start()
        server.ready.wait()
        self.faults.on_change = server.follow_faults
        self._serving = server
        try:
            yield self
        finally:
            self._serving = None
            self.faults.on_change = lambda: None
            server.end()
            thread.join(_PATIENCE_SECONDS)

    def reset(self, speed: float | None = None, market: MarketMode | None = None) -> None:
        """Start again at the same address, like a new sandbox: earlier requests no longer have an effect. Creating an
        application and a server takes a hundred times as long.

        Args:
            speed, market: as for a new sandbox; ``None`` for what this one was created with.
        """
        self.faults.clear()
        if self._serving is not None:
            self._serving.drop_requests(self._front)
        self.requests.clear()
        clock = Clock(speed or self._speed)
        self.world = World(clock, self._state_file, market or self._market)
        self._app.state.world = self.world
        self._front.clock = clock

    def run(self, port: int) -> None:
        """Serve in the foreground, with a log of the requests, until interrupted."""
        server = self._server(port, uvicorn.Config(self._front, log_config=LOGGING_CONFIG, log_level="info"))
        with suppress(KeyboardInterrupt):
            asyncio.run(server.serve())

    def _server(self, port: int, config: uvicorn.Config) -> "_Server":
        config.http = Connection
        config.ws = "none"
        config.lifespan = "off"
        server = _Server(config, port, refuses=lambda: self.faults.has("refused_connection"))
        self.url = f"http://{HOST}:{server.port}"
        return server


class _Server(uvicorn.Server):
    """A server that leaves at once, and that can close its listening socket and open it again."""

    def __init__(self, config: uvicorn.Config, port: int, refuses: Callable[[], bool]) -> None:
        super().__init__(config)
        self._first_socket: socket.socket | None = _listen(port)
        self.port: int = self._first_socket.getsockname()[1]
        self.ready = threading.Event()
        self._refuses = refuses
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self.servers = []

    def end(self) -> None:
        """Called from any other thread: stop serving."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    def follow_faults(self) -> None:
        """Called from any other thread: refuse or accept connections from now on, as the faults require."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._follow_faults(), self._loop).result(_PATIENCE_SECONDS)

    def drop_requests(self, front: Front) -> None:
        """Called from any other thread: end every connection, and all that is still being done for one."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._drop_requests(front), self._loop).result(_PATIENCE_SECONDS)

    async def _drop_requests(self, front: Front) -> None:
        self._drop_connections()
        tasks = [*self.server_state.tasks, *front.late]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        front.late.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await self._follow_faults()
        self.ready.set()

    async def main_loop(self) -> None:
        while not self.should_exit:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _POLL_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop_listening()

    async def _follow_faults(self) -> None:
        if self._refuses():
            self._stop_listening()
        elif not self.servers:
            await super().startup(sockets=[self._first_socket or _listen(self.port)])
            self._first_socket = None

    def _stop_listening(self) -> None:
        for server in self.servers:
            server.close()
        self.servers = []
        self._drop_connections()
        if self._first_socket is not None:
            self._first_socket.close()
            self._first_socket = None

    def _drop_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _listen(port: int) -> socket.socket:
    # asyncio only switches Nagle's delay (40 ms for each answer) off for sockets that name TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener
