"""What a client's profiles are worth, for pages that show a client."""

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone

from accounts.minimums import held_by, in_words
from accounts.models import Client, ExchangeKey
from accounts.portfolio import worths

register = template.Library()


@register.inclusion_tag("accounts/client_balances.html")
def client_balances(client: Client) -> dict[str, Any]:
    """A card with each profile's value, how it changed within a day, and what it consists of."""
    return {"client": client, "worths": worths(client.profiles.all(), timezone.now() - timedelta(days=1))}


@register.inclusion_tag("accounts/key_minimums.html")
def key_minimums(key: ExchangeKey) -> dict[str, Any]:
    """What shall lie at the key's exchange at least, and what does as far as is known."""
    return {"minimums": in_words(key.minimum_balances), "held": held_by([key], timezone.now()).get(key.pk)}
