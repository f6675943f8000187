"""A term with its meaning: on hover, and behind a link for users without a mouse."""

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify

from core.glossary import GLOSSARY

register = template.Library()


@register.simple_tag
def word(name: str, shown: str = "") -> SafeString:
    """``{% word "Instance" "instance" %}``, where a page uses it first. An unknown one is a mistake of the template."""
    place = f"{reverse('glossary')}#{slugify(name)}"
    return format_html('<a class="panel-word" href="{}" title="{}">{}</a>', place, GLOSSARY[name], shown or name)
