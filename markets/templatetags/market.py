"""A bot's market on the bot's page, whose app does not depend on markets; and amounts as exchanges write them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone

from bots.models import Bot, Deployment
from core.fields import plain
from markets.figures.books import MarketNow
from markets.figures.bot_charts import RANGES, BotCharts, Range, bot_charts
from markets.figures.bot_market import BotMarket, bot_market
from markets.figures.quotes_now import QuotesNow, quotes_by_bot, quotes_of

register = template.Library()

#: Digits of an exact amount that are shown: prices and sizes of exchanges have no more that matter.
SIGNIFICANT = 10


def is_unknown(value: Any) -> bool:
    """Return whether there is no value: a template's lookup in nothing is empty."""
    return value is None or value == ""


@register.simple_tag
def charts_of_bot(bot: Bot, span: str) -> BotCharts:
    return bot_charts(bot, RANGES.get(span, RANGES["day"]), timezone.now())


@register.simple_tag
def ranges_of_charts() -> dict[str, Range]:
    return RANGES


@register.simple_tag
def market_of_bot(bot: Bot) -> BotMarket | None:
    return bot_market(bot, timezone.now())


@register.simple_tag
def quotes_of_bot(bot: Bot) -> QuotesNow | None:
    """Return what the bot's instance quotes; ``None`` if it has none."""
    deployment = bot.open_deployment
    return quotes_by_bot([deployment], timezone.now())[bot.pk] if deployment else None


@register.simple_tag
def quotes_in_row(deployment: Deployment | None) -> QuotesNow | None:
    """Return what a deployment quotes, whose last report was read together with it; ``None`` without an instance."""
    if deployment is None:
        return None
    return quotes_of(deployment, getattr(deployment, "quote_state", None), timezone.now())


@register.filter
def share(market: MarketNow, of: str) -> str:
    """Return the bots' share of the order book: ``of`` is a side and a distance, “bid 2”."""
    return percent(market.share(*of.split()))


@register.filter
def exact(value: Any) -> str:
    """Return a price or a size with its own digits, ``1,600`` or ``0.012462``; a dash if unknown."""
    if is_unknown(value):
        return "—"
    number = Decimal(str(value))
    if number and len(number.as_tuple().digits) > SIGNIFICANT:
        number = number.quantize(Decimal(1).scaleb(number.adjusted() - SIGNIFICANT + 1))
    return f"{Decimal(plain(number)):,f}"


@register.filter
def average(value: Any) -> str:
    """Return an average price, with as many digits as a price has."""
    if is_unknown(value):
        return "—"
    return money(value) if abs(value) >= 10_000 else exact(_rounded(value, 6))


@register.filter
def money(value: Any) -> str:
    """Return a sum of money with its cents, ``-1,234.50``, and more digits only if it is smaller; a dash if unknown."""
    if is_unknown(value):
        return "—"
    number = Decimal(str(value))
    if number == 0 or abs(number) >= Decimal("0.1"):
        return f"{number:,.2f}"
    return f"{number:.{2 - number.adjusted()}f}" if number.adjusted() > -9 else "0.00"


@register.filter
def signed(value: Any) -> str:
    """Return a profit with its sign, ``+12.40`` or ``-3.10``."""
    text = money(value)
    return text if text.startswith(("-", "—")) or not text.strip("0.,") else f"+{text}"


@register.filter
def percent(value: Any) -> str:
    """Return a fraction in percent, ``99.4 %``; a dash if unknown."""
    if is_unknown(value):
        return "—"
    number = float(value) * 100
    if number < 1 and number != 0:
        return f"{_rounded(number, 2)} %"
    if 99.95 <= number < 100:
        return f"{int(number * 100) / 100:.2f} %"  # not the whole: nothing is rounded up to it
    return f"{number:.1f} %"


@register.filter
def change(value: Any) -> str:
    """Return a fraction by which something changed, ``+12 %``; a dash if unknown."""
    return "—" if is_unknown(value) else f"{float(value):+,.0%}".replace("%", " %")


@register.filter
def in_percent(value: Any) -> str:
    """Return what is in percent already, ``0.61 %``."""
    return "—" if is_unknown(value) else f"{_rounded(value, 3)} %"


@register.filter
def basis_points(value: Any) -> str:
    """Return a distance in basis points, ``+30.4``."""
    return "—" if is_unknown(value) else f"{float(value):+.1f}"


@register.filter
def short_age(value: timedelta | None) -> str:
    """Return a duration in its largest unit, ``45 s``, ``3 min``, ``2 h``; a dash if unknown."""
    if value is None:
        return "—"
    seconds = int(value.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _rounded(value: Any, digits: int) -> str:
    """Return a number with so many significant digits, and without an exponent."""
    return plain(Decimal(f"{float(value):.{digits}g}"))
