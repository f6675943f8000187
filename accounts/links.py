"""Links to the pages on which a server, a key or a client's onboarding is fixed."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from accounts.models import Client, ClientStatus, Server


def server_page(server: Server) -> tuple[str, str]:
    return f"Open the server {server}", server.get_absolute_url()


def key_page(client: Client, connector: str = "") -> tuple[str, str]:
    """Return the client's key for a connector, or for its only one; where to add it when there is none."""
    keys = [key for key in client.keys.all() if key.connector == connector or not connector]
    if len(keys) == 1:
        return f"Open the {keys[0].connector} key", keys[0].get_absolute_url()
    if keys:
        return (
            "Open the client's keys",
            f"{reverse('admin:accounts_exchangekey_changelist')}?client__id__exact={client.pk}",
        )
    query = urlencode({"client": client.pk, "connector": connector})
    return "Add the exchange key", f"{reverse('admin:accounts_exchangekey_add')}?{query}"


def onboarding_page(subject: Any) -> tuple[str, str] | None:
    """Return the page on which onboarding continues for the client of ``subject``; nothing when no app has one."""
    client: Client = subject if isinstance(subject, Client) else subject.client
    if client.status != ClientStatus.ONBOARDING:
        return None
    return f"Continue onboarding {client}", reverse("onboard_resume", args=[client.pk])
