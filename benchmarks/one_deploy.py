"""One deploy, waits aside: the panel against the seven calls that nobody can leave out, and against all that it sends.

Run: ``python -m benchmarks.one_deploy [rounds]``. The alternatives are sent by a bare ``requests`` session to the same
server in turn with the panel's. The keys are on the server already: a push takes the exchange two seconds.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.panel import new_database, print_table  # before the panel's own modules

# isort: split
import requests

from accounts.models import Client, ExchangeKey, Server
from benchmarks.sandboxes import Sandboxes, sandboxes
from bots.models import Bot, Strategy
from operations import runner
from operations.models import Operation, State
from operations.runner import Turn
from operations.services import operation_request

ROUNDS = 15
COLUMNS = ("database", "against", "requests", "theirs ms", "panel ms", "ratio", "goal")
#: What is asked of a server for one bot: does the account have the key, does the server know the script and its
#: configuration, and then the deploy.
SEVEN = (
    "/accounts/",
    "/credentials",
    "/scripts/",
    "/config/template",
    "/scripts/configs/",
    "/scripts/configs/",
    "/deploy",
)


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    with new_database() as database, sandboxes(1) as served:
        bots = _bots(served.urls[0], rounds + 2)
        # The first deploy pushes the key and uploads the script, the second one is what is measured.
        for bot in bots[:2]:
            served.requests()
            _deploy(bot)
        everything = served.requests()
        seven = _seven(everything)
        times: dict[str, list[float]] = {"panel": [], "seven calls": [], "everything that it sends": []}
        with requests.Session() as session:
            session.auth = ("admin", "admin")
            for number, bot in enumerate(bots[2:]):
                for name, calls in (("seven calls", seven), ("everything that it sends", everything)):
                    took = _timed(_sending(session, served, calls, f"{name.split()[0]}-{number}"))
                    times[name].append(took)
                times["panel"].append(_timed(lambda deployed=bot: _deploy(deployed)))
    panel = statistics.median(times["panel"])
    return [
        {
            "database": database,
            "against": f"{name}, by a bare script",
            "requests": len(calls),
            "theirs ms": statistics.median(times[name]),
            "panel ms": panel,
            "ratio": panel / statistics.median(times[name]),
            "goal": goal,
        }
        for name, calls, goal in (
            ("seven calls", seven, "≤ 1.5"),
            ("everything that it sends", everything, "≤ 1.15"),
        )
    ]


def _bots(url: str, count: int) -> list[Bot]:
    server = Server.objects.create(name="Near by", base_url=url, username="admin", password="admin")  # noqa: S106
    client = Client(name="Measured", server=server)
    client.full_clean()
    client.save()
    key = ExchangeKey(client=client, connector="bitmart")
    key.set_values({"bitmart_api_key": "a" * 32, "bitmart_secret_key": "b" * 32, "bitmart_memo": "m"})
    key.save()
    settings = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60}
    strategy = Strategy.objects.get(name="spread")
    bots = [
        Bot(
            client=client,
            name=f"Bot {n}",
            strategy=strategy,
            connector="bitmart",
            trading_pair="SHARP/USDT",
            settings=settings,
        )
        for n in range(count)
    ]
    for bot in bots:
        bot.full_clean()
        bot.save()
    return bots


def _deploy(bot: Bot) -> Operation:
    """Deploy it until all that is left is to wait for the bot."""
    operation = operation_request(kind="deploy", subject=bot)
    turn, _ = runner.take_turn(operation.pk)
    operation.refresh_from_db()
    if turn is not Turn.WAITS or operation.state != State.RUNNING:
        raise RuntimeError(f"{operation}: {operation.error_message}")
    return operation


def _seven(everything: list[Any]) -> list[Any]:
    """Pick the seven from what the panel sent, in its order."""
    left, picked = list(everything), []
    for part in SEVEN:
        call = next(call for call in left if part in call[1])
        left.remove(call)
        picked.append(call)
    return picked


def _sending(session: requests.Session, served: Sandboxes, calls: list[Any], name: str) -> Callable[[], None]:
    def send() -> None:
        for method, path, query, body in calls:
            sent = body | {"instance_name": name} if isinstance(body, dict) and "instance_name" in body else body
            url = f"{served.urls[0]}{path}"
            answer = session.request(method, url, params=query, json=sent if method == "POST" else None, timeout=60)
            answer.raise_for_status()

    return send


def _timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def main(rounds: int) -> None:
    print_table("One deploy, waits aside", measure(rounds), COLUMNS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
