"""The bell of the header."""

from typing import Any

from django import template

from core.second_factor import has_second_factor, needs_second_factor
from notifications.bell import bell_of

register = template.Library()


@register.inclusion_tag("notifications/bell.html", takes_context=True)
def bell(context: dict[str, Any]) -> dict[str, Any]:
    """Show the bell to users who may see incidents, once they are admitted."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_active or not user.has_perm("notifications.view_incident"):
        return {}
    if needs_second_factor(user) and not has_second_factor(request):
        return {}
    return {"bell": bell_of(user)}
