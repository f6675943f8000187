"""The processes of a soak: a queue's server, workers and web servers, each with connections of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import urlopen

from django.conf import settings

from controlpanel.demo.ports import free_port

Process = subprocess.Popen[bytes]
#: How long a process may take to answer after its start, in seconds.
PATIENCE = 120
FIRST_REDIS_PORT = 6390


class Processes:
    """Starts, kills and ends them.

    Args:
        folder: for their logs.
        environment: what they are given beside this process's own. Without a ``QUEUE_URL`` they get a Redis of theirs.

    Attributes:
        killed: how many of each kind were killed.
    """

    def __init__(self, folder: Path, workers: int, webs: int, **environment: str) -> None:
        self.killed: Counter[str] = Counter()
        self._folder = folder
        self._redis_port = free_port(FIRST_REDIS_PORT) if shutil.which("redis-server") else 0
        self._environment = os.environ | {"LOG_LEVEL": "INFO"} | environment
        self.queue_url = f"redis://127.0.0.1:{self._redis_port}/0" if self._redis_port else ""
        if self.queue_url and "QUEUE_URL" not in environment:
            self._environment["QUEUE_URL"] = self.queue_url
        self._redis: Process | None = None
        self._workers: list[Process] = []
        self._webs: list[Process] = []
        self._sizes = workers, webs
        self.urls: list[str] = []

    @property
    def has_redis(self) -> bool:
        return bool(self._redis_port)

    @property
    def logs(self) -> list[Path]:
        """What the workers have logged, those that were killed included."""
        return sorted(self._folder.glob("worker*.log"))

    @property
    def worker_pid(self) -> int:
        """Of the first worker."""
        return self._workers[0].pid

    def start(self) -> None:
        if self._redis_port:
            self._start_redis()
        workers, webs = self._sizes
        port = 8700
        for number in range(webs):
            port = free_port(port)
            self._webs.append(self._start_web(number, port))
            self.urls.append(f"http://127.0.0.1:{port}")
            port += 1
        for number in range(workers):
            self._workers.append(self._start_worker(number))
        for url in self.urls:
            _wait_for(f"{url}/healthz")

    def kill_worker(self, number: int) -> None:
        """Kill a worker as a host does that has run out of memory, and start its successor. The first one stays, so
        that the growth of its memory can be measured.
        """
        self._workers[number].kill()
        self._workers[number].wait()
        self.killed["workers"] += 1
        self._workers[number] = self._start_worker(number)

    def restart_redis(self) -> None:
        """Kill the queue's server, with everything that was queued, and start it again at the same address."""
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait()
            self.killed["queue"] += 1
            self._start_redis()

    def memory(self) -> dict[str, float]:
        """Return the resident memory of a worker and of a web process that were never killed, in MB."""
        return {"worker": resident(self._workers[0].pid), "web": sum(map(resident, _family(self._webs[0].pid)))}

    def end(self) -> None:
        running = [*self._webs, *self._workers, *([self._redis] if self._redis else [])]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_redis(self) -> None:
        self._redis = subprocess.Popen(  # noqa: S603 - arguments of our own
            [
                *(shutil.which("redis-server") or "redis-server", "--port", str(self._redis_port)),
                *("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self._folder)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _start_worker(self, number: int) -> Process:
        with (self._folder / f"worker{number}.log").open("ab") as log:
            return self._start([sys.executable, "manage.py", "run_huey"], log)

    def _start_web(self, number: int, port: int) -> Process:
        command = [sys.executable, "-m", "gunicorn", "controlpanel.wsgi", "--bind", f"127.0.0.1:{port}"]
        with (self._folder / f"web{number}.log").open("ab") as log:
            return self._start([*command, "--workers", "1", "--threads", "4", "--log-level", "warning"], log)

    def _start(self, command: list[str], log: BinaryIO) -> Process:
        return subprocess.Popen(  # noqa: S603 - arguments of our own
            command,
            cwd=settings.BASE_DIR,
            env=self._environment,
            start_new_session=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def resident(pid: int) -> float:
    """Return the memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _family(pid: int) -> list[int]:
    """Return a process and its children: gunicorn's work is done by a child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
