"""Many bots on many servers at once, keys included: the panel against the limit, and against the official client.

Run: ``python -m benchmarks.fleet_deploys [bots,servers ...]``. The limit is what the slowest server itself takes: 2 s
for each key, 0.34 s for each deploy, and 20 s until the last bot has connected. The official client does the calls that
nobody can leave out, with ``asyncio.gather`` for all bots at once, and one by one for a few, from which the time for
all follows. ``DATABASE_URL`` may name a PostgreSQL server. The queue is in a Redis that is started here:
``QUEUE_URL=redis://127.0.0.1:6390/0``.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.panel import new_database, print_table, url_of_database  # before the panel's own modules

# isort: split
from django.conf import settings
from hummingbot_api_client import HummingbotAPIClient

from accounts.models import Client, ExchangeKey, Server
from benchmarks.sandboxes import sandboxes
from bots.models import Bot, Deployment, Strategy
from controlpanel.soak.processes import Processes
from operations.models import Operation, State
from operations.services import operation_request

#: Of each worker. A thread is held while it waits for a server's answer.
THREADS, WORKERS = 32, 2
SIZES = ((10, 1), (40, 5), (100, 10), (200, 20))
BOTS_PER_CLIENT = 5
#: The latencies of the sandboxes, in seconds.
KEY, DEPLOY, CONNECTED = 2.0, 0.34, 20.0
#: How many bots the client deploys one by one.
ONE_BY_ONE = 2
COLUMNS = (
    "database",
    "bots",
    "servers",
    "limit s",
    "panel s",
    "ratio to the limit",
    "gather s",
    "ratio to gather",
    "one by one s",
)
KEYS = {"bitmart_api_key": "a" * 32, "bitmart_secret_key": "b" * 32, "bitmart_memo": "m"}
SETTINGS = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60}


def measure(sizes: Sequence[tuple[int, int]] = SIZES) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    alone = 0.0
    for bots, servers in sizes:
        keys = -(-bots // servers // BOTS_PER_CLIENT) * KEY
        limit = keys + bots // servers * DEPLOY + CONNECTED
        with new_database() as database:
            panel, plan = _panel(bots, servers)
        gather = _client(bots, servers, plan, at_once=True)
        alone = alone or _client(ONE_BY_ONE, 1, plan, at_once=False) / ONE_BY_ONE
        row = {
            "database": database,
            "bots": bots,
            "servers": servers,
            "limit s": limit,
            "panel s": panel,
            "ratio to the limit": panel / limit,
            "gather s": gather,
            "ratio to gather": panel / gather,
            "one by one s": alone * bots,
        }
        print(row, file=sys.stderr)  # noqa: T201 - it takes minutes
        rows.append(row)
    return rows


def _panel(bots: int, servers: int) -> tuple[float, Deployment]:
    """Return the seconds from the request to the last bot that is running, with one worker process; and what was
    planned for one of the bots.
    """
    with ExitStack() as stack:
        served = stack.enter_context(sandboxes(servers))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = Processes(folder, WORKERS, 0, DATABASE_URL=url_of_database(), WORKER_THREADS=str(THREADS))
        stack.callback(processes.end)
        processes.start()
        if settings.HUEY.get("connection") != {"url": processes.queue_url}:
            raise RuntimeError(f"Set QUEUE_URL={processes.queue_url}")
        subjects = [_bot(number, served.urls) for number in range(bots)]
        time.sleep(5)  # until the worker has loaded
        begun = time.monotonic()
        for bot in subjects:
            operation_request(kind="deploy", subject=bot)
        while Operation.objects.active().exists():
            time.sleep(0.2)
        took = time.monotonic() - begun
        if failed := Operation.objects.exclude(state=State.SUCCEEDED).first():
            raise RuntimeError(f"{failed}: {failed.error_message}")
        if served.live() != bots:
            raise RuntimeError(f"{served.live()} instances of {bots}")
        return took, subjects[0].plan_deployment()


def _bot(number: int, urls: list[str]) -> Bot:
    url = urls[number % len(urls)]
    server, _ = Server.objects.get_or_create(
        base_url=url, defaults={"name": f"Server {number}", "username": "admin", "password": "admin"}
    )
    name = f"Client {number % len(urls)} {number // len(urls) // BOTS_PER_CLIENT}"
    client = Client.objects.filter(name=name).first()
    if client is None:
        client = Client(name=name, server=server)
        client.full_clean()
        client.save()
        key = ExchangeKey(client=client, connector="bitmart")
        key.set_values(KEYS)
        key.save()
    bot = Bot(
        client=client,
        name=f"Bot {number}",
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="SHARP-USDT",
        settings=SETTINGS,
    )
    bot.full_clean()
    bot.save()
    return bot


def _client(bots: int, servers: int, plan: Deployment, *, at_once: bool) -> float:
    """Return the seconds that the official client takes, in one process."""
    with sandboxes(servers) as served:
        begun = time.monotonic()
        asyncio.run(_all_bots(bots, served.urls, plan, at_once=at_once))
        took = time.monotonic() - begun
        if served.live() != bots:
            raise RuntimeError(f"{served.live()} instances of {bots}")
        return took


async def _all_bots(bots: int, urls: list[str], plan: Deployment, *, at_once: bool) -> None:
    clients = [HummingbotAPIClient(url, "admin", "admin") for url in urls]
    pushed: dict[tuple[str, str], asyncio.Task[None]] = {}
    for client in clients:
        await client.init()
    try:
        deploys = [_one_bot(number, clients[number % len(urls)], plan, pushed, len(urls)) for number in range(bots)]
        if at_once:
            await asyncio.gather(*deploys)
        else:
            for deploy in deploys:
                await deploy
    finally:
        for client in clients:
            await client.close()


async def _one_bot(
    number: int,
    client: HummingbotAPIClient,
    plan: Deployment,
    pushed: dict[tuple[str, str], asyncio.Task[None]],
    servers: int,
) -> None:
    account = f"client_{number // servers // BOTS_PER_CLIENT}"
    key = (client.base_url, account)
    if key not in pushed:
        pushed[key] = asyncio.create_task(_push(client, account))
    await pushed[key]
    name = f"bot-{number}"
    await client.scripts.create_or_update_script(plan.script_name, {"content": plan.script_source})
    await client.scripts.create_or_update_script_config(name, plan.config)
    # The client's own method has no argument for ``headless``, without which a bot never connects.
    answer = await client.bot_orchestration._post(
        "/bot-orchestration/deploy-v2-script",
        json={
            "instance_name": name,
            "credentials_profile": account,
            "image": plan.image,
            "script_config": f"{name}.yml",
            "headless": True,
        },
    )
    while True:
        await asyncio.sleep(2)
        status = await client.bot_orchestration.get_active_bots_status()
        if status["data"].get(answer["unique_instance_name"], {}).get("recently_active"):
            return


async def _push(client: HummingbotAPIClient, account: str) -> None:
    await client.accounts.add_account(account)
    await client.accounts.add_credential(account, "bitmart", KEYS)


def main(sizes: Sequence[tuple[int, int]]) -> None:
    print_table("Many bots at once, with keys", measure(sizes), COLUMNS)


if __name__ == "__main__":
    main([tuple(map(int, size.split(","))) for size in sys.argv[1:]] or SIZES)  # type: ignore[misc]
