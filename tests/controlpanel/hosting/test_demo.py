"""What the demo refuses. The rest of it is what the browser tests run."""

import fcntl

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder

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
    old = MigrationRecorder.Migration.objects.create(app="bots", name="0011_orders_outlive_their_bot")
    try:
        with pytest.raises(CommandError, match="delete the folder var/demo and start again"):
            call_command("migrate", verbosity=0)
    finally:
        old.delete()
    call_command("migrate", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_migrations_of_other_packages_that_are_no_longer_there_stop_nothing():
    old = MigrationRecorder.Migration.objects.create(app="axes", name="0099_gone")
    call_command("migrate", verbosity=0)
    old.delete()
