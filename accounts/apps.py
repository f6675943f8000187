from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


def add_first_server(**kwargs: object) -> None:
    """A server from ``HUMMINGBOT_API_URL``, when it is set and there is no server yet."""
    from accounts.models import Server

    first = settings.FIRST_SERVER
    if first["base_url"] and not Server.objects.exists():
        server = Server(name="Hummingbot API", **first)
        server.full_clean()
        server.save()


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Clients and servers"

    def ready(self) -> None:
        post_migrate.connect(add_first_server, sender=self)
