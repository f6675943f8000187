"""What a client's profiles are worth, for pages that show a client."""

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone

from accounts.models import Client
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
