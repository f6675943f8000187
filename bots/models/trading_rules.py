"""Exchanges' trading rules, as servers reported them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import Server
from bots.strategies.amounts import Rules, in_digits, too_narrow, too_small
from bots.strategies.pairs import normalize_pair, read_pair
from hummingbot_api.connectors import real_exchange

#: An older price is not reckoned with. The rules themselves change seldom.
PRICE_MAX_AGE = timedelta(hours=1)


class TradingRulesQuerySet(models.QuerySet["TradingRules"]):
    def of(self, server: Server, connector: str, trading_pair: str) -> "TradingRules | None":
        """Return the stored rules of the market. A paper trade connector has those of its exchange."""
        return self.filter(server=server, connector=real_exchange(connector), trading_pair=trading_pair).first()

    def spelling(self, server_id: int | None, connector: str, text: str) -> str:
        """Return a pair as the exchange spells it, by what is stored of it. Where nothing is, mixed case stays as it
        was entered, and lower case becomes upper case.

        Raises:
            ValidationError: it is not a base and a quote asset.
        """
        entered, suggested = read_pair(text), normalize_pair(text)
        upper = entered.upper()
        if entered == upper:
            return entered
        rows = self.filter(server=server_id, connector=real_exchange(connector), trading_pair__in={entered, upper})
        unlisted = {row.trading_pair: row.unlisted for row in rows if row.unlisted or not row.problem}
        if unlisted.get(entered) is False:
            return entered
        if unlisted.get(upper) is False and (entered in unlisted or suggested == upper):
            return upper
        return entered if unlisted.get(suggested) else suggested


class TradingRules(models.Model):
    """An exchange's rules for orders in a trading pair, and the price there, as of the server's last report."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    connector = models.CharField(max_length=80)
    trading_pair = models.CharField(max_length=40)
    min_order_size = models.FloatField(null=True, help_text="In the base asset.")
    min_notional_size = models.FloatField(null=True, help_text="The minimum value of an order, in the quote asset.")
    min_price_increment = models.FloatField(null=True, help_text="In the quote asset.")
    price = models.FloatField(null=True, help_text="Last traded price, in the quote asset.")
    problem = models.TextField(blank=True, help_text="Why the rules are not available.")
    unlisted = models.BooleanField(default=False, help_text="The exchange reported that it has no such pair.")
    read_at = models.DateTimeField()

    objects = TradingRulesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "trading rules"
        constraints = [
            models.UniqueConstraint(
                fields=["server", "connector", "trading_pair"], name="unique_trading_rules_per_market"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trading_pair} on {self.connector}"

    @property
    def rules(self) -> Rules:
        """To reckon with: the price only while it is recent."""
        recent = timezone.now() - self.read_at < PRICE_MAX_AGE
        return Rules(
            min_order_size=self.min_order_size,
            min_notional_size=self.min_notional_size,
            min_price_increment=self.min_price_increment,
            price=self.price if recent else None,
        )

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the reported rules as labels and texts."""
        base, quote = self.trading_pair.split("-")
        notified = [
            ("Minimum order size", self.min_order_size, base),
            ("Minimum order value", self.min_notional_size, quote),
            ("Price step", self.min_price_increment, quote),
            ("Price at check", self.price, quote),
        ]
        return [(name, f"{in_digits(value)} {asset}" if value else "not available") for name, value, asset in notified]

    def refusals(self, schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the settings with which the exchange would refuse orders, and why, as of when. See
        ``bots.strategies.amounts``.
        """
        as_of = f"(Rules as of {date_format(self.read_at, 'j M Y')}.)"
        refused = too_small(schema, settings, self.rules, self.trading_pair)
        return {name: f"{reason} {as_of}" for name, reason in refused.items()}

    def warnings(self, schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the settings that the exchange takes in another way than they are meant."""
        return too_narrow(schema, settings, self.rules)
