"""The button that starts an emergency stop, and the banner while one is in force."""

from typing import Any

from django import template

from accounts.models import Client, Server
from bots.models import may_stop
from bots.models.emergency_stop import in_force_for

register = template.Library()


@register.inclusion_tag("bots/emergency_stop_button.html", takes_context=True)
def emergency_stop_button(context: dict[str, Any], subject: Client | Server | None = None) -> dict[str, Any]:
    """Offer an emergency stop of a client or a server, or of everything."""
    client = subject if isinstance(subject, Client) else None
    server = subject if isinstance(subject, Server) else None
    query = f"?client={client.pk}" if client else f"?server={server.pk}" if server else ""
    return {"may_stop": may_stop(context["request"].user, client, server), "query": query}


@register.inclusion_tag("bots/emergency_stop_banner.html", takes_context=True)
def emergency_stop_banner(context: dict[str, Any]) -> dict[str, Any]:
    user = getattr(context.get("request"), "user", None)
    allowed = user is not None and user.is_authenticated and user.has_perm("bots.view_bot")
    return {"stops": in_force_for(user) if allowed and user else ()}
