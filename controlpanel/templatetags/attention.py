"""The fix links of an incident for its page, whose app does not depend on the buttons of bots and servers."""

from typing import Any

from django import template

from bots.models import Bot
from controlpanel.places import fix_links as links
from controlpanel.places.fix_links import Step, steps_of
from notifications.models import Incident

register = template.Library()


@register.simple_tag(takes_context=True)
def fix_links(context: dict[str, Any], incident: Incident, subject: Any) -> list[Step]:
    """Return the fix links for a subject that the user of the page may see."""
    return steps_of(incident, context["request"].user, [subject] if isinstance(subject, Bot) else [], is_open=True)


@register.simple_tag(takes_context=True)
def who_can_fix(context: dict[str, Any], incident: Incident) -> str:
    """Return a sentence for a user of the page without permission to fix the incident."""
    return links.who_can_fix(incident, context["request"].user)
