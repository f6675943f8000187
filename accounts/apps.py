from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models.signals import post_migrate

from core.migrating import acting_as_panel, is_up_to_date


def add_first_server(apps: Any = installed, **kwargs: object) -> None:
    """Add a server from ``HUMMINGBOT_API_URL``, when it is set and there is no server yet."""
    from accounts.models import Server

    first = settings.FIRST_SERVER
    if first["base_url"] and is_up_to_date(Server, apps) and not Server.objects.exists():
        server = Server(name="Hummingbot API", **first)
        try:
            server.full_clean()
        except ValidationError as error:
            wrong = " ".join(f"{field}: {' '.join(words)}" for field, words in error.message_dict.items())
            wrong = wrong.replace("turn on “Allow unencrypted”", "set HUMMINGBOT_API_ALLOW_UNENCRYPTED=true")
            raise CommandError(f"HUMMINGBOT_API_URL, _USERNAME or _PASSWORD is not valid. {wrong}") from None
        with acting_as_panel(apps):
            server.save()


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Clients and servers"

    def ready(self) -> None:
        post_migrate.connect(add_first_server, sender=self)
