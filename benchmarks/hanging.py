"""How much servers that hang delay the polls of the others: connections are accepted, and nothing is ever answered.

Run: ``python -m benchmarks.hanging [hanging] [well]``. The polls are those of a worker, in its threads; time passes as
on the clock, about three minutes.
"""

import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.panel import new_database, print_table  # before the panel's own modules

# isort: split
from django.conf import settings
from django.utils import timezone

from accounts.models import Server
from benchmarks.poll import answers_of_one, make_fleet, multiplied, serving
from bots.tasks import poll_fleet

HANGING, WELL, BOTS = 60, 40, 50
ROUNDS = 6
COLUMNS = ("database", "servers that hang", "round", "polls of those", "median delay s", "longest delay s")


@contextmanager
def hanging() -> Iterator[str]:
    """Yield the address of a server that accepts connections and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _polled(names: str) -> dict[int, Any]:
    servers = Server.objects.filter(name__startswith=names)
    return dict(servers.values_list("pk", "checked_at"))


def _round() -> tuple[list[float], int]:
    """Start the polls that are due, as the timer does. Return how long after that each server that is well had been
    polled, and how many were polled that hang.
    """
    before, hung_before, begun = _polled("well"), _polled("hangs"), timezone.now()
    poll_fleet.call_local()
    time.sleep(settings.FLEET["INTERVAL"] - 0.5)
    delays = [
        (checked_at - begun).total_seconds() if checked_at != before[pk] else float("inf")
        for pk, checked_at in _polled("well").items()
    ]
    hung = sum(checked_at != hung_before[pk] for pk, checked_at in _polled("hangs").items())
    return delays, hung


def measure(counts: tuple[int, int] = (HANGING, WELL), rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row for each round: first without servers that hang, then with them."""
    rows, (bad, well) = [], counts
    with new_database() as database, ExitStack() as stack:
        answers = multiplied(answers_of_one(), BOTS)
        for number in range(well):
            make_fleet(stack.enter_context(serving(answers)), BOTS, name=f"well {number}")
        for count, several in ((0, 2), (bad, rounds)):
            Server.objects.bulk_create(
                Server(name=f"hangs {n}", base_url=stack.enter_context(hanging()), password="x")  # noqa: S106
                for n in range(count)
            )
            for number in range(several):
                delays, hung = _round()
                rows.append(
                    {
                        "database": database,
                        "servers that hang": count,
                        "round": number + 1,
                        "polls of those": hung,
                        "median delay s": statistics.median(delays),
                        "longest delay s": max(delays),
                    }
                )
    return rows


def main(counts: tuple[int, ...]) -> None:
    print_table(
        "The polls of servers that are well",
        measure((*counts, *(HANGING, WELL)[len(counts) :])),  # type: ignore[arg-type]
        COLUMNS,
    )


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])))
