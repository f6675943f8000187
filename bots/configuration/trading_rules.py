"""Exchanges' trading rules: read through a server, stored for the forms, and read again before a deployment."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import timezone

from accounts.models import Server
from accounts.servers.connection import talking_to
from bots.models import Bot, MarketListing, TradingRules
from bots.problems import PairNotListed, TradingRuleBroken
from bots.strategies.amounts import amounts_in, too_wide
from bots.strategies.pairs import spellings
from hummingbot_api.connectors import real_exchange
from hummingbot_api.errors import HummingbotAPIError
from operations.kinds import NotDone

#: The server queries the exchange, which may hang: seconds to wait, without a retry.
PATIENCE = {"long_read_timeout": 30.0, "read_retries": 0}


def rules_read(*, server: Server, connector: str, trading_pair: str) -> TradingRules:
    """Have the server query the exchange now, and store the rules, or the reason why there are none.

    The rules may be those of another spelling: of the pair as given or in upper case, the one that the exchange lists.
    """
    exchange, spelled = real_exchange(connector), spellings(trading_pair)
    with talking_to(server, **PATIENCE) as api:
        found: dict[str, Any] = {"problem": "", "unlisted": False}
        try:
            listed = api.connectors.trading_rules(exchange, spelled)
            trading_pair = next((pair for pair in spelled if pair in listed), trading_pair)
            rule = listed.get(trading_pair)
            if rule is None:
                found["problem"] = (
                    f"{exchange} does not list {' or '.join(spelled)}. Correct the pair. It is case-sensitive."
                )
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


def pairs_read(*, server: Server, connector: str) -> MarketListing:
    """Have the server query the exchange for all of its pairs now, and store them.

    Raises:
        ExchangeUnreachable, UnknownConnector, ServerFailed
    """
    exchange = real_exchange(connector)
    with talking_to(server, **PATIENCE) as api:
        pairs = api.connectors.trading_pairs(exchange)
    listing, _ = MarketListing.objects.update_or_create(
        server=server, connector=exchange, defaults={"pairs": pairs, "read_at": timezone.now()}
    )
    return listing


def rules_check(
    *, rules: TradingRules, schema: Mapping[str, Any], settings: Mapping[str, Any], unlisted: bool = False
) -> str:
    """Check settings against the rules, and return the findings as text.

    Args:
        unlisted: a user vouches that the pair is traded, whatever the server reports.

    Raises:
        TradingRuleBroken: the exchange would reject the orders.
        PairNotListed
    """
    if rules.unlisted and not unlisted:
        raise PairNotListed(rules.problem)
    if rules.problem:
        return NotDone(
            f"The amounts were not checked: the server could not provide the exchange's rules. ({rules.problem})"
        )
    if wrong := rules.refusals(schema, settings):
        raise TradingRuleBroken(" ".join(f"{name}: {reason}" for name, reason in wrong.items()))
    notes = "".join(f" Warning for {name}: {reason}" for name, reason in rules.warnings(schema, settings).items())
    if not amounts_in(schema):
        return f"The rules of {rules} were read. The strategy's schema defines no amounts to check.{notes}"
    without = "" if rules.price else " No price was available, so checks that need one were skipped."
    return f"The amounts comply with the rules of {rules}.{without}{notes}"


def doubts(bot: Bot, rules: TradingRules | None) -> Iterator[str]:
    """Return the settings that may be typos, by what is known about the bot's market."""
    schema = bot.strategy.settings_schema
    for name, reason in too_wide(schema, bot.settings).items():
        yield f"{name}: {reason}"
    if rules is not None and not rules.problem:
        for name, reason in rules.warnings(schema, bot.settings).items():
            yield f"{name}: {reason}"


def save_warnings(bot: Bot) -> Iterator[str]:
    """Return warnings about a saved bot that are no reason to reject it."""
    rules = bot.trading_rules
    yield from doubts(bot, rules)
    if (rules is None or rules.problem) and amounts_in(bot.strategy.settings_schema):
        why = f"could not be read from the server ({rules.problem})" if rules else "have not been read yet"
        yield (
            f"The amounts were not checked: {real_exchange(bot.connector)}'s trading rules for {bot.trading_pair} "
            f"{why}. Use “Check” on the bot's page to read them."
        )
