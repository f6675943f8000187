"""What ``post_migrate`` does with this release's models, in databases that are not, or no longer, as it needs them."""

from typing import Any

from django.db import models


def is_up_to_date(model: type[models.Model], apps: Any) -> bool:
    """Whether the table of a model is there, with the columns that this release's code reads and writes.

    It is not after ``manage.py migrate bots 0001``. The migration that completes it sends the signal once more.

    Args:
        apps: what the signal says that the database has now.
    """
    try:
        migrated = apps.get_model(model._meta.label)
    except LookupError:
        return False
    return _columns(migrated) == _columns(model)


def _columns(model: type[models.Model]) -> set[str | None]:
    return {field.column for field in model._meta.local_concrete_fields}
