"""The bell of the header."""

from typing import Any

from django import template
from django.conf import settings

from notifications.bell import bell_of

register = template.Library()


@register.inclusion_tag("notifications/bell.html", takes_context=True)
def bell(context: dict[str, Any]) -> dict[str, Any]:
    """Show the bell to users who may see incidents, once they are admitted."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if user is None or not user.is_active or not user.has_perm("notifications.view_incident"):
        return {}
    if settings.REQUIRE_SECOND_FACTOR and not user.is_verified():
        return {}
    return {"bell": bell_of(user)}
