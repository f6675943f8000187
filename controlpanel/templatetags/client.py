"""A client's header above its form, whose app does not depend on bots and markets."""

from django import template

from accounts.models import Client
from controlpanel.places.client_header import ClientHeader, header_of

register = template.Library()


@register.simple_tag
def client_header(client: Client) -> ClientHeader:
    """Return the header of the stored client: a form that was refused has put its own values into the one at hand."""
    return header_of(Client.objects.select_related("server", "account_manager").get(pk=client.pk))
