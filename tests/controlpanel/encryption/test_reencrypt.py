"""``manage.py reencrypt``: after a rotation of ``FERNET_KEYS`` the old key is needed no longer, and that is proven."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import ExchangeKey, FormDraft, KeyState, Server
from bots.models import Bot
from controlpanel.management.progress import Progress
from controlpanel.models import CANARY, Installation, SecondFactor
from core.encryption import as_stored, is_opened_by, models_with_secrets
from core.rows import reencryption
from json_api.models import Webhook
from notifications.models import Channel
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key

pytestmark = pytest.mark.django_db

OLD, NEW = "only-for-tests", "a-new-key"


@pytest.fixture
def rotate(settings):
    """Put these keys into force, as a restart with another environment does."""

    def rotate(*keys: str) -> None:
        settings.FERNET_KEYS = list(keys)

    return rotate


def reencrypt(**options: object) -> str:
    out = StringIO()
    call_command("reencrypt", stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def ciphertexts() -> dict[tuple[str, int], bytes]:
    return {
        (f"{model._meta.label}.{field.name}", pk): bytes(value)
        for model, fields in models_with_secrets()
        for field in fields
        for pk, value in model._base_manager.values_list("pk", as_stored(field))
        if value is not None
    }


@pytest.fixture
def every_secret(key, server, admin_user) -> None:
    """A row of every model that has secrets."""
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    Channel.objects.create(name="hook", kind="webhook", secret="https://example.com/hook")
    Webhook.objects.create(user=admin_user, name="tool", address="https://example.com", secret="whsec_x")
    SecondFactor.objects.create(user=admin_user)
    FormDraft.objects.create(user=admin_user, path="/", browser="b", encrypted_values="{}", saved_at=timezone.now())
    Installation.objects.get()


def test_reencrypted_values_no_longer_need_the_old_key(key, server, rotate):
    rotate(NEW, OLD)

    output = reencrypt()

    rotate(NEW)
    assert ExchangeKey.objects.get().read_values() == PLANTED
    assert Server.objects.get().password == PLANTED_PASSWORD
    assert "3 secrets were encrypted again" in output
    assert "Proven: the first of FERNET_KEYS decrypts every secret (3)" in output


def test_every_field_of_every_app_is_reencrypted(every_secret, rotate):
    fields = {f"{model._meta.label}.{field.name}" for model, found in models_with_secrets() for field in found}
    assert {name for name, _ in ciphertexts()} == fields
    rotate(NEW, OLD)

    reencrypt()

    assert [key for key, value in ciphertexts().items() if not is_opened_by((NEW,), value)] == []


def test_the_previous_values_of_a_key_are_reencrypted_too(key, rotate):
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    rotate(NEW, OLD)

    reencrypt()

    rotate(NEW)
    assert ExchangeKey.objects.get().known_values() == [PLANTED | {"bitmart_memo": "rotated"}, PLANTED]


def test_an_interrupted_run_goes_on_where_it_was(every_secret, rotate, monkeypatch):
    rotate(NEW, OLD)
    renew_one, done = reencryption._renew_one, []

    def killed_after_three(found):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(found)
        return renew_one(found)

    monkeypatch.setattr(reencryption, "_renew_one", killed_after_three)
    with pytest.raises(KeyboardInterrupt):
        reencrypt()
    monkeypatch.undo()
    halfway = ciphertexts()
    fresh = {key: value for key, value in halfway.items() if is_opened_by((NEW,), value)}
    assert len(fresh) == 3

    output = reencrypt()

    assert f"{len(halfway) - 3} secrets were encrypted again" in output
    assert {key: ciphertexts()[key] for key in fresh} == fresh


def test_rows_are_read_in_portions_of_a_fixed_size(client_sharp, monkeypatch, rotate):
    for number in range(7):
        stored_key(client_sharp, f"exchange_{number}")
    rotate(NEW, OLD)
    monkeypatch.setattr(reencryption, "PORTION", 2)
    portions: list[int] = []

    assert reencryption.renew(portions.append).renewed == 9
    assert max(portions) == 2
    assert reencryption.check().fresh == 9


def test_what_no_key_decrypts_is_named_and_left_as_it_is(key, rotate):
    rotate(NEW)

    with pytest.raises(CommandError, match=r"3 of 3 can't be decrypted.*Sharp · bitmart"):
        reencrypt()

    rotate(OLD)
    assert ExchangeKey.objects.get().read_values() == PLANTED


def test_check_changes_nothing_and_fails_while_a_row_needs_an_old_key(key, server, rotate):
    rotate(NEW, OLD)
    before = ciphertexts()

    with pytest.raises(CommandError, match=r"3 of 3 secrets still need another key.*reencrypt") as refused:
        reencrypt(check=True)

    assert (refused.value.returncode, ciphertexts()) == (1, before)
    reencrypt()
    assert "Proven" in reencrypt(check=True)


def test_the_proof_finds_what_a_process_with_the_old_keys_wrote_meanwhile(key, rotate, monkeypatch):
    rotate(NEW, OLD)
    check = reencryption.check

    def after_a_late_write(on_rows):
        rotate(OLD)
        Server.objects.update(password="late")
        rotate(NEW, OLD)
        return check(on_rows)

    monkeypatch.setattr("controlpanel.management.commands.reencrypt.check", after_a_late_write)

    with pytest.raises(CommandError, match=r"1 of 3.*restart web and worker.*server “Sandbox”"):
        reencrypt()


def test_a_lost_key_can_be_given_up(server, rotate):
    rotate(NEW)

    with pytest.raises(CommandError, match=r"1 of 2 can't be decrypted.*server “Sandbox”"):
        reencrypt(key_is_lost=True)

    assert Installation.objects.get().canary == CANARY


def test_a_key_is_not_given_up_by_mistake(server, rotate):
    reencrypt(key_is_lost=True)
    rotate(NEW)

    with pytest.raises(CommandError, match="2 of 2 can't be decrypted"):
        reencrypt()


def test_after_a_change_of_secret_key_the_same_key_counts_as_the_same(bot, key, perform, settings):
    perform("push_profile", bot.client)
    perform("deploy", bot)
    settings.SECRET_KEY = "another"
    assert "1 fingerprints" in reencrypt()

    again = ExchangeKey.objects.get()
    again.set_values(PLANTED)

    assert (again.state, again.previous_values) == (KeyState.PUSHED, None)
    assert not Bot.objects.get().has_newer_key
    assert "fingerprints" not in reencrypt()


def test_without_it_the_same_key_would_count_as_changed(bot, key, perform, settings):
    """Why a changed ``SECRET_KEY`` is named at start."""
    perform("push_profile", bot.client)
    settings.SECRET_KEY = "another"
    again = ExchangeKey.objects.get()
    assert again.state == KeyState.PUSHED

    again.set_values(PLANTED)

    assert again.state == KeyState.CHANGED


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_count_rate_and_time_left_in_a_terminal_only():
    quiet, terminal = StringIO(), Terminal()
    for out in (quiet, terminal):
        progress = Progress("Encrypting", 4, out)
        progress.advance(4)
        progress.end()

    assert quiet.getvalue() == ""
    assert re.search(r"Encrypting: 4 of 4 \([\d,]+/s\)", terminal.getvalue())
    progress.done = 1
    assert progress.text(2) == "Encrypting: 1 of 4 (0/s, 0:06 left)"


def test_a_row_that_is_deleted_meanwhile_is_no_error(key, rotate, monkeypatch):
    rotate(NEW, OLD)
    found = [found for found in reencryption.stored_secrets() if found[0] is ExchangeKey]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_exchangekey")

    assert all(map(reencryption._renew_one, found))
