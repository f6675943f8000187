"""What reads rows generically gets ciphertext, and what loads them stores it as it is."""

import io
import json
import re

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection
from django.forms import model_to_dict
from fernet_fields.hkdf import derive_fernet_key

from accounts.models import ExchangeKey, Server
from core.encryption import SERIALIZED, Unreadable, encrypted_fields, models_with_secrets
from json_api.models import Webhook
from notifications.models import Channel
from tests.conftest import PLANTED, PLANTED_PASSWORD

pytestmark = pytest.mark.django_db

FORMATS = ("json", "jsonl", "xml", "yaml", "python")


def available(kind: str) -> bool:
    try:
        serializers.get_serializer(kind)()
    except (ImportError, serializers.SerializerDoesNotExist):
        return False
    return True


def stored(model=Server, column="password") -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {model._meta.db_table}")  # noqa: S608
        return bytes(cursor.fetchone()[0])


@pytest.fixture
def dump(key, server, tmp_path):
    """A file of ``dumpdata``, with what is in it as text."""

    def dump(kind: str = "json"):
        path = tmp_path / f"dump.{kind}"
        call_command("dumpdata", "accounts", format=kind, output=str(path), natural_foreign=True)
        return path, path.read_text()

    return dump


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if available(kind)])
def test_a_serializer_writes_ciphertext(kind, key, server):
    text = str(serializers.serialize(kind, [*Server.objects.all(), *ExchangeKey.objects.all()]))

    assert text.count(SERIALIZED) >= 2
    assert [secret for secret in (PLANTED_PASSWORD, *PLANTED.values()) if secret in text] == []


def test_a_secret_is_stored_with_fernet(server, settings):
    """AES-128-CBC and HMAC-SHA-256, by the library itself."""
    key = derive_fernet_key(settings.FERNET_KEYS[0])
    assert Fernet(key).decrypt(stored()).decode() == PLANTED_PASSWORD


def test_model_to_dict_has_ciphertext(server):
    assert model_to_dict(server)["password"].startswith(SERIALIZED)


def test_what_was_typed_a_moment_ago_and_is_not_stored_yet_is_written_encrypted_too():
    typed = Server(name="New", base_url="https://new.example.com", password=PLANTED_PASSWORD)
    for text in (str(model_to_dict(typed)), serializers.serialize("json", [typed])):
        assert PLANTED_PASSWORD not in text and SERIALIZED in text


def test_what_is_not_there_and_what_is_empty_stay_so(key, dump):
    Channel.objects.create(name="mail", kind="email", recipient="a@example.com", secret="")
    text = serializers.serialize("json", [*Channel.objects.all(), *ExchangeKey.objects.all()])
    for row in serializers.deserialize("json", text):
        row.save()

    assert Channel.objects.get().secret == ""
    assert ExchangeKey.objects.get().previous_values is None


@pytest.mark.parametrize("kind", [kind for kind in ("json", "jsonl", "xml", "yaml") if available(kind)])
def test_a_dump_is_loaded_with_the_ciphertext_that_it_has(dump, kind):
    path, text = dump(kind)
    Server.objects.update(password="another")

    call_command("loaddata", str(path), verbosity=0)

    assert Server.objects.get().password == PLANTED_PASSWORD
    assert ExchangeKey.objects.get().read_values() == PLANTED
    assert f"{SERIALIZED}{stored().decode()}" in text


def test_a_dump_is_loaded_with_an_older_key_of_the_list(dump, settings):
    path, _ = dump()
    settings.FERNET_KEYS = ["a-new-key", "only-for-tests"]

    call_command("loaddata", str(path), verbosity=0)

    assert Server.objects.get().password == PLANTED_PASSWORD


def test_a_dump_of_other_keys_is_refused_and_nothing_of_it_is_loaded(dump, settings):
    path, _ = dump()
    ExchangeKey.objects.all().delete()
    Server.objects.update(version="as it is here")
    settings.FERNET_KEYS = ["another-key"]

    with pytest.raises(CommandError, match=r"Server\.password.*not among FERNET_KEYS.*Add the key"):
        call_command("loaddata", str(path), verbosity=0)

    assert (Server.objects.get().version, ExchangeKey.objects.count()) == ("as it is here", 0)


def test_a_dump_in_clear_of_an_older_version_is_refused(dump):
    path, text = dump()
    path.write_text(re.sub(rf'"{SERIALIZED}[^"]*"', '"in clear"', text))

    with pytest.raises(CommandError, match=r"not encrypted in this file.*Nothing was loaded") as refused:
        call_command("loaddata", str(path), verbosity=0)

    assert "in clear" not in str(refused.value)


def test_what_no_key_decrypts_is_dumped_as_it_is(dump, settings):
    ciphertext = stored()
    settings.FERNET_KEYS = ["another-key"]
    assert isinstance(Server.objects.get().password, Unreadable)

    _, text = dump()

    assert f"{SERIALIZED}{ciphertext.decode()}" in text


def test_a_ciphertext_that_a_person_enters_is_a_text_like_any_other(server):
    """A person with a dump must not have the panel decrypt it for them, by pasting it into a form."""
    pasted = model_to_dict(server)["password"]

    other = Server(name="Other", base_url="http://127.0.0.1:10", password=pasted)
    other.full_clean()
    other.save()

    assert Server.objects.get(name="Other").password == pasted


def test_every_field_with_a_secret_is_found_by_its_type():
    found = {f"{model._meta.label}.{field.name}" for model, fields in models_with_secrets() for field in fields}
    assert found >= {"accounts.Server.password", "json_api.Webhook.secret", "controlpanel.SecondFactor.key"}
    assert len(encrypted_fields(Webhook)) == 2


def test_a_dump_to_the_terminal_has_no_secret(key, server):
    out = io.StringIO()

    call_command("dumpdata", stdout=out)

    assert len(json.loads(out.getvalue())) > 10
    assert [secret for secret in (PLANTED_PASSWORD, *PLANTED.values()) if secret in out.getvalue()] == []
