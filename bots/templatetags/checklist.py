"""The client's checklist for the client page, whose app does not depend on bots."""

from typing import Any

from django import template

from accounts.models import Client
from bots.reporting.checklist import Checklist, checklist_for

register = template.Library()


@register.simple_tag(takes_context=True)
def client_checklist(context: dict[str, Any], client: Client) -> Checklist:
    """Return the checklist as the user of the page sees it."""
    return checklist_for(client, context["request"].user)
