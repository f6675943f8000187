"""What is checked when a process starts: that its keys fit its database. A wrong one is named then, not at a click."""

import logging
from collections.abc import Sequence

import django
from django.conf import settings
from django.db import connections

logger = logging.getLogger(__name__)

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
    warn_of_uncounted_proxies()


def warn_of_uncounted_proxies() -> None:
    """Log what follows if there is a proxy in front after all: no page could say so."""
    if settings.PRODUCTION and settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXIES:
        logger.warning(
            "TRUSTED_PROXIES is 0: no proxy is believed that a request came over https. If a proxy terminates TLS in "
            "front of the panel, every page redirects to itself until TRUSTED_PROXIES is the number of proxies."
        )


def _require_right_keys() -> None:
    django.setup()
    # It imports models, which have to be set up first.
    from controlpanel.starting.canary import require_right_keys

    require_right_keys()
