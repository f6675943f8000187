"""What a contract with a client promises of a market, and how it was kept."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from accounts.models import Client
from bots.models import normalize_pair
from core.exchanges import title_of
from core.fields import plain
from core.visibility import OfClientsQuerySet
from markets.in_market import InMarket
from markets.report_format import DISTANCES

DAY_SECONDS = 24 * 60 * 60


class Period(models.TextChoices):
    DAY = "day", "each day"
    MONTH = "month", "each month"


class ObligationQuerySet(OfClientsQuerySet["Obligation"]):
    account_manager = "client__account_manager"

    def active(self) -> Self:
        return self.filter(active=True)


class Obligation(InMarket, models.Model):
    """The quotes that a client's contract asks for in one market. Empty limits are not part of it.

    It is kept while orders on both sides meet every limit. Times are in UTC.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="obligations")
    connector = models.CharField("exchange", max_length=80)
    trading_pair = models.CharField(max_length=40, help_text="Base and quote asset: SHARP-USDT")
    max_spread_percent = models.DecimalField(
        "largest spread",
        max_digits=8,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="In percent of the mid price, between the best bid and the best ask of the client's bots.",
    )
    min_depth_quote = models.DecimalField(
        "least depth per side",
        max_digits=24,
        decimal_places=8,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Value of the orders on each side, in the quote asset.",
    )
    depth_within_percent = models.CharField(
        "within",
        max_length=4,
        choices=[(distance, f"{distance} %") for distance in DISTANCES],
        default=DISTANCES[-1],
        help_text="Orders count for the depth up to this distance from the mid price.",
    )
    min_uptime_percent = models.DecimalField(
        "least uptime",
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Percent of the time in which the limits above have to be met.",
    )
    uptime_period = models.CharField("uptime counts", max_length=5, choices=Period, default=Period.MONTH)
    hours_from = models.TimeField(
        "from", null=True, blank=True, help_text="In UTC, if the contract has hours. Empty for the whole day."
    )
    hours_to = models.TimeField("to", null=True, blank=True, help_text="In UTC. May be on the next day.")
    alert_after_minutes = models.PositiveSmallIntegerField(
        "report after",
        default=30,
        validators=[MinValueValidator(1)],
        help_text="Minutes for which the obligation has to be broken before an incident opens.",
    )
    active = models.BooleanField(default=True, help_text="Turn this off when the contract ends. Its history stays.")

    judged_until = models.DateTimeField(null=True, editable=False)
    broken_since = models.DateTimeField(null=True, editable=False)
    reason = models.TextField(
        blank=True, editable=False, help_text="Why it is broken or not measured at present, in a sentence."
    )

    objects = ObligationQuerySet.as_manager()

    class Meta:
        ordering = ["client", "connector", "trading_pair"]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "connector", "trading_pair"],
                name="unique_obligation_per_client_and_market",
                violation_error_message="The client already has an obligation in this market.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trading_pair} on {title_of(self.connector)} for {self.client}"

    def get_absolute_url(self) -> str:
        return reverse("admin:markets_obligation_change", args=[self.pk])

    def clean(self) -> None:
        self.trading_pair = normalize_pair(self.trading_pair)
        errors: dict[str, str] = {}
        if (self.hours_from is None) != (self.hours_to is None):
            errors["hours_to"] = "Enter both times, or neither."
        if self.max_spread_percent is None and self.min_depth_quote is None and self.min_uptime_percent is None:
            errors["max_spread_percent"] = "Enter at least one of largest spread, least depth and least uptime."
        if errors:
            raise ValidationError(errors)

    @property
    def server(self) -> Any:
        """Where its client's bots run by default."""
        return self.client.server

    @property
    def terms(self) -> str:
        """What it asks for, in a sentence."""
        parts = []
        if self.max_spread_percent is not None:
            parts.append(f"spread up to {plain(self.max_spread_percent)} %")
        if self.min_depth_quote is not None:
            depth = f"{plain(self.min_depth_quote)} {self.quote_asset}"
            parts.append(f"at least {depth} per side within {self.depth_within_percent} %")
        if self.min_uptime_percent is not None:
            parts.append(f"{plain(self.min_uptime_percent)} % of {self.get_uptime_period_display()}")
        if self.hours_from and self.hours_to:
            parts.append(f"{self.hours_from:%H:%M} to {self.hours_to:%H:%M} UTC")
        return ", ".join(parts)

    def applies_at(self, moment: datetime) -> bool:
        """Return whether the contract's hours include a moment."""
        if self.hours_from is None or self.hours_to is None or self.hours_from == self.hours_to:
            return True
        at = moment.astimezone(UTC).time()
        if self.hours_from < self.hours_to:
            return self.hours_from <= at < self.hours_to
        return at >= self.hours_from or at < self.hours_to

    @property
    def seconds_per_day(self) -> int:
        """Seconds of a day to which the contract applies."""
        if self.hours_from is None or self.hours_to is None or self.hours_from == self.hours_to:
            return DAY_SECONDS
        begin, end = _seconds_of(self.hours_from), _seconds_of(self.hours_to)
        return (end - begin) % DAY_SECONDS

    def seconds_left(self, now: datetime, until: date) -> float:
        """Return the seconds from now to the end of a day's eve to which the contract applies.

        Args:
            until: the first day that does not count any more.
        """
        now = now.astimezone(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        left, moment, step = 0.0, now, timedelta(minutes=1)
        while moment < midnight:
            following = min(moment + step, midnight)
            if self.applies_at(moment):
                left += (following - moment).total_seconds()
            moment = following
        return left + self.seconds_per_day * max(0, (until - midnight.date()).days)


class ObligationDay(models.Model):
    """How an obligation was kept on a day in UTC, in seconds of the contract's hours."""

    obligation = models.ForeignKey(Obligation, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    met = models.FloatField(default=0.0)
    broken = models.FloatField(default=0.0)
    not_measured = models.FloatField(default=0.0)

    class Meta:
        ordering = ["-day"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["obligation", "day"], name="unique_day_per_obligation"),
        ]

    def __str__(self) -> str:
        return f"{self.obligation} on {self.day}"


def _seconds_of(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second
