"""The client of one Hummingbot API server."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from hummingbot_api.http.transport import Transport
from hummingbot_api.resources import (
    Accounts,
    Archives,
    Bots,
    Connectors,
    Controllers,
    Docker,
    MarketData,
    Portfolio,
    Scripts,
    System,
)


class HummingbotAPI:
    """One Hummingbot API server. Making it sends nothing.

    ``with HummingbotAPI(url, username, password) as api: api.accounts.list()``. What can go wrong is in
    ``hummingbot_api.errors``; calls raise nothing else.

    Args:
        base_url: scheme, host and port; ``InvalidBaseURL`` for more.
        verify_tls: off only for a self-signed certificate of one's own.
        connect_timeout: seconds.
        read_timeout: seconds to wait for the server's next byte.
        long_read_timeout: the same for what takes long: a login at the exchange, a deploy, a container.
        transfer_timeout: how many seconds more, after both of its timeouts, an answer may take until it is whole: a
            server that sends a byte now and then is waited for no longer.
        total_timeout: seconds for all requests together, from now on; later requests are not sent.
        read_retries: how often a read (never a write) is repeated when the server is not reached; 4 at most.
        before_write: called right before a request that is no GET is sent, when its connection is there. What it
            raises, the call raises.
        secrets: returns what no message may quote from the server, besides the password: the keys that it has. Called
            only when there is such a message.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        verify_tls: bool = True,
        connect_timeout: float = 5.0,
        read_timeout: float = 15.0,
        long_read_timeout: float = 120.0,
        transfer_timeout: float = 30.0,
        total_timeout: float | None = None,
        read_retries: int = 2,
        before_write: Callable[[], None] = lambda: None,
        secrets: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._http = Transport(
            base_url,
            username,
            password,
            verify_tls=verify_tls,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            long_read_timeout=long_read_timeout,
            transfer_timeout=transfer_timeout,
            total_timeout=total_timeout,
            read_retries=read_retries,
            before_write=before_write,
            secrets=secrets,
        )
        self.base_url = self._http.base_url
        self.username = username
        self.system = System(self._http)
        self.accounts = Accounts(self._http)
        self.connectors = Connectors(self._http)
        self.scripts = Scripts(self._http)
        self.controllers = Controllers(self._http)
        self.bots = Bots(self._http)
        self.archives = Archives(self._http)
        self.portfolio = Portfolio(self._http)
        self.market_data = MarketData(self._http)
        self.docker = Docker(self._http)

    def __repr__(self) -> str:
        return f"HummingbotAPI({self.base_url!r}, {self.username!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()
