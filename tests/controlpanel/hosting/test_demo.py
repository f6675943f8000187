"""What the demo refuses. The rest of it is what the browser tests run."""

import fcntl
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.models import Client, Server
from controlpanel.demo import reset as resetting
from controlpanel.demo.mark import LOCK, MARK, is_of_running_demo
from controlpanel.demo.past import Past
from controlpanel.management.commands import demo


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    def begin(*command, **options):
        pytest.fail("The demo began.")

    monkeypatch.setattr(demo, "call_command", begin)
    monkeypatch.setattr(demo, "DATA_DIR", tmp_path)
    return tmp_path


@pytest.mark.django_db
def test_a_second_demo_on_the_same_data_is_refused(data_dir):
    with (data_dir / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="A demo is already running"):
            call_command("demo")


@pytest.mark.django_db
def test_a_demo_makes_its_folder(data_dir, monkeypatch):
    """With a DATABASE_URL the settings make none."""
    monkeypatch.setattr(demo, "DATA_DIR", data_dir / "new")
    with pytest.raises(pytest.fail.Exception, match=r"The demo began\."):
        call_command("demo")
    assert (data_dir / "new" / "demo.lock").exists()


@pytest.mark.django_db
def test_production_is_no_place_for_a_demo(data_dir, monkeypatch):
    monkeypatch.setattr(demo, "PRODUCTION", True)
    with pytest.raises(CommandError, match="ENVIRONMENT=development"):
        call_command("demo")
    assert not list(data_dir.iterdir())


@pytest.mark.django_db(transaction=True)
def test_a_database_from_before_1_0_gets_a_sentence_and_not_a_stack_trace():
    newest = MigrationRecorder.Migration.objects.filter(app="bots").latest("name")
    row = MigrationRecorder.Migration.objects.filter(pk=newest.pk)
    row.update(name="0011_orders_outlive_their_bot")
    try:
        with pytest.raises(CommandError, match="delete the folder var/demo and start again"):
            call_command("migrate", verbosity=0)
    finally:
        row.update(name=newest.name)
    call_command("migrate", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_migrations_of_other_packages_that_are_no_longer_there_stop_nothing():
    old = MigrationRecorder.Migration.objects.create(app="axes", name="0099_gone")
    call_command("migrate", verbosity=0)
    old.delete()


# --- resetting ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(resetting, "DATA_DIR", tmp_path)
    monkeypatch.setattr(demo, "DATA_DIR", tmp_path)
    return tmp_path


@pytest.fixture
def running(folder):
    """A demo that runs as process 42."""
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("42")
        lock.flush()
        yield folder


def test_only_a_process_that_a_running_demo_has_started_has_the_button(running):
    assert is_of_running_demo({MARK: "42"}, running, production=False)


@pytest.mark.parametrize("environment", [{}, {MARK: ""}, {MARK: "43"}, {MARK: "yes"}])
def test_another_process_in_the_folder_of_a_demo_has_none(running, environment):
    assert not is_of_running_demo(environment, running, production=False)


def test_in_production_nothing_turns_it_on(running):
    assert not is_of_running_demo({MARK: "42"}, running, production=True)


def test_a_demo_that_has_ended_has_started_nobody(folder):
    assert not is_of_running_demo({MARK: "42"}, folder, production=False)
    (folder / LOCK).write_text("42")
    assert not is_of_running_demo({MARK: "42"}, folder, production=False)


@pytest.mark.django_db
def test_outside_the_demo_there_is_neither_a_banner_nor_an_address(admin_client, folder):
    assert not settings.DEMO
    assert "controlpanel.demo.reset.ResettingMiddleware" not in settings.MIDDLEWARE
    with pytest.raises(NoReverseMatch):
        reverse("demo_reset")
    assert admin_client.post("/admin/demo/reset/").status_code == 404
    assert "Reset demo" not in admin_client.get("/admin/").content.decode()
    assert not list(folder.iterdir())


@pytest.mark.django_db
def test_only_an_administrator_resets_the_demo(rf, folder):
    request = rf.post("/admin/demo/reset/")
    request.user = get_user_model().objects.create_user("maya", is_staff=True)
    with pytest.raises(PermissionDenied):
        resetting.reset(request)
    assert not resetting.is_requested()


def test_while_the_demo_is_reset_every_page_says_so_and_comes_back(rf, folder):
    middleware = resetting.ResettingMiddleware(lambda request: pytest.fail("A page was made."))
    resetting.request_reset()
    answer = middleware(rf.get("/admin/clients/1/"))
    assert answer.status_code == 503
    assert b"Resetting" in answer.content
    assert answer["Refresh"] == "3; url=/admin/"
    resetting.end_reset()
    with pytest.raises(pytest.fail.Exception, match=r"A page was made\."):
        middleware(rf.get("/admin/clients/1/"))


@pytest.mark.django_db(transaction=True)
def test_a_reset_deletes_what_was_changed_and_leaves_people_signed_in(folder, monkeypatch):
    command, prepared = demo.Command(), []

    def prepare(self):
        prepared.append(Client.objects.count())
        get_user_model().objects.create_superuser("admin")

    monkeypatch.setattr(demo.Command, "_prepare", prepare)
    monkeypatch.setattr(demo.Command, "_start_background", lambda self, parts: parts.update(begun="both"))
    monkeypatch.setattr(demo, "_end", lambda parts: prepared.append(sorted(parts)))
    get_user_model().objects.create_superuser("admin", password="for this run")
    server = Server.objects.create(name="Frankfurt", base_url="http://127.0.0.1:1")
    Client.objects.create(name="Added by hand", server=server)
    Session.objects.create(session_key="mine", session_data="", expire_date=timezone.now())
    resetting.request_reset()

    parts = {"the sandbox": "s", "the worker": "w", "the web server": "web"}
    command._reset(parts)

    assert prepared == [["the sandbox", "the worker"], 0]
    assert parts == {"the web server": "web", "begun": "both"}
    assert get_user_model().objects.get(username="admin").check_password("for this run")
    assert Session.objects.filter(session_key="mine").exists()
    assert not resetting.is_requested()


# --- its past -------------------------------------------------------------------------------------------------------


def test_the_panel_and_the_sandbox_live_through_the_same_past():
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    past = Past(begin)
    with past.present():
        assert timezone.now() == past.now
        assert begin <= past.now < begin + timedelta(seconds=1)
        past.jump(begin + timedelta(days=2))
        assert timezone.now() == past.now == begin + timedelta(days=2)
        past.jump(begin)
        assert past.now == begin + timedelta(days=2)
    assert timezone.now() > past.now


@pytest.mark.django_db
def test_the_clients_of_the_demo_are_not_added_to_others(folder):
    server = Server.objects.create(name="Ours", base_url="http://127.0.0.1:1")
    Client.objects.create(name="Ours", server=server)
    with pytest.raises(CommandError, match="already has clients"):
        call_command("prepare_demo")
    assert Client.objects.count() == 1
