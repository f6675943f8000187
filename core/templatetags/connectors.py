"""A connector on a page: its name, and a badge that says whose money is at stake. Everywhere the same."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.exchanges import title_of
from hummingbot_api.connectors import market_of

register = template.Library()


@register.filter
def connector_title(connector: str) -> str:
    return title_of(connector)


@register.filter
def money_badge(connector: str) -> SafeString:
    """Real money, paper trade or test network."""
    money = market_of(connector).money
    return format_html('<span class="panel-badge is-{}">{}</span>', money.name.lower(), money.value)


@register.filter
def with_badge(connector: str) -> SafeString:
    """Hummingbot's name for it, with the badge."""
    return format_html('<span title="{}">{}</span> {}', title_of(connector), connector, money_badge(connector))
