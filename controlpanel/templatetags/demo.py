"""The banner of the demo."""

from typing import Any

from django import template
from django.conf import settings

register = template.Library()


@register.inclusion_tag("controlpanel/demo/banner.html", takes_context=True)
def demo_banner(context: dict[str, Any]) -> dict[str, Any]:
    return {"is_demo": settings.DEMO, "request": context.get("request")}
