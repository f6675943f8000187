from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Activity"

    def ready(self) -> None:
        from audit import recording  # noqa: F401 - listens
