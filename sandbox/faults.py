"""Switching on what goes wrong between a panel and a server: networks, tunnels, hosts, exchanges."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

#: Every fault with what it does. Seconds are sandbox seconds.
FAULTS = {
    "wrong_password": "401, as if the login were not the server's",
    "refused_connection": "the listening socket is closed until the fault is cleared; always for every route",
    "time_out_before": "never answers, and nothing takes effect",
    "time_out_after": "takes effect, and never answers",
    "late": "never answers, and takes effect after a while (option seconds, default 5), as on a slow network",
    "server_error": "plain-text 500 without effect; the next request on that connection is reset (option message: what "
    "it says)",
    "html_interstitial": "ngrok's warning page instead of the answer, unless the request's header skips it "
    "(option always=True: even then)",
    "tunnel_offline": "404 page with ngrok's ERR_NGROK_3200",
    "tunnel_backend_down": "502 page with ngrok's ERR_NGROK_8012",
    "route_missing": "404 as of a version that has no such route, nor lists it (with the path)",
    "truncated_json": "takes effect, and half of the answer arrives before the connection closes",
    "slow": "answers late (option seconds, default 5)",
    "docker_down": "the host's Docker engine does not run",
    "mqtt_down": "the server has lost its MQTT broker",
    "exchange_refuses_key": "add-credential fails at the exchange (option message: what it says; "
    "leaves_file=True: the refused credential stays listed)",
    "balances_unreadable": "the newest balances hold something else than numbers (option value: null, or a text)",
    "exchange_unreachable": "no exchange answers the server, so it has neither trading rules nor prices",
}


@dataclass
class Fault:
    """One fault that was added.

    Attributes:
        path: prefix of the paths that it concerns; ``None`` for every route.
        times: how many requests it still spoils; ``None`` until cleared.
        cleared: whether it was cleared; requests that hang on it watch this.
    """

    name: str
    path: str | None = None
    method: str | None = None
    times: int | None = None
    options: dict[str, object] = field(default_factory=dict)
    cleared: bool = False

    def matches(self, method: str, path: str) -> bool:
        return (
            self.times != 0
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or path.startswith(self.path))
        )


def _always(_: Fault) -> bool:
    return True


class Faults:
    """The faults that are switched on now, shared by the server's thread and the one that controls it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.on_change: Callable[[], None] = lambda: None

    def add(
        self,
        name: str,
        path: str | None = None,
        method: str | None = None,
        times: int | None = None,
        **options: object,
    ) -> Fault:
        """Switch a fault on.

        Raises:
            ValueError: no such fault.
        """
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
        fault = Fault(name, path, method, times, options)
        with self._lock:
            self._faults.append(fault)
        self.on_change()
        return fault

    def clear(self) -> None:
        """Clear all faults and release the requests that hang on one."""
        with self._lock:
            for fault in self._faults:
                fault.cleared = True
            self._faults.clear()
        self.on_change()

    def has(self, name: str) -> bool:
        """Return whether such a fault is on, for any route."""
        with self._lock:
            return any(fault.name == name for fault in self._faults)

    def paths_of(self, name: str) -> list[str]:
        """Return the prefixes of the paths that faults of this name concern."""
        with self._lock:
            return [fault.path or "/" for fault in self._faults if fault.name == name]

    def take(self, name: str, method: str, path: str, when: Callable[[Fault], bool] = _always) -> Fault | None:
        """Return the fault that spoils this request, if there is one; it counts as used."""
        with self._lock:
            for fault in self._faults:
                if fault.name == name and fault.matches(method, path) and when(fault):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
