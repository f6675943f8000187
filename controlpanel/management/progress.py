"""Progress of a long command: how many, how fast, how long still. Silent where nobody looks at a terminal."""

import sys
import time
from typing import Any, TextIO

#: Seconds between two updates of the line.
UPDATED_EVERY = 0.5


class Progress:
    """One line that replaces itself.

    Args:
        total: of what ``advance`` counts; 0 when that is not known.
    """

    def __init__(self, label: str, total: int, out: TextIO | Any = None) -> None:
        self.label, self.total, self.done = label, total, 0
        self.out = out or sys.stderr
        self.shown = bool(getattr(self.out, "isatty", lambda: False)())
        self._began = self._updated = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if self.shown and (now - self._updated >= UPDATED_EVERY or self.done >= self.total):
            self._updated = now
            self.out.write(f"\r\x1b[2K{self.text(now - self._began)}")
            self.out.flush()

    def text(self, seconds: float) -> str:
        """Return ``Reading: 12,000 of 40,000 (1,200/s, 0:23 left)``."""
        rate = self.done / max(seconds, 0.001)
        of = f" of {self.total:,}" if self.total else ""
        left = round((self.total - self.done) / rate) if self.total > self.done and rate else 0
        until = f", {left // 60}:{left % 60:02} left" if left else ""
        return f"{self.label}: {self.done:,}{of} ({rate:,.0f}/s{until})"

    def end(self) -> None:
        if self.shown:
            self.out.write("\n")
            self.shown = False
