"""The page *System*: what runs the panel, and what to change about it."""

import platform
import re
import tomllib
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from environ import Env

from controlpanel.models import Installation, secret_key_mark
from controlpanel.observability import advice, system
from core.version import VERSION
from operations.models import Operation, State, WorkerHeartbeat
from tests.conftest import count_queries
from tests.notifications.test_pages import words

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(admin_client):
    return lambda **headers: words(admin_client.get(reverse("system"), headers=headers))


def test_the_version_is_that_of_the_package_and_of_the_newest_release():
    package = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(r"^## (\d\S+) - ", (settings.BASE_DIR / "CHANGELOG.md").read_text(), re.M)
    assert VERSION == package == released[0]


def test_it_shows_what_runs(page):
    WorkerHeartbeat.objects.create(worker="host:1", last_seen_at=timezone.now(), version=VERSION)
    WorkerHeartbeat.objects.create(worker="host:2", last_seen_at=timezone.now() - timedelta(minutes=5))
    shown = page()
    assert f"Panel {VERSION}" in shown and f"Python {platform.python_version()}" in shown
    assert "host:1 up" in shown and "host:2 no recent contact" in shown


def test_without_a_worker_it_says_how_to_start_one(page):
    assert "No worker has been seen in the last hour. Start one: python manage.py run_huey" in page()


def test_it_shows_what_waits(page, server):
    for number, state in enumerate((State.QUEUED, State.RUNNING)):
        minutes = timedelta(minutes=3)
        facts = {"state": state, "requested_at": timezone.now() - minutes}
        Operation.objects.create(kind="check", subject=server, lock=f"x:{number}", **facts)
    shown = page()
    assert "Queued 1 Longest wait 3 min In progress 1" in shown


def test_a_queue_that_does_not_respond_is_named_and_the_page_is_there(page, monkeypatch):
    def fail() -> int:
        raise system.OUTAGE_ERRORS[0]

    monkeypatch.setattr(system.HUEY.storage, "queue_size", fail)
    assert "the queue does not respond" in page()


def test_only_who_may_sees_it(client, make_user):
    for role, status in (("Administrator", 200), ("Operator", 403), ("Account manager", 403), ("Viewer", 403)):
        user = make_user(role, set())
        user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        assert client.get(reverse("system")).status_code == status, role


def test_it_takes_as_many_queries_for_many_rows_as_for_few(admin_client, make_bot, deployed):
    def look() -> None:
        admin_client.get(reverse("system"))

    look()
    few = count_queries(look)
    for number in range(4):
        deployed(make_bot(name=f"Bot {number}"))
        WorkerHeartbeat.objects.create(worker=f"host:{number}", last_seen_at=timezone.now())
    assert count_queries(look) == few


def sentences(rf, **headers: str) -> str:
    return " ".join(item.sentence for item in advice.advice_on(rf.get("/", headers=headers)))


@pytest.fixture
def well_configured(settings):
    """A panel in production that has nothing to change."""
    settings.PRODUCTION = settings.REQUIRE_SECOND_FACTOR = True
    settings.PANEL_URL, settings.TRUSTED_PROXIES, settings.FERNET_KEYS = "https://panel.example.com", 0, ["one"]
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL_SERVER": True}
    settings.SECRET_KEY = "0123456789" * 5 + "abcdefgh"
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    Installation.objects.update(secret_key_mark=secret_key_mark())
    settings.SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    return settings


def test_what_is_as_it_should_be_needs_no_advice(rf, well_configured):
    WorkerHeartbeat.objects.create(worker="one", last_seen_at=timezone.now(), version=VERSION)
    assert sentences(rf) == ""


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PRODUCTION", False, "The panel runs for development"),
        ("REQUIRE_SECOND_FACTOR", False, "sign in with a password alone"),
        ("PANEL_URL", "", "notifications have no links"),
        ("FERNET_KEYS", ["new", "old"], "its rotation is not finished"),
        ("TRUSTED_PROXIES", 1, "this request came through no proxy"),
        ("SECURE_HSTS_SECONDS", 0, "SECURE_HSTS_SECONDS"),
    ],
)
def test_a_setting_that_should_change_is_named(rf, well_configured, name, value, sentence):
    setattr(well_configured, name, value)
    assert sentence in sentences(rf)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PANEL_URL", "http://panel.example.com", "PANEL_URL is an http:// address"),
        ("PANEL_URL", "HTTP://10.0.0.7", "PANEL_URL is an http:// address"),
        ("SENTRY_DSN", "http://key@sentry.example.com/1", "SENTRY_DSN is an http:// address"),
        ("SENTRY_DSN", "http://key@8.8.8.8/1", "SENTRY_DSN is an http:// address"),
        ("HUEY", {"connection": {"url": "redis://:pw@queue.example.com:6379/0"}}, "QUEUE_URL is a redis:// address"),
        ("HUEY", {"connection": {"url": "redis://8.8.8.8"}}, "QUEUE_URL is a redis:// address"),
        ("EMAIL_HOST", "mail.example.com", "EMAIL_URL is an smtp:// address: its password, invitations and"),
        ("EMAIL_HOST", "8.8.8.8", "EMAIL_URL is an smtp:// address: its password, invitations and"),
    ],
)
def test_what_crosses_the_internet_in_clear_is_named_without_its_secrets(rf, well_configured, name, value, sentence):
    well_configured.EMAIL_HOST_PASSWORD, well_configured.EMAIL_HOST = "pw", "127.0.0.1"
    assert sentence not in sentences(rf)
    setattr(well_configured, name, value)
    assert sentence in sentences(rf)
    assert "pw" not in sentences(rf) and "key@" not in sentences(rf)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTRY_DSN", "https://key@sentry.example.com/1"),
        ("SENTRY_DSN", "http://key@10.0.0.7/1"),
        ("HUEY", {"connection": {"url": "rediss://:pw@queue.example.com:6379/0"}}),
        ("HUEY", {"connection": {"url": "redis://queue:6379/0"}}),
        ("HUEY", {"connection": {"url": "redis://redis.railway.internal:6379"}}),
        ("HUEY", {"connection": {"url": "redis://[fd12::7]:6379"}}),
        ("HUEY", {"connection": {"host": "db.example.com"}}),
        ("EMAIL_HOST", "10.0.0.7"),
        ("EMAIL_USE_TLS", True),
        ("EMAIL_USE_SSL", True),
    ],
)
def test_what_is_encrypted_or_stays_in_a_private_network_is_not(rf, well_configured, name, value):
    WorkerHeartbeat.objects.create(worker="one", last_seen_at=timezone.now(), version=VERSION)
    well_configured.EMAIL_HOST_PASSWORD = "pw"
    well_configured.EMAIL_HOST = "mail.example.com" if name.startswith("EMAIL_") else "localhost"
    setattr(well_configured, name, value)
    assert sentences(rf) == ""


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("postgres://panel:pw@db.example.com/panel", True),
        ("postgres://panel:pw@8.8.8.8/panel?sslmode=prefer", True),
        ("postgres://panel:pw@db.example.com/panel?sslmode=disable", True),
        ("postgres://panel:pw@db.example.com/panel?sslmode=require", False),
        ("postgres://panel:pw@db.example.com/panel?sslmode=verify-full", False),
        ("postgres://panel:pw@10.0.0.7/panel", False),
        ("postgres://panel:pw@postgres.railway.internal/panel", False),
        ("postgres:///panel", False),
        ("sqlite:////data/panel.sqlite3", False),
    ],
)
def test_a_database_that_may_be_reached_in_clear_is_named(address, named, monkeypatch):
    monkeypatch.delenv("PGSSLMODE", raising=False)
    said = [item.sentence for item in advice._on_database(Env.db_url_config(address))]
    assert [sentence.partition(":")[0] for sentence in said] == ["DATABASE_URL does not require encryption"] * named
    assert "pw" not in " ".join(said)


def test_a_database_whose_address_belongs_to_the_host_is_encrypted_by_a_variable(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "require")
    assert not [*advice._on_database(Env.db_url_config("postgres://panel:pw@db.example.com/panel"))]


def test_a_mail_server_without_a_password_has_invitations(rf, well_configured):
    well_configured.EMAIL_HOST, well_configured.EMAIL_HOST_PASSWORD = "relay.example.com", ""
    assert "EMAIL_URL is an smtp:// address: invitations and clients' reports cross" in sentences(rf)


def test_a_proxy_that_is_not_counted_is_named(rf, well_configured):
    assert "TRUSTED_PROXIES is 0" in sentences(rf, **{"X-Forwarded-For": "192.0.2.1"})


def test_without_a_mail_server_it_says_what_is_missing(rf, well_configured):
    well_configured.NOTIFICATIONS = well_configured.NOTIFICATIONS | {"MAIL_SERVER": False}
    assert "invitations are links to copy" in sentences(rf)


@pytest.mark.parametrize(("version", "named"), [("0.9", "0.9"), ("", "an older version")])
def test_a_worker_of_another_version_is_named(rf, well_configured, version, named):
    WorkerHeartbeat.objects.create(worker="one", last_seen_at=timezone.now(), version=version)
    assert f"A worker runs {named}, and this web process {VERSION}." in sentences(rf)


def test_it_shows_when_the_panel_was_backed_up_and_restored(page):
    assert "Last backup by the panel none" in page()
    Installation.objects.update_or_create(defaults={"backed_up_at": timezone.now(), "restored_at": timezone.now()})
    shown = page()
    assert "Last backup by the panel now" in shown and "Restored" in shown


def test_a_backup_that_is_old_is_named_with_its_day(rf, well_configured):
    Installation.objects.update_or_create(defaults={"backed_up_at": timezone.now() - timedelta(days=2)})
    assert "last backup" not in sentences(rf)
    Installation.objects.update(backed_up_at="2026-01-02T00:00:00Z")
    assert "The panel's last backup is of 02 January 2026." in sentences(rf)


def test_another_secret_key_is_named(rf, well_configured):
    Installation.objects.update_or_create(defaults={"secret_key_mark": "of another one"})
    assert "SECRET_KEY is not the one" in sentences(rf)


def test_a_disk_that_is_nearly_full_comes_first(page, monkeypatch):
    monkeypatch.setattr(system, "disk", lambda: system.Disk(free=9, total=100))
    assert "What to change The disk with the database is nearly full." in page()
