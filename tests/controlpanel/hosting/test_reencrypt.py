"""``manage.py reencrypt``: after a rotation of ``FERNET_KEYS`` the old key is needed no longer."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ExchangeKey, Server
from tests.conftest import PLANTED, PLANTED_PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def rotate(settings):
    """Put these keys into force, as a restart with another environment does."""

    def rotate(*keys: str) -> None:
        settings.FERNET_KEYS = list(keys)
        stored = ((Server, "password"), (ExchangeKey, "encrypted_values"), (ExchangeKey, "previous_values"))
        for model, name in stored:
            field = model._meta.get_field(name)
            for cached in ("keys", "fernet_keys", "fernet"):
                field.__dict__.pop(cached, None)

    yield rotate
    rotate("only-for-tests")


def test_reencrypted_values_no_longer_need_the_old_key(key, server, rotate):
    rotate("a-new-key", "only-for-tests")
    output = StringIO()

    call_command("reencrypt", stdout=output)

    rotate("a-new-key")
    assert ExchangeKey.objects.get().read_values() == PLANTED
    assert Server.objects.get().password == PLANTED_PASSWORD
    assert "2 secrets" in output.getvalue()


def test_the_previous_values_of_a_key_are_reencrypted_too(key, rotate):
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    rotate("a-new-key", "only-for-tests")

    call_command("reencrypt", stdout=StringIO())

    rotate("a-new-key")
    assert ExchangeKey.objects.get().known_values() == [PLANTED | {"bitmart_memo": "rotated"}, PLANTED]


def test_what_no_key_decrypts_is_named_and_left_as_it_is(key, rotate):
    rotate("a-new-key")

    with pytest.raises(CommandError, match=r"2 can't be decrypted.*Sharp · bitmart"):
        call_command("reencrypt", stdout=StringIO())

    rotate("only-for-tests")
    assert ExchangeKey.objects.get().read_values() == PLANTED
