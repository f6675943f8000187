"""What is kept of a deployment beyond its present state: its log, and its controllers' figures over time."""

from typing import Any, Self

from django.db import models

from accounts.models import Client, sees_every_client
from accounts.samples import SampleQuerySet

#: Characters that are kept of a controller's id. The panel's own are shorter.
LONGEST_ID = 160


class PerformanceQuerySet(SampleQuerySet):
    series = ("deployment", "controller_id")

    def visible_to(self, user: Any) -> Self:
        return self if sees_every_client(user) else self.filter(deployment__bot__client__account_manager=user)


class PerformanceSample(models.Model):
    """A controller's figures at a moment, all in the quote asset, counted since the deployment began."""

    deployment = models.ForeignKey("bots.Deployment", on_delete=models.CASCADE, related_name="performance")
    controller_id = models.CharField("controller", max_length=LONGEST_ID)
    taken_at = models.DateTimeField()
    realized_pnl_quote = models.FloatField("realized", null=True, help_text="Of what was closed.")
    unrealized_pnl_quote = models.FloatField("unrealized", null=True, help_text="Of what is open, at the price then.")
    global_pnl_quote = models.FloatField("profit and loss", null=True, help_text="Both together.")
    volume_quote = models.FloatField("volume", null=True, help_text="Sum of all fills.")

    objects = PerformanceQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "controller_id", "taken_at"], name="one_sample_of_a_controller_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.controller_id} at {self.taken_at:%Y-%m-%d %H:%M}"


class LogKind(models.TextChoices):
    """The two lists in which a server keeps a bot's log."""

    ERROR = "error", "errors"
    GENERAL = "general", "everything else"


class LogLineQuerySet(models.QuerySet["LogLine"]):
    def visible_to(self, user: Any) -> Self:
        return self.filter(deployment__bot__client__in=Client.objects.visible_to(user))


class LogLine(models.Model):
    """An entry of a bot's log, its secrets masked. The message may be a whole traceback."""

    deployment = models.ForeignKey("bots.Deployment", on_delete=models.CASCADE, related_name="log_lines")
    kind = models.CharField(max_length=10, choices=LogKind)
    level = models.CharField(max_length=20, blank=True)
    logger = models.CharField(max_length=200, blank=True)
    message = models.TextField()
    logged_at = models.DateTimeField(help_text="On the bot's clock.")
    digest = models.CharField(max_length=32, help_text="Of level, logger and message: entries come again.")

    objects = LogLineQuerySet.as_manager()

    class Meta:
        ordering = ["-logged_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "kind", "logged_at", "digest"], name="a_log_line_stands_once"
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
