"""Living through a past: the sandbox and the panel read the same clock, which stands some weeks back and jumps."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

from django.conf import settings
from django.utils import timezone
from huey.contrib.djhuey import HUEY

from sandbox.clock import Clock

#: How much faster than the wall's the clock passes while an operation works on something.
SPEED = 60
#: The same where seconds count: a log that comes late proves no cancel.
CAREFUL = 10


class Past:
    """A time that has been, for this process alone: no other one may use the database meanwhile."""

    def __init__(self, begin: datetime) -> None:
        self.clock = Clock(SPEED, begin.timestamp())
        self.clock.stop()

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def jump(self, until: datetime) -> None:
        """Let everything happen that happens up to then; nothing, if it has passed already."""
        self.clock.advance(max(0.0, until.timestamp() - self.clock.now()))

    @contextmanager
    def passing(self, speed: float = SPEED) -> Iterator[None]:
        """Let the time pass, many times as fast as on the wall."""
        self.clock.speed = speed
        self.clock.resume()
        try:
            yield
        finally:
            self.clock.stop()

    @contextmanager
    def present(self) -> Iterator[Self]:
        """Be what Django takes for the present. Operations run at once, and poll often what they wait for."""
        clock = self.clock

        class EarlierTime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return cls.fromtimestamp(clock.now(), tz)

        poll, immediate = settings.FLEET["POLL"], HUEY.immediate
        timezone.datetime = EarlierTime  # type: ignore[attr-defined]  # all that asks for the time asks ``timezone``
        settings.FLEET["POLL"], HUEY.immediate = 0.05, True
        try:
            yield self
        finally:
            timezone.datetime = datetime  # type: ignore[attr-defined]
            settings.FLEET["POLL"], HUEY.immediate = poll, immediate


def before(moment: datetime, **ago: float) -> datetime:
    return moment - timedelta(**ago)
