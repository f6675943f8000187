from django.apps import AppConfig


class JsonApiConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "json_api"
    verbose_name = "JSON API"

    def ready(self) -> None:
        from json_api import problems  # noqa: F401 - part of the catalog from now on
