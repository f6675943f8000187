"""Times on pages: stored and written in UTC, shown in the reader's zone by ``times.js``, with UTC on hover."""

from datetime import UTC, datetime, timedelta

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

#: What is shown of a time; "ago" is how long it is away.
FORMS = {"second": "j M Y H:i:s", "minute": "j M Y H:i", "short": "j M H:i:s"}


@register.simple_tag
def when(value: datetime | None, form: str = "second", none: str = "—") -> SafeString:
    """Return a moment as an element for users and programs; ``none`` when there is no moment.

    ``form`` is one of ``FORMS``, or "ago". Without scripts, it is in UTC and labeled so.
    """
    if value is None:
        return format_html("{}", none)
    moment = value.astimezone(UTC)
    text = naturaltime(moment) if form == "ago" else f"{date_format(moment, FORMS[form])} UTC"
    title = f"{date_format(moment, FORMS['second'])} UTC"
    return format_html('<time datetime="{}" title="{}" data-when="{}">{}</time>', moment.isoformat(), title, form, text)


@register.filter
def is_moment(value: object) -> bool:
    return isinstance(value, datetime)


@register.filter
def rough_duration(value: timedelta) -> str:
    """Return a duration that is an estimate, in its largest unit or two: “40 s”, “3 min”, “2 h 10 min”."""
    seconds = round(value.total_seconds())
    if seconds < 60:
        return f"{max(seconds, 1)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
