"""The value of a client's profiles, for pages that show a client."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.template.defaultfilters import floatformat
from django.utils import timezone

from accounts.balances.minimums import balances_by_key, describe
from accounts.balances.portfolio import valuation_history, valuations
from accounts.models import Client, ExchangeKey
from core.figures.time_ranges import SPANS

register = template.Library()

#: Smaller amounts and prices have more decimals than eight that matter.
SMALL = 1e-5


@register.filter
def reported(number: float | None) -> str:
    """Return an amount or a price of a token with the decimals that matter, ``1,234.5`` or ``0.00000000105``."""
    if number is None:
        return "not reported"
    if 0 < abs(number) < SMALL:
        return f"{Decimal(f'{number:.4g}'):f}"
    return str(floatformat(number, "-8g"))


@register.inclusion_tag("accounts/client_balances.html")
def client_balances(client: Client) -> dict[str, Any]:
    """Return a card with the history of its profiles' value within a week, and each one's value and tokens now."""
    profiles, now, span = client.profiles.all(), timezone.now(), SPANS["week"]
    return {
        "client": client,
        "valuations": valuations(profiles, now - timedelta(days=1)),
        "over_time": valuation_history(profiles, span, now),
        "span": span,
    }


@register.inclusion_tag("accounts/key_minimums.html")
def key_minimums(key: ExchangeKey) -> dict[str, Any]:
    """Return the minimum balances at the key's exchange, and the actual ones as far as they are known."""
    return {"minimums": describe(key.minimum_balances), "held": balances_by_key([key], timezone.now()).get(key.pk)}
