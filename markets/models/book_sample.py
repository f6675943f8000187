"""Order books of the markets in which bots quote, once a minute."""

from datetime import timedelta
from decimal import Decimal

from django.db import models

from accounts.models import Server
from core.fields import ExactDecimalField
from core.figures.time_series import SampleQuerySet


class BookSampleQuerySet(SampleQuerySet):
    series = ("server", "connector", "trading_pair")
    kept_in_detail = timedelta(days=7)


class BookSample(models.Model):
    """A market at a moment, as a server saw it; with a ``problem`` instead of prices when it could not be read.

    ``bid_depth`` and ``ask_depth`` are the value of all orders in the quote asset, by distance from the mid price in
    percent; ``None`` where the levels that were read end within the distance.
    """

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="book_samples")
    connector = models.CharField(max_length=80)
    trading_pair = models.CharField(max_length=40)
    taken_at = models.DateTimeField()
    best_bid = ExactDecimalField(null=True)
    best_ask = ExactDecimalField(null=True)
    bid_depth = models.JSONField(default=dict)
    ask_depth = models.JSONField(default=dict)
    problem = models.TextField(blank=True)

    objects = BookSampleQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["server", "connector", "trading_pair", "taken_at"],
                name="unique_book_sample_per_market",
            ),
        ]
        indexes = [models.Index(fields=["connector", "trading_pair", "taken_at"])]

    def __str__(self) -> str:
        return f"{self.trading_pair} on {self.connector} at {self.taken_at:%Y-%m-%d %H:%M}"

    @property
    def mid_price(self) -> Decimal | None:
        """Between the best bid and the best ask, in the quote asset; ``None`` when a side is empty."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return (self.best_bid + self.best_ask) / 2

    @property
    def spread_percent(self) -> Decimal | None:
        """The distance of the best ask from the best bid, in percent of the mid price."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return (self.best_ask - self.best_bid) / (self.best_bid + self.best_ask) * 200
