"""What is wrong in a form, for the summary above it."""

from typing import Any

from django import template
from django.forms import BoundField

register = template.Library()


@register.simple_tag(takes_context=True)
def fields_in_error(context: Any) -> list[BoundField]:
    """Return the visible fields of the page's form that were refused, in the order of the page."""
    adminform = context.get("adminform")
    form = adminform.form if adminform is not None else context.get("form")
    if form is None or not hasattr(form, "visible_fields"):
        return []
    refused = {field.name: field for field in form.visible_fields() if field.errors}
    if adminform is None:
        return list(refused.values())
    shown = [name for fieldset in adminform for line in fieldset for name in line.fields]
    return [refused[name] for name in dict.fromkeys(shown) if name in refused]
