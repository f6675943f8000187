"""Settings from the environment, read once; missing or invalid ones raise a sentence instead of a stack trace.

Every variable is explained in ``.env.example``. A secret can also be given as a file: ``NAME_FILE`` is the path of a
file with the value of ``NAME`` (Docker and Kubernetes secrets).
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR = Path(__file__).resolve().parent.parent


def _refuse(*sentences: str) -> NoReturn:
    sys.exit("The control panel does not start:\n" + "\n".join(f"- {sentence}" for sentence in sentences))


def is_hosted() -> bool:
    """Return whether this is Heroku or Railway, by the variables that they set; which ones Railway sets has changed."""
    return any(value and (name == "DYNO" or name.startswith("RAILWAY_")) for name, value in os.environ.items())


class _Environment(FileAwareMapping):
    """The environment, with the files that ``NAME_FILE`` points to. What is set to nothing is not set."""

    def __getitem__(self, name: str) -> str:
        try:
            # Editors and ``echo`` end a file with a line end, which is no part of a key or a password.
            value = str(super().__getitem__(name)).rstrip("\r\n")
        except OSError as error:
            _refuse(f"{name}_FILE can't be read: {error.strerror}.")
        if not value:
            raise KeyError(name)
        return value


class _Env(environ.Env):
    ENVIRON = _Environment()


env = _Env(
    ENVIRONMENT=(str, "production"),
    DEBUG=(bool, False),
    SECRET_KEY=(str, ""),
    FERNET_KEYS=(list, []),
    ALLOWED_HOSTS=(list, []),
    CSRF_TRUSTED_ORIGINS=(list, []),
    DATABASE_URL=(str, ""),
    QUEUE_URL=(str, ""),
    DATA_DIR=(str, ""),
    TIME_ZONE=(str, "UTC"),
    LOG_LEVEL=(str, "INFO"),
    LOG_FORMAT=(str, "text"),
    METRICS_TOKEN=(str, ""),
    SENTRY_DSN=(str, ""),
    SECURE_SSL_REDIRECT=(bool, True),
    SECURE_HSTS_SECONDS=(int, 31_536_000),
    SECURE_HSTS_INCLUDE_SUBDOMAINS=(bool, False),
    SECURE_HSTS_PRELOAD=(bool, False),
    REQUIRE_SECOND_FACTOR=(list, []),
    PASSWORD_SIGN_IN=(bool, True),
    OIDC_ISSUER=(str, ""),
    OIDC_CLIENT_ID=(str, ""),
    OIDC_CLIENT_SECRET=(str, ""),
    OIDC_NAME=(str, "your company"),
    OIDC_SCOPES=(str, "openid email profile"),
    OIDC_SIGNATURE=(str, "RS256"),
    OIDC_ROLE_CLAIM=(str, ""),
    OIDC_ROLES=(list, []),
    SESSION_HOURS=(int, 12),
    SESSION_IDLE_MINUTES=(int, 120),
    LOGIN_ATTEMPTS_PER_USER=(int, 25),
    # Heroku and Railway put one proxy in front of the panel.
    TRUSTED_PROXIES=(int, int(is_hosted())),
    WORKER_THREADS=(int, 12),
    BIND=(str, ""),
    PORT=(int, 8000),
    WEB_CONCURRENCY=(int, 2),
    WEB_THREADS=(int, 4),
    API_PER_MINUTE=(int, 120),
    KEY_ROTATION_DAYS=(int, 90),
    OPERATIONS_KEPT_DAYS=(int, 365),
    AUDIT_KEPT_DAYS=(int, 730),
    PANEL_URL=(str, ""),
    EMAIL_URL=(str, ""),
    DEFAULT_FROM_EMAIL=(str, "panel@localhost"),
    HUMMINGBOT_API_URL=(str, ""),
    HUMMINGBOT_API_USERNAME=(str, "admin"),
    HUMMINGBOT_API_PASSWORD=(str, ""),
    HUMMINGBOT_API_ALLOW_UNENCRYPTED=(bool, False),
)
ENV_FILE = BASE_DIR / ".env"
#: As django-environ reads it.
ENV_LINE = re.compile(r"(?:export )?[A-Za-z_0-9]+=.*")
# It would print what it can't read: a line of that file, or an address with its password.
logging.getLogger("environ").setLevel(logging.ERROR)
try:
    environ.Env.read_env(ENV_FILE, encoding="utf-8")
except UnicodeDecodeError:
    _refuse(".env is not a text in UTF-8. Save it again as one.")

PRODUCTION = env("ENVIRONMENT") != "development"
#: The directory of the SQLite files.
DATA_DIR = Path(env("DATA_DIR") or BASE_DIR / "var")

#: Shorter secrets can be guessed.
SECRET_LENGTH = 32
#: So can those of fewer different characters.
DIFFERENT_CHARACTERS = 5
BOOLEAN_FALSE_STRINGS = "false", "off", "n", "no", "0"
BOOLEANS = {*environ.Env.BOOLEAN_TRUE_STRINGS, *BOOLEAN_FALSE_STRINGS}
#: Of ``controlpanel/access/roles.py``, which needs Django.
ROLE_NAMES = "Administrator", "Operator", "Account manager", "Viewer"
MAKE_ONE = 'Generate one: python -c "import secrets; print(secrets.token_urlsafe(50))"'


def require_configuration() -> None:
    """Exit with a sentence for each required variable that is missing or invalid.

    Raises:
        SystemExit: with those sentences; the process's exit status is 1.
    """
    if wrong := [*_unreadable_lines(), *_misread()]:
        _refuse(*wrong)
    if not env("SECRET_KEY"):
        wrong.append("SECRET_KEY is not set. It signs sessions. Set it to 50 random characters and keep it.")
    if not env("FERNET_KEYS"):
        wrong.append(
            "FERNET_KEYS is not set. It encrypts exchange keys and passwords. Set it to a random string, and keep a "
            "copy apart from the database's backup. To rotate it, put a new key in front of the old ones."
        )
    wrong += _incomplete()
    if PRODUCTION:
        wrong += _unfit_for_production()
    if wrong:
        _refuse(*wrong)


def _unreadable_lines() -> Iterator[str]:
    """Yield a sentence for each line of the file that sets nothing. None shows the line, which may have a secret."""
    lines = ENV_FILE.read_text("utf-8").splitlines() if ENV_FILE.is_file() else []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#") and not ENV_LINE.fullmatch(line):
            yield f"Line {number} of .env can't be read. Write NAME=value, without blanks around the name."


def _misread() -> Iterator[str]:
    """Yield a sentence for each invalid value. None shows the value, which may contain a password."""
    for name, (kind, _) in env.scheme.items():
        value = env.ENVIRON.get(name, "").strip()
        is_healthy, what = FORMS.get(name) or FORMS_OF_KINDS.get(kind, (bool, ""))
        try:
            fits = not value or is_healthy(value)
        except (ValueError, KeyError, OSError, ImproperlyConfigured):
            fits = False
        if not fits:
            yield f"{name} is not valid: it must be {what}."


def _is_address(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0


def _is_database(value: str) -> bool:
    # A scheme that django-environ does not know it warns of, with the password.
    if urlsplit(value).scheme not in {"postgres", "postgresql", "sqlite"}:
        return False
    config = env.db_url_config(value)
    return (
        bool(config["NAME"])
        and isinstance(config.get("CONN_MAX_AGE", 0), int | None)
        and isinstance(config.get("CONN_HEALTH_CHECKS", True), bool)
    )


def _is_queue(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme == "memory" or (parts.scheme in {"redis", "rediss"} and parts.port != 0)


def _is_role(text: str) -> bool:
    return text.strip() in ROLE_NAMES


def _is_sentry_dsn(value: str) -> bool:
    return _is_address(value) and bool(urlsplit(value).username) and urlsplit(value).path.strip("/").isdecimal()


#: The valid values of a kind, or of one variable: a test, which may raise, and its description.
Form = tuple[Callable[[str], Any], str]
FORMS_OF_KINDS: dict[type, Form] = {
    bool: (lambda value: value.lower() in BOOLEANS, "true or false"),
    int: (lambda value: int(value) >= 0, "a whole number, 0 or more"),
}
_AT_LEAST_ONE: Form = (lambda value: int(value) >= 1, "a whole number, 1 or more")
_ADDRESS: Form = (_is_address, "an address with its scheme: https://host.example.com")
FORMS: dict[str, Form] = {
    "ENVIRONMENT": (lambda value: value in {"production", "development"}, "production or development"),
    "CSRF_TRUSTED_ORIGINS": (
        lambda value: all(map(_is_address, value.split(","))),
        "addresses with their scheme, separated by commas: https://panel.example.com",
    ),
    "DATABASE_URL": (
        _is_database,
        "postgres://user:password@host:5432/name (percent-encode special characters in user and password; in its "
        "query, conn_max_age is a number or None and conn_health_checks True or False) or sqlite:////folder/file",
    ),
    "QUEUE_URL": (_is_queue, "redis://user:password@host:6379/0, or empty to keep the queue with the database"),
    "EMAIL_URL": (
        env.email_url_config,
        "smtp+tls://user:password@host:587 (percent-encode special characters in user and password)",
    ),
    "PANEL_URL": _ADDRESS,
    "HUMMINGBOT_API_URL": _ADDRESS,
    "TIME_ZONE": (ZoneInfo, "the name of a time zone: Europe/Berlin"),
    "LOG_LEVEL": (lambda value: value in logging.getLevelNamesMapping(), "DEBUG, INFO, WARNING or ERROR"),
    "REQUIRE_SECOND_FACTOR": (
        lambda value: value.lower() in BOOLEANS or all(map(_is_role, value.split(","))),
        f"true, false, or roles separated by commas: {', '.join(ROLE_NAMES)}",
    ),
    "OIDC_ISSUER": _ADDRESS,
    "OIDC_SIGNATURE": (lambda value: value in {"RS256", "RS512", "ES256", "ES512"}, "RS256, RS512, ES256 or ES512"),
    "OIDC_ROLES": (
        lambda value: all("=" in part and _is_role(part.rpartition("=")[2]) for part in value.split(",")),
        f"group=role pairs, separated by commas. The roles are {', '.join(ROLE_NAMES)}",
    ),
    "SESSION_HOURS": _AT_LEAST_ONE,
    "SESSION_IDLE_MINUTES": _AT_LEAST_ONE,
    "LOG_FORMAT": (lambda value: value in {"text", "json"}, "text or json"),
    "SENTRY_DSN": (_is_sentry_dsn, "the DSN of a Sentry project: https://key@sentry.example.com/1"),
    "PORT": (lambda value: 0 < int(value) < 65536, "a port, 1 to 65535"),
    "WORKER_THREADS": _AT_LEAST_ONE,
    "WEB_CONCURRENCY": _AT_LEAST_ONE,
    "WEB_THREADS": _AT_LEAST_ONE,
    "API_PER_MINUTE": _AT_LEAST_ONE,
}


def _incomplete() -> Iterator[str]:
    """Yield a sentence for each group of variables of which one is missing."""
    if env("OIDC_ISSUER"):
        for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"):
            if not env(name):
                yield f"{name} is not set. Copy it from the provider that OIDC_ISSUER names."
        if bool(env("OIDC_ROLE_CLAIM")) != bool(env("OIDC_ROLES")):
            yield "OIDC_ROLE_CLAIM and OIDC_ROLES only work together: set both, or none to give roles in the panel."
    elif not env("PASSWORD_SIGN_IN"):
        yield "PASSWORD_SIGN_IN is off, and OIDC_ISSUER is not set: nobody could sign in. Set one of them."


def _unfit_for_production() -> Iterator[str]:
    """Yield a sentence for each value that only works on a developer's machine."""
    if any(len(key) < SECRET_LENGTH for key in env("FERNET_KEYS")):
        yield f"FERNET_KEYS holds a key that is shorter than {SECRET_LENGTH} characters. {MAKE_ONE}"
    secrets = {name: env(name) for name in ("SECRET_KEY", "METRICS_TOKEN")}
    for name, secret in secrets.items():
        if 0 < len(secret) < SECRET_LENGTH:
            yield f"{name} is shorter than {SECRET_LENGTH} characters. {MAKE_ONE}"
    # The keys after the first are there to be rotated.
    for name, secret in {**secrets, "FERNET_KEYS": "".join(env("FERNET_KEYS")[:1])}.items():
        if len(secret) >= SECRET_LENGTH and len(set(secret)) < DIFFERENT_CHARACTERS:
            yield f"{name} has fewer than {DIFFERENT_CHARACTERS} different characters. {MAKE_ONE}"
    if env("OIDC_ISSUER").lower().startswith("http://"):
        yield "OIDC_ISSUER is an http:// address: anyone on the way could sign in as anyone. Use https://."
    if not env("ALLOWED_HOSTS"):
        yield "ALLOWED_HOSTS is not set. List the host names of the panel, separated by commas."
    if "*" in map(str.strip, env("ALLOWED_HOSTS")):
        yield (
            "ALLOWED_HOSTS accepts any host name, which lets a forged Host header into links. List the host names of "
            "the panel, separated by commas; health checks need none."
        )
    if env("DEBUG"):
        yield "DEBUG is on, which shows settings and data to anyone who causes an error. Turn it off."
    # An SQLite file on a persistent volume is still possible, with its DATABASE_URL.
    if is_hosted() and not env("DATABASE_URL"):
        yield (
            "DATABASE_URL is not set, and an SQLite file would be lost: this host wipes its disk at every restart. "
            "Add a PostgreSQL database, which sets it."
        )


def database() -> dict[str, Any]:
    """Return Django's settings for the one database: ``DATABASE_URL``, or an SQLite file in ``DATA_DIR``."""
    if url := env("DATABASE_URL"):
        settings = env.db_url_config(url)
    else:
        try:
            DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            _refuse(f"The folder DATA_DIR can't be created: {error.strerror}.")
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "panel.sqlite3")}
    if settings["ENGINE"].endswith("sqlite3"):
        # Web and worker write at the same time: WAL lets readers continue, IMMEDIATE makes a writer wait at the start
        # of its transaction instead of failing in the middle of it.
        settings["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        # Unless the address overrides it: a pooler, say, needs connections that end with the request.
        settings = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True} | settings
        # A host that swallows packets would keep a start, or a request, for minutes.
        settings["OPTIONS"] = {"connect_timeout": 10} | settings.get("OPTIONS", {})
    return settings


def roles_or_all(value: list[str]) -> bool | tuple[str, ...]:
    """Return ``true`` or ``false``, or the roles that are named instead."""
    if len(value) <= 1 and (not value or value[0].lower() in BOOLEANS):
        return bool(value) and value[0].lower() in environ.Env.BOOLEAN_TRUE_STRINGS
    return tuple(name.strip() for name in value)


def mail() -> dict[str, Any]:
    """Return Django's settings for e-mail: ``EMAIL_URL``, or printed where the process prints."""
    return env.email_url_config(env("EMAIL_URL") or "consolemail://")


def queue(database_settings: dict[str, Any]) -> dict[str, Any]:
    """Return huey's settings: ``QUEUE_URL`` (``redis://`` or ``memory://``), or the database's own server or folder."""
    # gunicorn reads this module too, before there is anything else of the panel.
    from controlpanel.queue import SignedMessages

    url = urlsplit(env("QUEUE_URL"))
    consumer = {
        "workers": env("WORKER_THREADS"),
        "worker_type": "thread",
        "max_delay": 0.5,
        # Heroku and Railway end a process with SIGTERM and kill it 10 to 30 s later. Huey then starts no new tasks and
        # waits this long for the current operations to end; another worker continues the remaining ones when their
        # lease runs out.
        "graceful_signal": "TERM",
        "shutdown_timeout": 20,
    }
    common = {
        "name": "panel",
        "results": False,
        "immediate": False,
        "consumer": consumer,
        # A user with write access to the queue, such as a Redis without a password, must not run code in the worker.
        "serializer": SignedMessages(secret=env("SECRET_KEY"), salt="panel queue"),
    }
    if url.scheme == "memory":
        return common | {"huey_class": "huey.MemoryHuey"}
    if url.scheme in {"redis", "rediss"}:
        return common | {"huey_class": "controlpanel.queue.RedisQueue", "connection": {"url": env("QUEUE_URL")}}
    if database_settings["ENGINE"].endswith("postgresql"):
        connection = {
            "host": database_settings.get("HOST"),
            "port": database_settings.get("PORT"),
            "user": database_settings.get("USER"),
            "password": database_settings.get("PASSWORD"),
            "dbname": unquote(database_settings["NAME"]),
        } | database_settings.get("OPTIONS", {})
        connection = {name: value for name, value in connection.items() if value}
        # With blocking, each thread would hold a connection of its own just to LISTEN, and small plans have 20. Instead
        # they share one, and poll every half second at the latest.
        return common | {"huey_class": "controlpanel.queue.PostgresQueue", "blocking": False, "connection": connection}
    name = Path(database_settings["NAME"])
    return common | {
        "huey_class": "controlpanel.queue.SqliteQueue",
        "connection": {"filename": str(name.with_name("queue.sqlite3"))},
    }
