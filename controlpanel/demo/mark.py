"""By what a process knows that a running demo has started it. The settings read this: nothing of Django is here."""

import fcntl
from collections.abc import Mapping
from pathlib import Path

#: What the demo gives to the processes that it starts: its own number.
MARK = "PERCH_DEMO_PROCESS"
#: Locked, with that number in it, for as long as the demo lives.
LOCK = "demo.lock"


def is_of_running_demo(environment: Mapping[str, str], folder: Path, *, production: bool) -> bool:
    """Return whether a demo that still runs has started this process: it holds a lock for as long as it lives."""
    if production or not environment.get(MARK, "").isdigit():
        return False
    try:
        with (folder / LOCK).open() as lock:
            holder = lock.read().strip()
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return holder == environment[MARK]
    except OSError:
        return False
    return False
