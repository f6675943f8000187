"""What a client's profiles are worth, for pages that show a client."""

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone

from accounts.minimums import held_by, in_words
from accounts.models import Client, ExchangeKey
from accounts.portfolio import worth_over_time, worths
from accounts.spans import SPANS

register = template.Library()


@register.inclusion_tag("accounts/client_balances.html")
def client_balances(client: Client) -> dict[str, Any]:
    """A card with what its profiles were worth within a week, each one's value now, and what that consists of."""
    profiles, now, span = client.profiles.all(), timezone.now(), SPANS["week"]
    return {
        "client": client,
        "worths": worths(profiles, now - timedelta(days=1)),
        "over_time": worth_over_time(profiles, span, now),
        "span": span,
    }


@register.inclusion_tag("accounts/key_minimums.html")
def key_minimums(key: ExchangeKey) -> dict[str, Any]:
    """What shall lie at the key's exchange at least, and what does as far as is known."""
    return {"minimums": in_words(key.minimum_balances), "held": held_by([key], timezone.now()).get(key.pk)}
