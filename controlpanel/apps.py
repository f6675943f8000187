import logging
from contextlib import nullcontext
from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.conf import settings
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from core.logs.records import LogRecord
from core.migrating import acting_as_panel, is_up_to_date
from core.version import VERSION


def update_roles(apps: Any = installed, **kwargs: object) -> None:
    from controlpanel.access.roles import roles_update
    from controlpanel.models import RoleGrant

    if not is_up_to_date(RoleGrant, apps):
        return
    # What an upgrade grants is recorded. A new panel's roles are what the documentation says.
    is_upgrade = RoleGrant.objects.exists()
    with acting_as_panel(apps) if is_upgrade else nullcontext():
        roles_update()


def set_canary(apps: Any = installed, **kwargs: object) -> None:
    from controlpanel.starting.canary import ensure_canary
    from core.encryption import models_with_secrets

    if all(is_up_to_date(model, apps) for model, _ in models_with_secrets()):
        ensure_canary()


def end_idle_transactions(connection: Any, **kwargs: object) -> None:
    """Let PostgreSQL end a transaction in which nothing is done, and free its rows: of a process that was frozen in the
    middle of it, or whose host is gone. Every worker that claims operations would wait for them.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SET idle_in_transaction_session_timeout = %s", [int(settings.OPERATIONS["IDLE_IN_TRANSACTION"] * 1000)]
            )


class ControlPanelConfig(AppConfig):
    name = "controlpanel"

    def ready(self) -> None:
        logging.setLogRecordFactory(LogRecord)
        installed.get_app_config("auth").verbose_name = "Users and roles"
        # This app comes last in INSTALLED_APPS: by its turn Django has made the permissions of all others.
        post_migrate.connect(update_roles, sender=self)
        post_migrate.connect(set_canary, sender=self)
        connection_created.connect(end_idle_transactions)
        if settings.SENTRY_DSN:
            from controlpanel.observability.error_reports import report_errors

            report_errors(settings.SENTRY_DSN, release=VERSION, environment=settings.ENVIRONMENT)
