from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.db.models.signals import post_migrate


def update_roles(apps: Any = installed, **kwargs: object) -> None:
    try:
        apps.get_model("controlpanel", "RoleGrant")
    except LookupError:  # migrated to a state in which there are no roles yet
        return
    from controlpanel.roles import roles_update

    roles_update()


class ControlPanelConfig(AppConfig):
    name = "controlpanel"

    def ready(self) -> None:
        installed.get_app_config("auth").verbose_name = "Users and roles"
        # This app comes last in INSTALLED_APPS: by its turn Django has made the permissions of all others.
        post_migrate.connect(update_roles, sender=self)
