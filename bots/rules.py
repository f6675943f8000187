"""Exchanges' trading rules, as servers told them: kept for the forms, read anew before a deployment."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import Server
from accounts.operations import talking_to
from bots.problems import PairNotListed, TradingRuleBroken
from bots.strategies.amounts import Rules, amounts_in, in_digits, too_narrow, too_small, too_wide
from hummingbot_api.connectors import real_exchange
from hummingbot_api.errors import HummingbotAPIError

if TYPE_CHECKING:
    from bots.models import Bot

#: An older price is not reckoned with. The rules themselves change seldom.
PRICE_COUNTS_FOR = timedelta(hours=1)
#: The server asks the exchange, which may hang: seconds to wait, once.
PATIENCE = {"long_read_timeout": 30.0, "read_retries": 0}


class TradingRulesQuerySet(models.QuerySet["TradingRules"]):
    def of(self, server: Server, connector: str, trading_pair: str) -> "TradingRules | None":
        """What is stored for the market. A paper trade connector's rules are those of the exchange it simulates."""
        return self.filter(server=server, connector=real_exchange(connector), trading_pair=trading_pair).first()


class TradingRules(models.Model):
    """What an exchange asks of orders for a trading pair, and the price there, when a server was last asked."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    connector = models.CharField(max_length=80)
    trading_pair = models.CharField(max_length=40)
    min_order_size = models.FloatField(null=True, help_text="In the base asset.")
    min_notional_size = models.FloatField(null=True, help_text="What an order must be worth, in the quote asset.")
    min_price_increment = models.FloatField(null=True, help_text="In the quote asset.")
    price = models.FloatField(null=True, help_text="Last traded, in the quote asset.")
    problem = models.TextField(blank=True, help_text="Why the rules can't be told.")
    unlisted = models.BooleanField(default=False, help_text="The exchange was asked, and has no such pair.")
    read_at = models.DateTimeField()

    objects = TradingRulesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "trading rules"
        constraints = [
            models.UniqueConstraint(
                fields=["server", "connector", "trading_pair"], name="trading_rules_stand_once_for_a_market"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trading_pair} on {self.connector}"

    @property
    def rules(self) -> Rules:
        """To reckon with: the price only while it is recent."""
        recent = timezone.now() - self.read_at < PRICE_COUNTS_FOR
        return Rules(
            min_order_size=self.min_order_size,
            min_notional_size=self.min_notional_size,
            min_price_increment=self.min_price_increment,
            price=self.price if recent else None,
        )

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was told, in words."""
        base, quote = self.trading_pair.split("-")
        told = [
            ("Smallest order", self.min_order_size, base),
            ("Smallest order value", self.min_notional_size, quote),
            ("Price step", self.min_price_increment, quote),
            ("Price then", self.price, quote),
        ]
        return [(name, f"{in_digits(value)} {asset}" if value else "not told") for name, value, asset in told]

    def refusals(self, schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """The settings with which the exchange would refuse orders, and why, as of when. See
        ``bots.strategies.amounts``.
        """
        as_of = f"(Its rules were read {date_format(self.read_at, 'j M Y')}.)"
        refused = too_small(schema, settings, self.rules, self.trading_pair)
        return {name: f"{reason} {as_of}" for name, reason in refused.items()}

    def warnings(self, schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """The settings that the exchange takes in another way than they are meant."""
        return too_narrow(schema, settings, self.rules)


def rules_read(*, server: Server, connector: str, trading_pair: str) -> TradingRules:
    """Have the server ask the exchange now, and keep what it tells, or why it tells nothing."""
    exchange = real_exchange(connector)
    with talking_to(server, **PATIENCE) as api:
        found: dict[str, Any] = {"problem": "", "unlisted": False}
        try:
            rule = api.connectors.trading_rules(exchange, [trading_pair]).get(trading_pair)
            if rule is None:
                found["problem"] = f"{exchange} does not list {trading_pair}: check how the pair is written."
                found["unlisted"] = True
        except HummingbotAPIError as problem:
            rule, found["problem"] = None, problem.message
        for name in ("min_order_size", "min_notional_size", "min_price_increment"):
            found[name] = getattr(rule, name, None)
        try:
            found["price"] = api.connectors.prices(exchange, [trading_pair]).get(trading_pair) if rule else None
        except HummingbotAPIError:  # the rules are of use without it
            found["price"] = None
    rules, _ = TradingRules.objects.update_or_create(
        server=server,
        connector=exchange,
        trading_pair=trading_pair,
        defaults=found | {"read_at": timezone.now()},
    )
    return rules


def rules_check(
    *, rules: TradingRules, schema: Mapping[str, Any], settings: Mapping[str, Any], unlisted: bool = False
) -> str:
    """Hold settings against rules; what was found, in words.

    Args:
        unlisted: somebody answers for it that the pair is traded, whatever the server says.

    Raises:
        TradingRuleBroken: the exchange would refuse the orders.
        PairNotListed
    """
    if rules.unlisted and not unlisted:
        raise PairNotListed(rules.problem)
    if rules.problem:
        return f"The amounts were not checked: the server could not provide the exchange's rules. ({rules.problem})"
    if wrong := rules.refusals(schema, settings):
        raise TradingRuleBroken(" ".join(f"{name}: {reason}" for name, reason in wrong.items()))
    notes = "".join(f" But {name}: {reason}" for name, reason in rules.warnings(schema, settings).items())
    if not amounts_in(schema):
        return f"The rules of {rules} were read; the strategy's schema names no amounts to check.{notes}"
    without = "" if rules.price else " No price could be had, so what depends on it was not checked."
    return f"The amounts fit the rules of {rules}.{without}{notes}"


def save_warnings(bot: "Bot") -> Iterator[str]:
    """What is to be known about a bot that was saved, and is no reason to refuse it."""
    rules, schema = bot.trading_rules, bot.strategy.settings_schema
    for name, reason in too_wide(schema, bot.settings).items():
        yield f"{name}: {reason}"
    if rules is not None and not rules.problem:
        for name, reason in rules.warnings(schema, bot.settings).items():
            yield f"{name}: {reason}"
    elif amounts_in(schema):
        why = f"could not be provided by the server ({rules.problem})" if rules else "have not been read yet"
        yield (
            f"The amounts were not checked: {real_exchange(bot.connector)}'s trading rules for {bot.trading_pair} "
            f"{why}. Press “Check” on the bot's page to read them."
        )
