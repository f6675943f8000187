"""One step of an operation."""

from datetime import timedelta

from django.db import models
from django.utils import timezone


class StepState(models.TextChoices):
    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    DONE = "done", "done"
    SKIPPED = "skipped", "skipped"
    FAILED = "failed", "failed"


class Step(models.Model):
    """One step of an operation, written before it acts and again after it was answered."""

    operation = models.ForeignKey("operations.Operation", on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=40)
    title = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=StepState, default=StepState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    detail = models.TextField(blank=True, help_text="The outcome of the step, in one sentence.")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "key"], name="unique_step_per_operation"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def duration(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at
