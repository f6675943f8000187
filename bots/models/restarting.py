"""Whether a bot is started again after a crash, and when. See ``bots.operations.restarts``."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

#: How the panel keeps the bot running; its instance knows nothing of it.
RESTARTING = ("restart_policy", "max_restarts_per_hour")
OBSERVED_RESTARTS = ("restart_due_at", "restarts_exhausted_at")
MAX_RESTARTS = 20


class RestartPolicy(models.TextChoices):
    """What the panel does when a bot has crashed."""

    NEVER = "never", "never"
    AFTER_CRASH = "after_crash", "after a crash"


class Restarting(models.Model):
    """The part of a bot that is about its restarts."""

    restart_policy = models.CharField(
        "restart",
        max_length=12,
        choices=RestartPolicy,
        default=RestartPolicy.NEVER,
        help_text="After a crash, the panel cancels the orders that the bot left open, then starts it again. It never "
        "starts what somebody stopped or paused.",
    )
    max_restarts_per_hour = models.PositiveSmallIntegerField(
        "restarts per hour",
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RESTARTS)],
        help_text="After so many restarts within an hour, the bot stays as it is and an incident is opened.",
    )
    restart_due_at = models.DateTimeField(
        null=True, editable=False, help_text="When it is started again after a crash."
    )
    restarts_exhausted_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when it is not started again, until a person acts."
    )

    class Meta:
        abstract = True
