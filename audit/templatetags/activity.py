"""The quick filters above the list of activity."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django import template
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from audit.models import ABOUT, Outcome

register = template.Library()

#: Each with the filters' parameter and value.
CHIPS = (
    ("Today", "day", "today"),
    ("Yesterday", "day", "yesterday"),
    ("Last 7 days", "day", "week"),
    ("Failed", "outcome", Outcome.FAILED.value),
    ("In progress", "outcome", Outcome.ACTIVE.value),
)


@dataclass(frozen=True)
class Chip:
    """A filter that a click adds to those that are chosen, or removes again."""

    title: str
    link: str
    is_chosen: bool


@register.filter
def activity_url(row: Model) -> str:
    """Return the address of the list of what was done to a row, and of what it did itself if it is a user."""
    about = urlencode({ABOUT: f"{row._meta.label_lower}:{row.pk}"})
    return f"{reverse('admin:audit_auditevent_changelist')}?{about}"


@register.filter
def chips(request: HttpRequest) -> list[Chip]:
    """Return the quick filters for the list as it is filtered now."""
    return [_chip(request, *chip) for chip in CHIPS]


def _chip(request: HttpRequest, title: str, parameter: str, value: str) -> Chip:
    query = request.GET.copy()
    is_chosen = query.get(parameter) == value
    query.pop("p", None)
    if is_chosen:
        del query[parameter]
    else:
        query[parameter] = value
    return Chip(title, f"?{query.urlencode()}", is_chosen)
