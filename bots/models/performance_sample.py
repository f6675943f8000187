"""Controllers' figures over time."""

from django.db import models

from bots.models.deployment import Deployment
from core.figures.time_series import SampleQuerySet

#: Characters that are kept of a controller's id. The panel's own are shorter.
MAX_ID = 160


class PerformanceQuerySet(SampleQuerySet):
    series = ("deployment", "controller_id")
    account_manager = "deployment__bot__client__account_manager"


class PerformanceSample(models.Model):
    """A controller's figures at a moment, all in the quote asset, counted since the deployment began."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="performance")
    controller_id = models.CharField("controller", max_length=MAX_ID)
    taken_at = models.DateTimeField()
    realized_pnl_quote = models.FloatField("realized", null=True, help_text="Of closed positions.")
    unrealized_pnl_quote = models.FloatField(
        "unrealized", null=True, help_text="Of open positions, at the price of the time."
    )
    global_pnl_quote = models.FloatField("PnL", null=True, help_text="Realized and unrealized.")
    volume_quote = models.FloatField("volume", null=True, help_text="Sum of all fills.")

    objects = PerformanceQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "controller_id", "taken_at"], name="unique_sample_per_controller_and_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.controller_id} at {self.taken_at:%Y-%m-%d %H:%M}"
