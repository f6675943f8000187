"""What a user typed into a form that could not be saved, kept for a short time."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.encryption import EncryptedTextField

#: How long a draft is kept. Secrets may be among what was typed.
KEPT_FOR = timedelta(hours=1)


class FormDraftQuerySet(models.QuerySet["FormDraft"]):
    def prune(self) -> None:
        self.filter(saved_at__lt=timezone.now() - KEPT_FOR).delete()


class FormDraft(models.Model):
    """What a user typed into one form, encrypted. It is for the browser in which it was typed, and for that user.

    Attributes:
        browser: a hash of what the browser's cookie holds.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200)
    browser = models.CharField(max_length=64)
    encrypted_values = EncryptedTextField()
    saved_at = models.DateTimeField()

    objects = FormDraftQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["user", "path"], name="unique_draft_per_user_and_form"),
        ]

    def __str__(self) -> str:
        return f"Draft of {self.path}"

    @property
    def values(self) -> dict[str, list[str]]:
        """What was typed, by the fields' names; nothing when it can't be decrypted any more."""
        if not isinstance(self.encrypted_values, str):
            return {}
        values: dict[str, Any] = json.loads(self.encrypted_values)
        return values
