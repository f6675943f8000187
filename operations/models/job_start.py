"""When each job of the schedule was last started, by any worker."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now


class JobStart(models.Model):
    """The last start of a job of the schedule: one row per job, however many workers have a timer."""

    name = models.CharField(max_length=80, primary_key=True)
    started_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.started_at:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def claim(cls, name: str, interval: timedelta) -> bool:
        """Return whether this worker is to start the job: true for one of all whose timers have just fired.

        A timer that fires late, up to half an interval, does not start what another one has started in time. Decided by
        a conditional UPDATE and the database's clock.
        """
        if cls.objects.filter(pk=name, started_at__lte=Now() - interval / 2).update(started_at=Now()):
            return True
        _, is_first = cls.objects.get_or_create(name=name, defaults={"started_at": Now()})
        return is_first
