"""What a poll of a server costs the panel, by the number of the server's bots: queries, and CPU for each bot.

Run: ``python -m benchmarks.poll [bots ...]``. The server gives the answers that the sandbox gives of one bot, for as
many bots as are measured. ``DATABASE_URL`` may name a PostgreSQL server.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.panel import median_ms, new_database, print_table  # before the panel's own modules

# isort: split
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Client, Server
from benchmarks.by_hand.fleet_poll import LIGHT, deploy
from bots.models import Bot, BotState, Deployment, Strategy
from bots.monitoring.poll import poll_server
from hummingbot_api import HummingbotAPI
from sandbox import Sandbox

SIZES = (10, 100, 1_000, 10_000)
ROUNDS = 5
COLUMNS = ("database", "bots", "queries", "queries, of 10 bots", "CPU ms", "CPU ms a bot", "bytes")


def answers_of_one() -> dict[str, Any]:
    """Return what a server with one controller's bot answers to the four calls."""
    with Sandbox(speed=100).serve() as sandbox:
        deploy(HummingbotAPI(sandbox.url, "admin", "admin"), 1)
        sandbox.world.clock.advance(3600)
        return {route: requests.get(sandbox.url + route, auth=("admin", "admin"), timeout=10).json() for route in LIGHT}


def multiplied(answers: dict[str, Any], count: int) -> dict[str, bytes]:
    """Return the same for as many bots, each with the name ``bot-<number>``."""
    [name] = {item["name"] for item in answers["/docker/active-containers"]}

    def many(item: Any) -> list[Any]:
        text = json.dumps(item)
        return [json.loads(text.replace(name, f"bot-{number}")) for number in range(count)]

    def grow(value: Any) -> Any:
        if isinstance(value, list):
            return [copy for item in value for copy in (many(item) if name in json.dumps(item) else [item])]
        if isinstance(value, dict):
            return {
                f"bot-{number}" if key == name else key: grow(item)
                for key, item in value.items()
                for number in range(count if key == name else 1)
            }
        return value

    return {route: json.dumps(grow(answer)).encode() for route, answer in answers.items()}


@contextmanager
def serving(answers: dict[str, bytes], carry: Callable[[int], None] = lambda size: None) -> Iterator[str]:
    """Serve these answers, and nothing else.

    Args:
        carry: called with the size of each before it is sent, and takes as long as a network does.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            content = answers.get(self.path.partition("?")[0])
            self.send_response(200 if content else 404)
            content = content or b'{"detail": "Bot not found"}'
            carry(len(content))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def make_fleet(url: str, count: int, name: str = "") -> Server:
    name = name or f"{count} bots"
    server = Server.objects.create(name=name, base_url=url, password="x")  # noqa: S106
    client = Client.objects.create(name=name, account_name=name.replace(" ", "_"), server=server)
    market = {"connector": "binance_paper_trade", "trading_pair": "BTC-USDT"}
    strategy, now = Strategy.objects.get(name="pmm_v1"), timezone.now()
    bots = Bot.objects.bulk_create(
        (Bot(client=client, name=f"Bot {n}", server=server, strategy=strategy, **market) for n in range(count)),
        batch_size=1000,
    )
    Deployment.objects.bulk_create(
        (
            Deployment(
                bot=bot, server=server, instance_name=f"bot-{n}", sent_at=now, started_at=now, observed_at=now,
                observed_state=BotState.RUNNING, logs_read_at=now, **market,
            )
            for n, bot in enumerate(bots)
        ),
        batch_size=1000,
    )  # fmt: skip
    return server


def forget_figures() -> None:
    """Let the next poll write every row: with controllers, every bot's profit changes from one poll to the next."""
    Deployment.objects.update(pnl_quote=None)


def measure(sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Return a row for each size. The CPU is that of the polling thread; a database server's own is not in it."""
    answers, rows = answers_of_one(), []
    with new_database() as database:
        for count in sizes:
            many = multiplied(answers, count)
            with serving(many) as url:
                server = make_fleet(url, count)
                poll_server(server)
                forget_figures()
                with CaptureQueriesContext(connection) as queries:
                    poll_server(server)
                cpu = median_ms(
                    lambda polled=server: poll_server(polled), ROUNDS, time.thread_time, before=forget_figures
                )
            rows.append(
                {
                    "database": database,
                    "bots": count,
                    "queries": len(queries),
                    "queries, of 10 bots": len(queries) / rows[0]["queries"] if rows else 1.0,
                    "CPU ms": cpu,
                    "CPU ms a bot": cpu / count,
                    "bytes": sum(map(len, many.values())),
                }
            )
    return rows


def main(sizes: tuple[int, ...]) -> None:
    print_table("The poll of a server, by its bots", measure(sizes), COLUMNS)


if __name__ == "__main__":
    main(tuple(int(size.replace(",", "")) for size in sys.argv[1:]) or SIZES)
