"""What bots bought and sold: every fill, once, with the digits of the exchange."""

from decimal import Decimal
from typing import Self

from django.db import models
from django.utils import timezone

from accounts.models import Client
from bots.models import Deployment
from core.fields import ExactDecimalField, OrderedJSONField
from core.visibility import OfClientsQuerySet
from markets.in_market import InMarket


class Side(models.TextChoices):
    BUY = "BUY", "buy"
    SELL = "SELL", "sell"


class Liquidity(models.TextChoices):
    """Whether the order had rested on the book. Only its archive proves that: it has the time when it was placed."""

    MAKER = "maker", "maker"
    TAKER = "taker", "taker"
    UNKNOWN = "", "not known"


class TradeQuerySet(OfClientsQuerySet["Trade"]):
    account_manager = "client__account_manager"

    def in_order(self) -> Self:
        """Sort by time. Trades of one moment have the order of their ids, whichever was read first."""
        return self.alias(id_length=models.functions.Length("exchange_trade_id")).order_by(
            "traded_at", "id_length", "exchange_trade_id", "side"
        )


class Trade(InMarket, models.Model):
    """One fill of one order. It outlives its deployment and its bot: the client's books have to be complete."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="trades")
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.SET_NULL, related_name="trades")
    bot_number = models.PositiveBigIntegerField(
        db_index=True, help_text="The bot's primary key, also when the bot was deleted."
    )
    bot_name = models.CharField("bot", max_length=60)
    connector = models.CharField("exchange", max_length=80)
    trading_pair = models.CharField(max_length=40)
    exchange_trade_id = models.CharField("trade id", max_length=100)
    order_id = models.CharField("order id", max_length=100, blank=True, help_text="The bot's own, from its archive.")
    side = models.CharField(max_length=4, choices=Side)
    price = ExactDecimalField(help_text="In the quote asset.")
    amount = ExactDecimalField(help_text="In the base asset.")
    fees = OrderedJSONField(default=dict, help_text="By asset, as text. Empty when only their value is known.")
    fee_quote = ExactDecimalField("fee", null=True, help_text="In the quote asset. Empty when it can't be converted.")
    liquidity = models.CharField(max_length=5, choices=Liquidity, blank=True, default=Liquidity.UNKNOWN)
    traded_at = models.DateTimeField("time", db_index=True)
    recorded_at = models.DateTimeField(default=timezone.now)

    objects = TradeQuerySet.as_manager()

    class Meta:
        ordering = ["-traded_at", "-pk"]
        default_permissions = ("view",)
        constraints = [
            # An exchange gives both sides of one trade the same id, and a client may be on both.
            models.UniqueConstraint(
                fields=["client", "connector", "trading_pair", "exchange_trade_id", "side"],
                name="unique_trade_per_client_and_market",
            ),
        ]
        indexes = [models.Index(fields=["client", "connector", "trading_pair", "traded_at"])]

    def __str__(self) -> str:
        return f"{self.get_side_display()} {self.amount} {self.trading_pair} at {self.price}"

    @property
    def value(self) -> Decimal:
        """Price times amount, in the quote asset."""
        return self.price * self.amount


class TradeReading(models.Model):
    """How far the trades of a deployment were read."""

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="trade_reading")
    read_at = models.DateTimeField(null=True, help_text="When the bot's own history was last read.")
    counted = models.CharField(
        max_length=60, blank=True, help_text="The run and its number of fills by its report, when the history was read."
    )
    again_from = models.DateTimeField(
        null=True, help_text="From when on the history is read again: after a restart, old fills are booked late."
    )
    again_until = models.DateTimeField(null=True, help_text="How long that is done.")
    tried_at = models.DateTimeField(null=True, help_text="When its archive was last looked for.")
    completed_at = models.DateTimeField(null=True, help_text="When its archive was read, after its end.")
    problem = models.TextField(blank=True, help_text="Why its trades may be incomplete, in a sentence.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Trades of {self.deployment}"


class LedgerDay(models.Model):
    """A bot's ledger in one market at the beginning of a day in UTC, so that not every trade is replayed for a figure.

    A trade that is recorded late removes those after it.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    bot_number = models.PositiveBigIntegerField()
    connector = models.CharField(max_length=80)
    trading_pair = models.CharField(max_length=40)
    day = models.DateField()
    state = models.JSONField(help_text="See ``markets.ledger.Ledger``.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["client", "bot_number", "connector", "trading_pair", "day"], name="unique_ledger_per_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trading_pair} on {self.connector} at {self.day}"
