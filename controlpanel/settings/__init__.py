"""Django's settings. What differs between hosts comes from the environment (``environment.py``, ``.env.example``)."""

import os
from datetime import timedelta

from django.urls import reverse_lazy

from controlpanel.demo.mark import is_of_running_demo
from controlpanel.environment import (
    BASE_DIR,
    DATA_DIR,
    PRODUCTION,
    database,
    env,
    mail,
    queue,
    require_configuration,
    roles_or_all,
)
from controlpanel.settings.logging import LOGGING as LOGGING
from controlpanel.settings.unfold import UNFOLD as UNFOLD

require_configuration()

SECRET_KEY = env("SECRET_KEY")
FERNET_KEYS = env("FERNET_KEYS")
DEBUG = env("DEBUG")
ALLOWED_HOSTS = env("ALLOWED_HOSTS") or ["127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "core",  # before Django's own, whose command “changepassword” it replaces
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "csp",
    "axes",
    "django_otp",
    "huey.contrib.djhuey",
    "ninja",
    "operations",
    "accounts",
    "bots",
    "markets",
    "notifications",
    "client_reports",
    "json_api",
    "audit",
    # Last: it gives the roles the permissions of all others.
    "controlpanel",
]

MIDDLEWARE = [
    "controlpanel.web.request_id.RequestIdMiddleware",
    # First, so that every answer has their headers: also those that the others give instead of a page.
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "controlpanel.web.every_answer.HeadersMiddleware",
    # Before middleware that checks the request's host: a probe may use any host.
    "controlpanel.web.health.ProbeMiddleware",
    "controlpanel.web.proxies.RedirectMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "controlpanel.web.every_answer.MethodMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "audit.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "controlpanel.access.sessions.SessionsMiddleware",
    "controlpanel.access.login.AdmissionMiddleware",
    "accounts.drafts.DraftMiddleware",
    "controlpanel.web.errors.AddressMiddleware",
    "axes.middleware.AxesMiddleware",
]

# On in the processes of a running demo only: there is a button then that deletes everything.
DEMO = is_of_running_demo(os.environ, DATA_DIR, production=PRODUCTION)
if DEMO:
    methods = MIDDLEWARE.index("controlpanel.web.every_answer.MethodMiddleware")
    MIDDLEWARE.insert(methods, "controlpanel.demo.reset.ResettingMiddleware")

ROOT_URLCONF = "controlpanel.urls"
WSGI_APPLICATION = "controlpanel.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Widgets' templates of our own are found where the pages' are.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

DATABASES = {"default": database()}
# Nothing here is slow enough to be remembered, and Unfold's search would answer from it for five minutes: also about
# what its user may not see any more.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["controlpanel.access.passwords.PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "controlpanel.access.passwords.MaximumLengthValidator"},
    {"NAME": "controlpanel.access.notices.TellsOfNewPassword"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

# Who has to have a second factor: everybody, nobody, or the users with these roles. Without one they are led to where
# they set one up, and nowhere else.
REQUIRE_SECOND_FACTOR = roles_or_all(env("REQUIRE_SECOND_FACTOR"))

# Single sign-on: see controlpanel/access/single_sign_on.py. The names in the middle are the library's.
OIDC_ISSUER = env("OIDC_ISSUER")
OIDC_NAME = env("OIDC_NAME")
OIDC_ROLE_CLAIM = env("OIDC_ROLE_CLAIM")
OIDC_ROLES = dict(pair.strip().rsplit("=", 1) for pair in env("OIDC_ROLES"))
OIDC_RP_CLIENT_ID = env("OIDC_CLIENT_ID")
OIDC_RP_CLIENT_SECRET = env("OIDC_CLIENT_SECRET")
OIDC_RP_SCOPES = env("OIDC_SCOPES")
OIDC_RP_SIGN_ALGO = env("OIDC_SIGNATURE")
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 10
OIDC_AUTHENTICATION_CALLBACK_URL = "single_sign_on_callback"
if OIDC_ISSUER:
    AUTHENTICATION_BACKENDS.append("controlpanel.access.single_sign_on.SingleSignOnBackend")
#: Whether the panel's own passwords sign in.
PASSWORD_SIGN_IN = env("PASSWORD_SIGN_IN")
# How many proxies in front of the panel name the caller's address; what comes before theirs anyone can forge.
TRUSTED_PROXIES = env("TRUSTED_PROXIES")
# A lockout is for one user at one address: attackers elsewhere can't keep the operators from stopping a bot. The
# handler adds a brake per user from all addresses, which lets the browsers pass that the user has signed in with.
AXES_HANDLER = "controlpanel.access.login.SignInHandler"
LOGIN_ATTEMPTS_PER_USER = env("LOGIN_ATTEMPTS_PER_USER")
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "controlpanel.access.login.address_block"
AXES_USERNAME_CALLABLE = "controlpanel.access.login.attempted_name"
AXES_LOCKOUT_CALLABLE = "controlpanel.access.login.locked_out"
# In its lines of the log.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address"]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = ["controlpanel.formats"]
TIME_ZONE = env("TIME_ZONE")
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "controlpanel" / "assets"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
# Outside of production, collectstatic is not run: the files are served from their source directories.
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Uploaded tables contain exchange keys: they stay in memory, and larger ones are rejected.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- security ---------------------------------------------------------------------------------------------------

if PRODUCTION:
    # A proxy ends TLS in front of the panel and sets this header, whatever a caller sent. Without one, anyone's is as
    # good as none.
    if TRUSTED_PROXIES:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = env("SECURE_SSL_REDIRECT")
    SECURE_HSTS_SECONDS = env("SECURE_HSTS_SECONDS")
    # For the panel's own name only by default: other hosts of its domain may not answer https.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env("SECURE_HSTS_INCLUDE_SUBDOMAINS")
    SECURE_HSTS_PRELOAD = env("SECURE_HSTS_PRELOAD")
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # No other host of the domain can set these.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
# Forms carry the token: no script reads the cookie.
CSRF_COOKIE_HTTPONLY = True
#: How long the link of an invitation works. Nothing else sends links for new passwords.
PASSWORD_RESET_TIMEOUT = 7 * 24 * 60 * 60
SESSION_ENGINE = "controlpanel.access.session_store"
#: A session ends so many seconds after the sign-in, and so many after what its user did last.
SESSION_COOKIE_AGE = env("SESSION_HOURS") * 60 * 60
SESSION_IDLE = env("SESSION_IDLE_MINUTES") * 60
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Without the values of variables, forms and settings.
DEFAULT_EXCEPTION_REPORTER = "controlpanel.observability.reporter.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "controlpanel.observability.reporter.ReportFilter"
CSRF_FAILURE_VIEW = "controlpanel.web.errors.form_refused"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        # Unfold is built on Alpine, which evaluates its attributes and sets inline styles.
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

#: The rows of a list that are selected at once: the page of a confirmation sends each of them again.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 12_000

# --- work in the background -------------------------------------------------------------------------------------

HUEY = queue(DATABASES["default"])

#: Added when there is no server yet.
FIRST_SERVER = {
    "base_url": env("HUMMINGBOT_API_URL"),
    "username": env("HUMMINGBOT_API_USERNAME"),
    "password": env("HUMMINGBOT_API_PASSWORD"),
    "allow_unencrypted": env("HUMMINGBOT_API_ALLOW_UNENCRYPTED"),
}

#: How old an exchange key may grow before its pages remind of replacing it, in days; 0 for no reminder.
KEY_ROTATION_DAYS = env("KEY_ROTATION_DAYS")

#: How long an operation that has ended is kept, in days; 0 forever.
OPERATIONS_KEPT_DAYS = env("OPERATIONS_KEPT_DAYS")
AUDIT_KEPT_DAYS = env("AUDIT_KEPT_DAYS")

#: All in seconds unless noted otherwise.
OPERATIONS: dict[str, float] = {
    # A worker that has not renewed its lease for this long is presumed dead, and another one claims its operations.
    "LEASE": 45,
    # After which PostgreSQL ends a transaction in which nothing is done: of a worker that was frozen in the middle of
    # it, while others wait for the operation's row.
    "IDLE_IN_TRANSACTION": 30,
    # Operations that act on a server at once; those that wait do not count. A deploy blocks the whole server, so more
    # gain nothing; and fewer than a worker takes, so that a server that hangs never keeps it from the others.
    "MAX_PER_SERVER": 3,
    # How long an operation waits for a profile that another one writes to: the exchange is queried for each of its
    # keys.
    "EXCLUSIVE_TIMEOUT": 300,
}
FLEET: dict[str, float] = {
    # How often every server is polled.
    "INTERVAL": 20,
    # And a server that does not answer: less and less often, until it is this.
    "LONGEST_INTERVAL": 300,
    # How many servers are polled at once: those that stop answering hold a thread each, for one poll. And how many of
    # these threads use the database, whose connections are few on small plans.
    "POLL_THREADS": 100,
    "POLL_CONNECTIONS": 6,
    # What has not been seen for so long is unknown.
    "STALE": 60,
    # How many bots' logs each poll reads: they are heavy, and distinguish a stopped strategy from a running one.
    "LOGS_PER_POLL": 2,
    # Of how many bots that have just ended each poll reads the last log lines, or whether they were archived.
    "ENDS_PER_POLL": 20,
    # An image may be pulled for so long before an unanswered deploy makes its instance.
    "UNCONFIRMED": 900,
    # How often a waiting step looks again, and how often a server is looked at while steps wait for its instances.
    "POLL": 2,
    # How often such a step looks by itself, in case the look at the server fails.
    "GLANCE": 30,
    # A bot connects about 20 s after its deploy; pulling an image or a slow host takes longer. None connects sooner
    # than its process has loaded.
    "CONNECT_SOONEST": 8,
    "CONNECT_DEADLINE": 120,
    # A stopped bot logs so within seconds, after its orders are canceled.
    "STOPPED": 60,
    # How often a stop is sent again that the bot's log does not confirm.
    "RESEND": 10,
    # A log that shows an earlier stop counts as proof after this long: a new run would have logged something.
    "QUIET": 12,
    # How much later than its stop a bot may log the end of its last order.
    "CANCELS": 6,
    # A bot checks every 10 s whether it was paused or resumed, and logs that it obeys.
    "RELOADED": 45,
    # The server archives in the background for 20 to 60 s.
    "ARCHIVED": 150,
    # An archived instance's database is listed a moment after its container is gone.
    "ARCHIVE_LISTED": 15,
    # After a restart of the API, a bot that is up counts as unknown until it connects again.
    "RECONNECT_GRACE": 40,
    # How long an unanswered deploy's instance is searched for before the deploy counts as unconfirmed.
    "SETTLE": 30,
}

# --- watching the panel -------------------------------------------------------------------------------------------

ENVIRONMENT = env("ENVIRONMENT")
METRICS_TOKEN = env("METRICS_TOKEN")
SENTRY_DSN = env("SENTRY_DSN")

# --- the JSON API -------------------------------------------------------------------------------------------------

API = {
    # Requests of one token in a minute.
    "PER_MINUTE": env("API_PER_MINUTE"),
    # How many requests of one web process may wait for an operation's end: half of its threads.
    "WAITING": max(1, env("WEB_THREADS") // 2),
    # How long, in seconds, an Idempotency-Key is remembered.
    "IDEMPOTENCY": 24 * 60 * 60,
}

# --- telling people -----------------------------------------------------------------------------------------------

#: Where the panel is found, for links in messages. Without it they have none.
PANEL_URL = env("PANEL_URL")
vars().update(mail())
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL")
NOTIFICATIONS = {
    # On a developer's machine e-mails are printed. In production that would be silence, so there they are refused.
    "MAIL": bool(env("EMAIL_URL")) or not PRODUCTION,
    # Whether an e-mail reaches anyone. Otherwise invitations are links to copy.
    "MAIL_SERVER": bool(env("EMAIL_URL")),
    # Webhooks may lead to this machine, without TLS.
    "LOCAL": not PRODUCTION,
    "TELEGRAM_API": "https://api.telegram.org",
}
