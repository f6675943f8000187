from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.db.models.signals import post_migrate

from core.migrating import is_up_to_date


def add_bundled_strategies(apps: Any = installed, **kwargs: object) -> None:
    from bots.models import Strategy

    if is_up_to_date(Strategy, apps):
        Strategy.objects.update_bundled()


class BotsConfig(AppConfig):
    name = "bots"
    verbose_name = "Trading"

    def ready(self) -> None:
        # The same way in which Django keeps permissions up to date: the product's strategies come with its code.
        post_migrate.connect(add_bundled_strategies, sender=self)
