"""The state of a whole fleet: one round of the panel's polls against the official client's status call.

Run: ``python -m benchmarks.states [servers,bots ...]``. The network is 80 ms away and has 50 Mbit/s, which all servers
share. The client asks all servers at once, with ``asyncio.gather``. Each bot has the hundred log lines that a server
keeps, of the sandbox's length and without errors: on a real server, one bot that logged errors had 438 kB of them.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.panel import median_ms, new_database, print_table  # before the panel's own modules

# isort: split
import requests
from django.utils import timezone
from hummingbot_api_client import HummingbotAPIClient

from accounts.models import Server
from benchmarks.by_hand.fleet_poll import HEAVY, LIGHT, deploy
from benchmarks.poll import make_fleet, multiplied, serving
from bots.models import Deployment
from bots.tasks import STATE, poll_fleet
from hummingbot_api import HummingbotAPI
from sandbox import Sandbox

SIZES = ((10, 10), (10, 50), (50, 50), (100, 50))
#: Of the network, in seconds and bytes a second.
ROUND_TRIP, BANDWIDTH = 0.08, 50_000_000 / 8
ROUNDS = 5
#: What a server keeps of a bot's log.
LOG_ENTRIES = 100
COLUMNS = (
    "database",
    "servers",
    "bots each",
    "client s",
    "panel s",
    "ratio",
    "client MB",
    "panel MB",
    "ratio of bytes",
)


class Link:
    """A network connection that all answers share, one after another."""

    def __init__(self) -> None:
        self.bytes = 0
        self._free_at = 0.0
        self._lock = threading.Lock()

    def carry(self, size: int) -> None:
        """Wait for as long as an answer of that size is under way."""
        with self._lock:
            self.bytes += size
            self._free_at = max(self._free_at, time.monotonic()) + size / BANDWIDTH
            arrives = self._free_at
        time.sleep(max(0.0, arrives - time.monotonic()) + ROUND_TRIP)


def measure(sizes: Sequence[tuple[int, int]] = SIZES) -> list[dict[str, Any]]:
    one, rows = _answers_of_one(), []
    for servers, bots in sizes:
        answers, link = multiplied(one, bots), Link()
        with new_database() as database, ExitStack() as stack:
            urls = [stack.enter_context(serving(answers, link.carry)) for _ in range(servers)]
            for number, url in enumerate(urls):
                make_fleet(url, bots, f"server {number}")
            panel, of_panel = _measured(link, _poll_all)
            client, of_client = _measured(link, lambda asked=urls: asyncio.run(_ask_all(asked)))
        rows.append(
            {
                "database": database,
                "servers": servers,
                "bots each": bots,
                "client s": client,
                "panel s": panel,
                "ratio": panel / client,
                "client MB": of_client / 1e6,
                "panel MB": of_panel / 1e6,
                "ratio of bytes": of_panel / of_client,
            }
        )
    return rows


def _answers_of_one() -> dict[str, Any]:
    with Sandbox(speed=100).serve() as sandbox:
        deploy(HummingbotAPI(sandbox.url, "admin", "admin"), 1)
        sandbox.world.clock.advance(3600)
        routes = {*LIGHT, *HEAVY}
        asked = {
            route: requests.get(sandbox.url + route, auth=("admin", "admin"), timeout=10).json() for route in routes
        }
    for bot in asked[HEAVY[0]]["data"].values():
        logs = bot["general_logs"]
        bot["general_logs"] = (logs * LOG_ENTRIES)[:LOG_ENTRIES]
    return asked


def _measured(link: Link, action: Any) -> tuple[float, float]:
    """Return the seconds of a round, a median, and its bytes."""
    before = link.bytes
    seconds = median_ms(action, ROUNDS) / 1000
    return seconds, (link.bytes - before) / (ROUNDS + 1)


def _poll_all() -> None:
    """Have all servers polled, as the worker's timer does."""
    begun = timezone.now()
    Deployment.objects.update(logs_read_at=begun)
    Server.objects.update(next_poll=begun)
    poll_fleet.call_local()
    while STATE._started:
        time.sleep(0.01)
    if Server.objects.exclude(instances_at__gte=begun).exists():
        raise RuntimeError("A server was not polled.")


async def _ask_all(urls: list[str]) -> None:
    clients = [HummingbotAPIClient(url, "admin", "admin") for url in urls]
    for client in clients:
        await client.init()
    try:
        answers = await asyncio.gather(*(client.bot_orchestration.get_active_bots_status() for client in clients))
        if not all(json.dumps(answer) for answer in answers):
            raise RuntimeError("A server answered nothing.")
    finally:
        for client in clients:
            await client.close()


def main(sizes: Sequence[tuple[int, int]]) -> None:
    print_table("The state of a fleet", measure(sizes), COLUMNS)


if __name__ == "__main__":
    main([tuple(map(int, size.split(","))) for size in sys.argv[1:]] or SIZES)  # type: ignore[misc]
