from django.apps import AppConfig
from django.db.models.signals import post_migrate


def add_bundled_strategies(**kwargs: object) -> None:
    from bots.strategies import bundled

    bundled.add_or_update()


class BotsConfig(AppConfig):
    name = "bots"
    verbose_name = "Trading"

    def ready(self) -> None:
        # The same way in which Django keeps permissions up to date: the product's strategies come with its code.
        post_migrate.connect(add_bundled_strategies, sender=self)
