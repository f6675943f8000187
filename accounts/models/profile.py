"""Credentials profiles: a client's account directory on a server, and which keys are in it."""

from django.db import models
from django.utils import timezone

from accounts.models.server import Server


class CredentialsProfile(models.Model):
    """The account directory of one client on one server, as the panel left it and last saw it."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="profiles")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="profiles")
    account_name = models.CharField(max_length=80)
    adopted = models.BooleanField(
        default=False, help_text="It existed before the panel, so the panel never deletes anything in it."
    )
    connectors = models.JSONField(default=list, help_text="The connectors that the server listed in it.")
    verified_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["account_name"]
        constraints = [
            models.UniqueConstraint(fields=["client", "server"], name="unique_profile_per_client_and_server"),
            models.UniqueConstraint(fields=["server", "account_name"], name="unique_account_name_per_profile_server"),
        ]

    def __str__(self) -> str:
        return f"{self.account_name} on {self.server}"

    def fingerprint_of(self, connector: str) -> str | None:
        """Return the fingerprint of the key that the panel last pushed for this connector."""
        return next((p.fingerprint for p in self.pushed_keys.all() if p.connector == connector), None)


class PushedKey(models.Model):
    """The key of a profile for a connector: the fingerprint of what the server accepted.

    Empty from the moment that a key is sent until the server has accepted it.
    """

    profile = models.ForeignKey(CredentialsProfile, on_delete=models.CASCADE, related_name="pushed_keys")
    connector = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=32)
    pushed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "connector"], name="unique_pushed_key_per_profile_and_connector"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connector} in {self.profile}"
