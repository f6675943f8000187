from django.apps import AppConfig


class CoreConfig(AppConfig):
    """What the pages and models of every app share. It has no models of its own."""

    name = "core"
