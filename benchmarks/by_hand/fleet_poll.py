"""How much lighter the fleet's poll is than the obvious one, measured side by side on the same sandbox.

The obvious way to read what bots do is ``/bot-orchestration/status``, which carries every bot's logs. The panel reads
the four light routes instead. Run: ``python -m benchmarks.by_hand.fleet_poll [bots]``
"""

import sys
import time
from collections.abc import Callable

import requests

from hummingbot_api import HummingbotAPI
from sandbox import Sandbox

ROUNDS = 50
LIGHT = (
    "/bot-orchestration/mqtt",
    "/docker/active-containers",
    "/docker/exited-containers",
    "/bot-orchestration/controller-performance-latest",
)
HEAVY = ("/bot-orchestration/status", "/docker/exited-containers")


def deploy(api: HummingbotAPI, bots: int) -> None:
    api.accounts.add("client_sharp")
    market = {"connector_name": "binance_paper_trade", "trading_pair": "BTC-USDT"}
    identity = {"id": "pmm", "controller_name": "pmm_v1", "controller_type": "generic"}
    api.controllers.save_config("pmm", identity | market)
    for number in range(bots):
        api.bots.deploy_controllers(
            instance_name=f"hummingbot-{number}",
            credentials_profile="client_sharp",
            controllers=["pmm"],
            image="hummingbot/hummingbot:latest",
        )


def measure(session: requests.Session, url: str, routes: tuple[str, ...]) -> tuple[float, int]:
    """Return milliseconds and bytes of one poll, the time being the best of the repeats."""

    def poll() -> int:
        return sum(len(session.get(url + route).content) for route in routes)

    return min(timed(poll) for _ in range(ROUNDS)) * 1000, poll()


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main(bots: int) -> None:
    with Sandbox(speed=100).serve() as sandbox:
        deploy(HummingbotAPI(sandbox.url, "admin", "admin"), bots)
        sandbox.world.clock.advance(3600)
        session = requests.Session()
        session.auth = ("admin", "admin")
        light_ms, light_bytes = measure(session, sandbox.url, LIGHT)
        heavy_ms, heavy_bytes = measure(session, sandbox.url, HEAVY)
    print(f"{bots} bots, one poll   light: {light_bytes:>9,} bytes {light_ms:7.2f} ms")  # noqa: T201
    print(f"                      heavy: {heavy_bytes:>9,} bytes {heavy_ms:7.2f} ms")  # noqa: T201
    print(f"heavy / light: {heavy_bytes / light_bytes:.1f} in bytes, {heavy_ms / light_ms:.1f} in time")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
