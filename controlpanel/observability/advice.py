"""What an administrator should change about this panel's configuration: each with the reason, and with what to do."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from bots.models import Deployment
from controlpanel.models import Installation
from controlpanel.starting.canary import secret_key_fits
from core.version import VERSION
from hummingbot_api.http.urls import is_public, is_readable_by_others
from json_api.models import STALE_AFTER, Token
from operations.models import WorkerHeartbeat

#: Who backs up with the panel's own command does so more often than this.
BACKUP_AFTER = timedelta(days=7)
#: Bots on servers above which SQLite's one writer becomes a limit: see “Choose a size” in docs/hosting.md.
MANY_FOR_SQLITE = 50


@dataclass(frozen=True)
class Advice:
    """Attributes:
    sentence: what is not as it should be, and what follows from that.
    remedy: what to do.
    """

    sentence: str
    remedy: str


def advice_on(request: HttpRequest) -> list[Advice]:
    """Return what should change, as far as the configuration, the database and this request show it."""
    return [*_on_running(), *_on_access(request), *_on_messages(), *_on_addresses(), *_on_django()]


def _on_running() -> Iterator[Advice]:
    if not settings.PRODUCTION:
        yield Advice(
            "The panel runs for development: without HTTPS, and with fewer checks.",
            "Set ENVIRONMENT=production where people use it.",
        )
    others = {beat.version or "an older version" for beat in WorkerHeartbeat.alive()} - {VERSION}
    if others:
        yield Advice(
            f"A worker runs {', '.join(sorted(others))}, and this web process {VERSION}.",
            "Restart the workers and web after an upgrade, with the same version.",
        )
    if connection.vendor == "sqlite" and Deployment.objects.open().count() > MANY_FOR_SQLITE:
        yield Advice(
            f"More than {MANY_FOR_SQLITE} bots are on servers, and SQLite lets one process write at a time.",
            "Move to PostgreSQL: see “Choose a size” in docs/hosting.md.",
        )
    if not secret_key_fits():
        yield Advice(
            "SECRET_KEY is not the one that exchange keys were compared with: a key that is entered again counts as "
            "changed, and recovery codes don't sign in.",
            "Put the old SECRET_KEY back, or run “manage.py reencrypt”.",
        )
    installation = Installation.current()
    last = installation.backed_up_at if installation else None
    if last is not None and timezone.now() - last > BACKUP_AFTER:
        yield Advice(
            f"The panel's last backup is of {last:%d %B %Y}.",
            "Run “manage.py backup FILE” regularly: see “Back up and restore” in docs/hosting.md.",
        )
    if len(settings.FERNET_KEYS) > 1:
        yield Advice(
            "FERNET_KEYS has more than one key: its rotation is not finished.",
            "Run “manage.py reencrypt”, then remove the old keys from the list.",
        )


def _on_access(request: HttpRequest) -> Iterator[Advice]:
    if settings.PASSWORD_SIGN_IN and not settings.REQUIRE_SECOND_FACTOR:
        yield Advice(
            "Users who have not set up two-factor authentication sign in with a password alone.",
            "Set REQUIRE_SECOND_FACTOR=true, or to the roles of those who need it.",
        )
    if stale := Token.objects.stale(timezone.now()).count():
        yield Advice(
            f"{stale} API token{' was' if stale == 1 else 's were'} not used for {STALE_AFTER.days} days: who finds "
            "one can do what its user may do.",
            "Ask their owners, and revoke what nothing needs.",
        )
    forwarded = "X-Forwarded-For" in request.headers
    if forwarded and not settings.TRUSTED_PROXIES:
        yield Advice(
            "A proxy is in front of the panel, and TRUSTED_PROXIES is 0: the lockout and the addresses of API tokens "
            "see the proxy instead of the caller.",
            "Set TRUSTED_PROXIES to the number of proxies that you control.",
        )
    if settings.TRUSTED_PROXIES and not forwarded:
        yield Advice(
            f"TRUSTED_PROXIES is {settings.TRUSTED_PROXIES}, and this request came through no proxy that names its "
            "caller: who reaches the panel this way can forge their address.",
            "Let the proxy send X-Forwarded-For, and let nobody else reach the panel.",
        )


def _on_messages() -> Iterator[Advice]:
    if not settings.PANEL_URL:
        yield Advice(
            "PANEL_URL is not set: notifications have no links.",
            "Set it to the panel's address: https://panel.example.com",
        )
    if not settings.NOTIFICATIONS["MAIL_SERVER"]:
        yield Advice(
            "EMAIL_URL is not set: invitations are links to copy, and nobody is notified by e-mail.",
            "Set EMAIL_URL to your mail server.",
        )


def _on_addresses() -> Iterator[Advice]:
    """What is sent in clear where others can read it."""
    if settings.PRODUCTION and settings.PANEL_URL.lower().startswith("http://"):
        yield Advice(
            "PANEL_URL is an http:// address: invitations and other links in messages are opened unencrypted first.",
            "Set it to the panel's https:// address.",
        )
    if is_readable_by_others(settings.SENTRY_DSN):
        yield Advice(
            "SENTRY_DSN is an http:// address: error reports and the project's key cross the internet unencrypted.",
            "Use the project's https:// address.",
        )
    queue = urlsplit(settings.HUEY.get("connection", {}).get("url", ""))
    if queue.scheme == "redis" and is_public(queue.hostname or ""):
        yield Advice(
            "QUEUE_URL is a redis:// address: its password and the queue cross the internet unencrypted.",
            "Use rediss://, or a Redis in a private network.",
        )
    encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if settings.NOTIFICATIONS["MAIL_SERVER"] and not encrypted and is_public(settings.EMAIL_HOST or ""):
        carried = "its password, invitations" if settings.EMAIL_HOST_PASSWORD else "invitations"
        yield Advice(
            f"EMAIL_URL is an smtp:// address: {carried} and clients' reports cross the internet unencrypted.",
            "Use smtp+tls:// or smtp+ssl://.",
        )
    yield from _on_database(settings.DATABASES["default"])


def _on_database(database: Mapping[str, Any]) -> Iterator[Advice]:
    mode = database.get("OPTIONS", {}).get("sslmode") or os.environ.get("PGSSLMODE", "")
    required = mode in {"require", "verify-ca", "verify-full"}
    if "postgresql" in database["ENGINE"] and not required and is_public(database["HOST"] or ""):
        yield Advice(
            "DATABASE_URL does not require encryption: where the server offers none, its password and all that is "
            "stored cross the internet unencrypted.",
            "Add ?sslmode=require to it, or set PGSSLMODE=require where the host sets it. To check the server's "
            "certificate, too, use ?sslmode=verify-full&sslrootcert=/path/to/ca.pem.",
        )


def _on_django() -> Iterator[Advice]:
    """What Django's own check of a deployment finds. On a developer's machine, it would be all that HTTPS is for."""
    if settings.PRODUCTION:
        for message in checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True):
            if not message.is_silenced():
                yield Advice(
                    " ".join(str(message.msg).split()), message.hint or f"See Django's documentation of {message.id}."
                )
