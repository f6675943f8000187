"""What is checked when a process starts: that its keys fit its database. A wrong one is named then, not at a click."""

from collections.abc import Sequence

import django
from django.db import connections

#: Commands that wrong keys don't keep from running: those that repair this, that move the database as it is, and those
#: that don't read it. Any other command is refused.
NEED_NO_KEYS = frozenset(
    {
        *("backup", "check", "dbshell", "migrate", "reencrypt", "restore"),
        *("collectstatic", "demo", "diffsettings", "errors", "findstatic", "glossary", "help", "makemigrations"),
        *("sandbox", "showmigrations", "sqlmigrate", "version"),
    }
)


def check_command(argv: Sequence[str]) -> None:
    """Check before a management command.

    Raises:
        SystemExit: the keys don't fit the database.
    """
    name = argv[1] if len(argv) > 1 else "help"
    if name not in NEED_NO_KEYS and not name.startswith("-") and not {"-h", "--help"} & {*argv}:
        _require_right_keys()


def check_web() -> None:
    """Check before the first request, without a connection that the web server's processes would share.

    Raises:
        SystemExit: the keys don't fit the database.
    """
    _require_right_keys()
    connections.close_all()


def _require_right_keys() -> None:
    django.setup()
    # It imports models, which have to be set up first.
    from controlpanel.starting.canary import require_right_keys

    require_right_keys()
