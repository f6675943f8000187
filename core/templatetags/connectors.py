"""A connector on a page: its name, and a badge with its account type. The same on all pages."""

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
def account_type_badge(connector: str) -> SafeString:
    """Real money, paper trade or test network."""
    account_type = market_of(connector).account_type
    return format_html('<span class="panel-badge is-{}">{}</span>', account_type.name.lower(), account_type.value)


@register.filter
def with_badge(connector: str) -> SafeString:
    """Return the exchange's name, with the badge; Hummingbot's own name for it is its tooltip."""
    return format_html('<span title="{}">{}</span> {}', connector, title_of(connector), account_type_badge(connector))
