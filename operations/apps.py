from django.apps import AppConfig
from django.db.models.signals import pre_migrate
from django.utils.module_loading import autodiscover_modules

from core.migrating import require_known_history


class OperationsConfig(AppConfig):
    name = "operations"
    verbose_name = "Administration"

    def ready(self) -> None:
        # Each app registers its operations in its own ``operations.py``.
        autodiscover_modules("operations")
        pre_migrate.connect(require_known_history, sender=self)
