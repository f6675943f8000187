"""What a client's profiles are worth, for pages that show a client."""

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone

from accounts.models import Client
from accounts.portfolio import worths

register = template.Library()


@register.inclusion_tag("accounts/client_balances.html")
def client_balances(client: Client) -> dict[str, Any]:
    """A card with each profile's value, how it changed within a day, and what it consists of."""
    return {"client": client, "worths": worths(client.profiles.all(), timezone.now() - timedelta(days=1))}
