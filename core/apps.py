from django.apps import AppConfig
from django.db.models.signals import pre_save

from core.encryption import store_as_serialized


class CoreConfig(AppConfig):
    """What the pages and models of every app share. It has no models of its own."""

    name = "core"

    def ready(self) -> None:
        pre_save.connect(store_as_serialized)
