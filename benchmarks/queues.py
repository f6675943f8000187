"""How many wake-ups a second each queue carries: written by one thread, taken by as many as the workers have.

Run: ``python -m benchmarks.queues``. PostgreSQL is measured where ``DATABASE_URL`` names it, Redis where its server is
installed.
"""

import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.panel import new_database, print_table  # before the panel's own modules

# isort: split
from django.db import connection
from huey import Huey

from controlpanel.queue import PostgresQueue, RedisQueue, SqliteQueue
from controlpanel.soak.processes import Processes

MESSAGES = 2_000
#: Of all workers together.
THREADS = (1, 12, 24, 48)
COLUMNS = ("database", "queue", "threads", "written a second", "taken a second")


def measure(threads: tuple[int, ...] = THREADS) -> list[dict[str, Any]]:
    rows = []
    with new_database() as database, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = Processes(folder, 0, 0)
        stack.callback(processes.end)
        processes.start()
        kinds: dict[str, Any] = {"SQLite": lambda: SqliteQueue("measured", filename=str(folder / "queue.sqlite3"))}
        if database == "PostgreSQL":
            parameters = connection.get_connection_params()
            address = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname")}
            kinds = {"PostgreSQL": lambda: PostgresQueue("measured", blocking=False, **address)}
        elif processes.has_redis:
            kinds["Redis"] = lambda: RedisQueue("measured", url=processes.queue_url)
        for name, make in kinds.items():
            for count in threads:
                written, taken = _rates(make(), count)
                rows.append(
                    {
                        "database": database,
                        "queue": name,
                        "threads": count,
                        "written a second": written,
                        "taken a second": taken,
                    }
                )
    return rows


def _rates(waked: Huey, threads: int) -> tuple[float, float]:
    """Return how many messages a second are written, and how many taken."""
    task = waked.task(name=f"wake{threads}")(lambda number: None)
    begun = time.perf_counter()
    for number in range(MESSAGES):
        task(number)
    written = time.perf_counter() - begun
    left = threading.Semaphore(MESSAGES)

    def take() -> None:
        while left.acquire(blocking=False):
            while waked.dequeue() is None:
                pass

    takers = [threading.Thread(target=take) for _ in range(threads)]
    begun = time.perf_counter()
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    return MESSAGES / written, MESSAGES / (time.perf_counter() - begun)


def main() -> None:
    print_table("Queues", measure(), COLUMNS)


if __name__ == "__main__":
    main()
