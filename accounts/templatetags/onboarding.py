"""How many clients are on their way in, for the button that leads to them."""

from typing import Any

from django import template

from accounts.models import Client, ClientStatus

register = template.Library()


@register.simple_tag(takes_context=True)
def clients_being_onboarded(context: dict[str, Any]) -> int:
    """Return the clients being onboarded that the user of the page may see."""
    return Client.objects.visible_to(context["request"].user).filter(status=ClientStatus.ONBOARDING).count()
