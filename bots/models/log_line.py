"""What bots logged, as far as it is stored."""

from django.db import models

from bots.models.deployment import Deployment
from core.visibility import OfClientsQuerySet


class LogKind(models.TextChoices):
    """The two lists in which a server keeps a bot's log."""

    ERROR = "error", "errors"
    GENERAL = "general", "other"


class LogLineQuerySet(OfClientsQuerySet["LogLine"]):
    account_manager = "deployment__bot__client__account_manager"


class LogLine(models.Model):
    """An entry of a bot's log, its secrets masked. The message may be a whole traceback."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="log_lines")
    kind = models.CharField(max_length=10, choices=LogKind)
    level = models.CharField(max_length=20, blank=True)
    logger = models.CharField(max_length=200, blank=True)
    message = models.TextField()
    logged_at = models.DateTimeField(help_text="On the bot's clock.")
    digest = models.CharField(
        max_length=32, help_text="Of level, logger and message, because the server repeats entries."
    )

    objects = LogLineQuerySet.as_manager()

    class Meta:
        ordering = ["-logged_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "kind", "logged_at", "digest"], name="unique_log_line_per_deployment"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.headline}"

    @property
    def headline(self) -> str:
        """The message's first line."""
        return self.message.partition("\n")[0]

    @property
    def rest(self) -> str:
        """What follows it: a traceback, mostly."""
        return self.message.partition("\n")[2].rstrip()

    @property
    def cause(self) -> str:
        """The last line of what follows, where a traceback names the exception."""
        return self.rest.rpartition("\n")[2].strip()
