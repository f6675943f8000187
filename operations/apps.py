from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OperationsConfig(AppConfig):
    name = "operations"
    verbose_name = "Administration"

    def ready(self) -> None:
        # Each app says in its own ``operations.py`` what it can do to the outside.
        autodiscover_modules("operations")
