"""The sandbox's time, which can run faster than the wall's."""

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, passing ``speed`` times as fast as on the wall since the clock was made.

    Args:
        begin: what it shows at first, for a past that is to be lived through; ``None`` for the wall's time.
    """

    def __init__(self, speed: float = 1.0, begin: float | None = None) -> None:
        if speed <= 0:
            raise ValueError("speed must be greater than 0")
        self.speed = speed
        self._epoch = time.time() if begin is None else begin
        self._origin = time.monotonic()
        self._stopped = False

    def now(self) -> float:
        """Return the sandbox's time in epoch seconds; it never goes back."""
        if self._stopped:
            return self._epoch
        return self._epoch + (time.monotonic() - self._origin) * self.speed

    def stop(self) -> None:
        """Stand still from now on, for tests that compare the same moment. It can still jump."""
        self._epoch, self._stopped = self.now(), True

    def resume(self) -> None:
        """Run again from where it stands, after a stop."""
        if self._stopped:
            self._origin, self._stopped = time.monotonic(), False

    def advance(self, seconds: float) -> None:
        """Jump forward at once."""
        self._epoch += seconds

    async def sleep(self, seconds: float) -> None:
        """Let sandbox seconds pass while other requests are served."""
        await asyncio.sleep(seconds / self.speed)

    def block(self, seconds: float) -> None:
        """Let sandbox seconds pass while nothing else is served."""
        time.sleep(seconds / self.speed)


def utc(moment: float) -> datetime:
    """Return the moment (epoch seconds) as a date in UTC."""
    return datetime.fromtimestamp(moment, UTC)
