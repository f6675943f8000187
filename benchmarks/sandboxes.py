"""Sandboxes in a process of their own, as slow as a real server was measured to be.

A deploy blocks its server for 0.34 s and each key that is pushed for 2 s, every other request takes 10 ms, and a bot
has connected 20 s after its deploy.
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from sandbox import Sandbox

#: Of every request, in seconds.
LATENCY = 0.01


@dataclass
class Sandboxes:
    """Attributes:
    urls: one for each.
    """

    urls: list[str]
    _ask: Connection

    def requests(self) -> list[tuple[str, str, dict[str, str], object]]:
        """Return what the first of them was sent since the last call: method, path, query, JSON."""
        self._ask.send("requests")
        received: list[tuple[str, str, dict[str, str], object]] = self._ask.recv()
        return received

    def live(self) -> int:
        """Return how many instances live on all of them."""
        self._ask.send("live")
        return int(self._ask.recv())


@contextmanager
def sandboxes(count: int, speed: float = 1, latency: float = LATENCY) -> Iterator[Sandboxes]:
    """Serve as many, until the block is left."""
    context = multiprocessing.get_context("spawn")
    ask, answer = context.Pipe()
    process = context.Process(target=_serve, args=(answer, count, speed, latency), daemon=True)
    process.start()
    try:
        yield Sandboxes(ask.recv(), ask)
    finally:
        ask.send("end")
        process.join(10)
        process.kill()


def _serve(answer: Connection, count: int, speed: float, latency: float) -> None:
    with ExitStack() as stack:
        serving = [stack.enter_context(Sandbox(speed=speed).serve()) for _ in range(count)]
        for sandbox in serving:
            sandbox.faults.add("slow", seconds=latency)
        answer.send([sandbox.url for sandbox in serving])
        while (asked := answer.recv()) != "end":
            answer.send(_answers(serving)[asked]())


def _answers(serving: list[Sandbox]) -> dict[str, Any]:
    def requests() -> list[Any]:
        received = [(r.method, r.path, r.query, r.json) for r in serving[0].requests]
        serving[0].requests.clear()
        return received

    return {"requests": requests, "live": lambda: sum(len(sandbox.world.live()) for sandbox in serving)}
