"""The controllers that servers offer. Observed, never edited."""

from typing import Self

from django.db import models

from accounts.models.server import VERSION_LENGTH, Server
from core.visibility import AnyUser


class ControllerQuerySet(models.QuerySet["Controller"]):
    def visible_to(self, user: AnyUser) -> Self:
        return self.filter(server__in=Server.objects.visible_to(user))

    def in_short(self) -> Self:
        """Leave out the settings, which are long."""
        return self.defer("settings")


class Controller(models.Model):
    """A controller that a server offers, with the settings that the server reported. Observed, never edited."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="controllers")
    controller_type = models.CharField("type", max_length=255)
    name = models.CharField(max_length=255)
    settings = models.JSONField(default=list, help_text="As ``hummingbot_api.results.ControllerSetting``, in order.")
    problem = models.TextField(blank=True, help_text="Why the server can't report its settings.")
    version = models.CharField(
        max_length=VERSION_LENGTH, blank=True, help_text="The server's version when it reported them."
    )
    read_at = models.DateTimeField()

    objects = ControllerQuerySet.as_manager()

    class Meta:
        ordering = ["controller_type", "name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "controller_type", "name"], name="unique_controller_per_server"),
        ]

    def __str__(self) -> str:
        return f"{self.controller_type}/{self.name}"

    def is_outdated(self, version: str) -> bool:
        """Return whether a server of this version must be read again."""
        return bool(self.problem) or self.version != version
