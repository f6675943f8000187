"""``manage.py reencrypt``: encrypt every stored secret again with the first of ``FERNET_KEYS``.

After that, the other keys can be removed from the list. Safe to repeat, and to run while the panel works.
"""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core.encryption import EncryptedTextField, Unreadable


class Command(BaseCommand):
    help = "Encrypt every stored secret again with the first of FERNET_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        renewed, unreadable = 0, []
        for model in apps.get_models():
            names = [field.name for field in model._meta.fields if isinstance(field, EncryptedTextField)]
            for pk in model._default_manager.values_list("pk", flat=True) if names else ():
                # Locked, so that a value that a user replaces meanwhile is not overwritten.
                with transaction.atomic():
                    row: Any = model._default_manager.select_for_update().filter(pk=pk).first()
                    if row is None:
                        continue
                    stored = {name: value for name in names if (value := getattr(row, name)) is not None}
                    lost = [name for name, value in stored.items() if isinstance(value, Unreadable)]
                    unreadable += [f"{model._meta.verbose_name} “{row}”" for _ in lost]
                    row.save(update_fields=[name for name in stored if name not in lost])
                    renewed += len(stored) - len(lost)
        self.stdout.write(f"{renewed} secrets are encrypted with the first key.")
        if unreadable:
            raise CommandError(
                f"{len(unreadable)} can't be decrypted with any of FERNET_KEYS: {', '.join(unreadable)}. Add the key "
                "that encrypted them back to the list, or enter them again."
            )
