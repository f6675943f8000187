"""Whether ``FERNET_KEYS`` and ``SECRET_KEY`` are the ones that the database was used with.

Each installation has a known text, encrypted like its secrets: the canary. With other keys it can't be read.
"""

import logging
import sys

from django.db import DatabaseError, connection, transaction

from controlpanel.models import CANARY, Installation, secret_key_mark
from controlpanel.queue import reason
from core.encryption import as_stored, current_keys, is_opened_by, models_with_secrets

logger = logging.getLogger(__name__)

#: From a database that is older than the canary, so many secrets of each model are tried instead.
TRIED = 100
#: Milliseconds that a start waits for a database that is being migrated.
PATIENCE = 5_000

WRONG_FERNET_KEYS = (
    "FERNET_KEYS can't decrypt what is in this database. Put the key back that it was used with: as the only one, or "
    "after the new one (FERNET_KEYS=new,old). If that key is lost, run “python manage.py reencrypt --key-is-lost”: it "
    "names what has to be entered again."
)
OTHER_SIGNING_KEY = (
    "SECRET_KEY is not the one that this database was used with. Everyone is signed out, recovery codes and links in "
    "invitations are void, and an exchange key that is entered again counts as changed. Put the previous one back, or, "
    "if you changed it on purpose, run “python manage.py reencrypt” once."
)


def ensure_canary() -> Installation | None:
    """Return the row that has the canary. It is created with the current keys, unless what is stored needs others."""
    if (row := Installation.current()) is not None or not _reads_any_secret():
        return row
    row, _ = Installation.objects.get_or_create(pk=1)
    return row


def keys_fit() -> bool:
    """Return whether the current ``FERNET_KEYS`` decrypt what is stored."""
    row = Installation.objects.only("canary").first()
    return row.canary == CANARY if row is not None else _reads_any_secret()


def secret_key_fits() -> bool:
    """Return whether ``SECRET_KEY`` is the one with which exchange keys and codes were hashed."""
    mark = Installation.objects.values_list("secret_key_mark", flat=True).first()
    return mark in {None, secret_key_mark()}


def require_right_keys() -> None:
    """Exit with a sentence when ``FERNET_KEYS`` are wrong, and log one when ``SECRET_KEY`` has changed.

    A database that is out of reach, or that was not migrated yet, keeps nothing from starting.

    Raises:
        SystemExit: with that sentence; the process's exit status is 1.
    """
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE}")
            if Installation._meta.db_table not in connection.introspection.table_names():
                return
            fit, same_secret_key = keys_fit(), secret_key_fits()
    except DatabaseError as error:
        logger.warning("Whether FERNET_KEYS fit the database could not be checked at this start. %s", reason(error))
        return
    if not fit:
        sys.exit(f"The control panel does not start:\n- {WRONG_FERNET_KEYS}")
    if not same_secret_key:
        logger.warning(OTHER_SIGNING_KEY)


def _reads_any_secret() -> bool:
    """Return whether a stored secret can be decrypted, or there is none. Single ones may have been lost long ago."""
    found = False
    for model, fields in models_with_secrets():
        if model is Installation:
            continue
        for values in model._base_manager.order_by("-pk").values_list(*map(as_stored, fields))[:TRIED]:
            stored = [bytes(value) for value in values if value is not None]
            if any(is_opened_by(current_keys(), value) for value in stored):
                return True
            found = found or bool(stored)
    return not found
