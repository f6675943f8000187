"""The ways out of an incident for its page, which belongs to an app that knows no buttons of bots and servers."""

from typing import Any

from django import template

from bots.models import Bot
from controlpanel.dashboard import alerts
from controlpanel.dashboard.alerts import Step, steps_of
from notifications.models import Incident

register = template.Library()


@register.simple_tag(takes_context=True)
def fix_links(context: dict[str, Any], incident: Incident, subject: Any) -> list[Step]:
    """For a subject that the user of the page may see."""
    return steps_of(incident, context["request"].user, [subject] if isinstance(subject, Bot) else [], is_open=True)


@register.simple_tag(takes_context=True)
def who_can_fix(context: dict[str, Any], incident: Incident) -> str:
    """For a user of the page who may not do what it asks for."""
    return alerts.who_can_fix(incident, context["request"].user)
