"""The way to a page, for its header."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import reverse
from django.utils.text import capfirst

from controlpanel.navigation import way_to
from core.http import own_page

register = template.Library()


@dataclass(frozen=True)
class Part:
    """A part of the way: a place, a list or an object. ``url`` is empty where there is no page."""

    title: str
    url: str


@register.simple_tag(takes_context=True)
def page_way(context: dict[str, Any]) -> list[Part]:
    """Return the parts of the way to the page, the last one naming the page or its object.

    Names of objects stay as they are written: an instance's begins with a small letter.
    """
    opts, shown = context.get("opts"), context.get("original") or context.get("object")
    if opts is None:
        return [Part(context.get("title") or "", "")]
    way = [Part(title, str(link)) for title, link in way_to(opts.label_lower)]
    if not way:
        changelist = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        way = [Part(capfirst(opts.verbose_name_plural), changelist)]
    if shown and not isinstance(shown, str):
        form = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[shown.pk])
        way.append(Part(str(shown), own_page(shown) or form))
    return way
