"""What bots quote: the latest report of each, and its counters over time."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from django.db import models

from bots.models import Deployment
from core.fields import ExactDecimalField
from core.figures.time_series import SampleQuerySet
from core.visibility import OfClientsQuerySet

#: No run is longer, whatever a bot says.
LONGEST_RUN = timedelta(days=3650)


class ReportSource(models.TextChoices):
    REPORT = "report", "the bot's report"
    LOG = "log", "from the log"
    NONE = "", "not reported"


class QuoteStateQuerySet(OfClientsQuerySet["QuoteState"]):
    account_manager = "deployment__bot__client__account_manager"


class QuoteState(models.Model):
    """What a deployment quoted when it was last read. See ``docs/reports.md``."""

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="quote_state")
    source = models.CharField(max_length=6, choices=ReportSource, blank=True)
    read_at = models.DateTimeField()
    reported_at = models.DateTimeField(null=True, help_text="On the bot's clock.")
    run_started_at = models.DateTimeField(null=True, help_text="On the bot's clock.")
    final = models.BooleanField(default=False, help_text="The last report before a stop.")
    mid_price = ExactDecimalField(null=True)
    best_bid = ExactDecimalField(null=True)
    best_ask = ExactDecimalField(null=True)
    orders = models.JSONField(default=list, help_text="See ``markets.report_format.QuotedOrder``.")
    balances = models.JSONField(default=dict, help_text="By asset: total and available, as text.")
    not_quoting = models.TextField(blank=True)
    rejections = models.PositiveIntegerField(null=True)
    last_rejection = models.TextField(blank=True)
    last_rejection_at = models.DateTimeField(null=True)
    performance = models.JSONField(default=dict, help_text="The bot's own figures, in the quote asset.")
    missing = models.JSONField(default=list, help_text="The parts of a report that it does not have.")
    problem = models.TextField(blank=True, help_text="Why the report could not be read, in a sentence.")

    both_sides = models.BooleanField(default=False, editable=False, help_text="Whether it has bids and asks.")
    spread = models.FloatField(null=True, editable=False, help_text="Between them, in percent of the mid price.")

    objects = QuoteStateQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Quotes of {self.deployment}"

    def save(self, **options: Any) -> None:
        """Save it with what its orders amount to: of all bots together, only the database can tell in time."""
        bid, ask = self.best_prices
        self.both_sides, spread = bid is not None and ask is not None, self.exact_spread
        self.spread = None if spread is None else float(spread)
        if options.get("update_fields") is not None:
            options["update_fields"] = {*options["update_fields"], "both_sides", "spread"}
        super().save(**options)

    @property
    def best_prices(self) -> tuple[Decimal | None, Decimal | None]:
        """The bot's own best bid and ask; ``None`` where a side has no order."""
        bids, asks = ([Decimal(o["price"]) for o in self.orders if o["side"] == side] for side in ("buy", "sell"))
        return max(bids, default=None), min(asks, default=None)

    @property
    def exact_spread(self) -> Decimal | None:
        """Between them, in percent of the mid price; ``None`` while a side or the mid price is missing."""
        bid, ask = self.best_prices
        if bid is None or ask is None or not self.mid_price:
            return None
        return (ask - bid) / Decimal(self.mid_price) * 100


class QuoteSampleQuerySet(SampleQuerySet):
    # The last sample of a run has all that was counted in it.
    series = ("deployment", "run_started_at")
    kept_in_detail = timedelta(days=7)
    account_manager = "deployment__bot__client__account_manager"

    def edges(self) -> Self:
        """Return the first and the last sample of each deployment among these."""
        ends = self.order_by().values("deployment").annotate(first=models.Min("pk"), last=models.Max("pk"))
        pks = [pk for row in ends for pk in (row["first"], row["last"])]
        return self.model._default_manager.filter(pk__in=pks)


class QuoteSample(models.Model):
    """A report's counters at a moment. Counted since the run began: what happened in a time is a difference of two.

    Times are on the panel's clock, except ``run_started_at``, which only identifies the run.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="quote_samples")
    taken_at = models.DateTimeField()
    run_started_at = models.DateTimeField()
    mid_price = ExactDecimalField(null=True)
    base_total = ExactDecimalField(null=True, help_text="The account's balance of the base asset.")
    quote_total = ExactDecimalField(null=True, help_text="And of the quote asset.")
    #: In seconds, percent times seconds, and quote value times seconds by distance: see ``docs/reports.md``.
    running = models.FloatField(default=0.0)
    connected = models.FloatField(default=0.0)
    quoting = models.FloatField(default=0.0)
    spread = models.FloatField(default=0.0)
    bid_depth = models.JSONField(default=dict)
    ask_depth = models.JSONField(default=dict)
    #: The open orders' value by distance at the moment itself, for the share of the order book.
    bid_value = models.JSONField(default=dict)
    ask_value = models.JSONField(default=dict)

    objects = QuoteSampleQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "taken_at"], name="unique_quote_sample_per_deployment_and_time"
            ),
        ]
        indexes = [models.Index(fields=["taken_at"])]

    def __str__(self) -> str:
        return f"{self.deployment} at {self.taken_at:%Y-%m-%d %H:%M}"

    @property
    def began_at(self) -> datetime:
        """When its run began, on the panel's clock."""
        return self.taken_at - timedelta(seconds=min(self.running, LONGEST_RUN.total_seconds()))

    def counters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("running", "connected", "quoting", "spread")}
