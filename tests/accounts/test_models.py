"""Servers, clients and keys: what is refused on the field, what is kept, and what is never shown."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from accounts.keys import key_errors
from accounts.models import Client, ExchangeKey, Server
from accounts.problems import KeyUnreadable, PasswordUnreadable
from core.encryption import Unreadable, fingerprint
from hummingbot_api.connectors import KNOWN_CONNECTORS
from operations.models import State, StepState
from sandbox.catalog import CONNECTORS
from sandbox.routes import accounts
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key, valid_client


def errors_of(row) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    return error.value.message_dict


@pytest.fixture
def nowhere(db: None) -> Server:
    return Server.objects.create(name="Nowhere", base_url="http://127.0.0.1:9", password=PLANTED_PASSWORD)


@pytest.fixture
def sharp(nowhere: Server) -> Client:
    return valid_client("Sharp", nowhere)


@pytest.fixture
def stored(sharp: Client) -> ExchangeKey:
    return stored_key(sharp)


def raw(row, column: str) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {row._meta.db_table} WHERE id = %s", [row.pk])  # noqa: S608
        return bytes(cursor.fetchone()[0])


# --- servers ---


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bots.example.com",
        "bots.example.com:8000",
        "ftp://bots.example.com",
        "https://",
        "https://bots.example.com/api",
        "https://bots.example.com/?a=b",
        "https://bots.example.com#x",
        "https://admin:secret@bots.example.com",
        "https://bots.example.com:99999",
        "https://bots example.com",
    ],
)
def test_a_base_url_that_is_no_scheme_host_and_port_is_refused_on_its_field(url, db):
    errors = errors_of(Server(name="x", base_url=url, password="x"))
    assert list(errors) == ["base_url"]
    assert "secret" not in str(errors)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://Bots.Example.com/", "https://bots.example.com"),
        (" http://10.0.0.5:8000 ", "http://10.0.0.5:8000"),
    ],
)
def test_a_base_url_is_kept_in_one_form(url, kept, db):
    server = Server(name="x", base_url=url, password="x")
    server.full_clean()
    assert server.base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://bots.example.com:8000",
        "http://8.8.8.8",
        "http://134744072",
        "http://[2a00::5]:8000",
        "http://internal.example.com",
        "http://172.32.0.1",
    ],
)
def test_keys_cross_the_internet_in_clear_only_where_that_was_allowed(url, db):
    server = Server(name="x", base_url=url, password="x")
    errors = errors_of(server)
    assert list(errors) == ["base_url"]
    assert "enter https://" in errors["base_url"][0] and "“Allow unencrypted”" in errors["base_url"][0]
    server.allow_unencrypted = True
    server.full_clean()
    assert server.allow_unencrypted


@pytest.mark.parametrize(
    "url",
    [
        "https://bots.example.com",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://10.0.0.5",
        "http://172.17.0.1",
        "http://192.168.1.5",
        "http://100.64.0.7",
        "http://[fd12::5]",
        "http://hummingbot-api:8000",
        "http://bots.local",
        "http://bots.railway.internal:8000",
    ],
)
def test_in_a_private_network_nothing_has_to_be_allowed_and_nothing_stays_so(url, db):
    server = Server(name="x", base_url=url, password="x", allow_unencrypted=True)
    server.full_clean()
    assert not server.allow_unencrypted


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254", "https://[fe80::1]", "https://[fd00:ec2::254]", "http://0.0.0.0"]
)
def test_an_address_that_is_no_server_of_anybodys_is_refused_on_its_field(url, db):
    errors = errors_of(Server(name="x", base_url=url, password="x"))
    assert "Enter the address at which other machines reach the server" in errors["base_url"][0]


@pytest.mark.parametrize("again", ["http://127.0.0.1:9", " HTTP://127.0.0.1:9/ "])
def test_one_host_is_one_server_however_its_base_url_is_written(again, nowhere):
    errors = errors_of(Server(name="Again", base_url=again, password="x"))
    assert errors == {"base_url": ["This base URL belongs to another server in the panel. Add each host only once."]}
    with pytest.raises(IntegrityError), transaction.atomic():
        Server.objects.create(name="Again", base_url=nowhere.base_url, password="x")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("x", "set"),
        ("a-password-of-29-characters-x", "set"),
        (" admin", "set, with surrounding spaces"),
        ("ad min", "set"),
        ("admin\n", "set, with surrounding spaces"),
    ],
)
def test_a_password_is_described_without_its_length(password, words):
    assert Server(password=password).password_text == words


def test_a_password_is_ciphertext_in_the_database_and_text_in_python(nowhere):
    assert PLANTED_PASSWORD.encode() not in raw(nowhere, "password")
    assert Server.objects.get().password == PLANTED_PASSWORD


def test_a_servers_connectors_are_its_own_once_it_was_asked_and_the_known_ones_before(server, perform):
    assert server.connector_names == sorted(KNOWN_CONNECTORS)
    assert server.fields_of("nope") is None
    assert perform("check_server", server).state == State.SUCCEEDED
    assert [field.name for field in server.fields_of("bitmart")] == list(PLANTED)
    server.connectors = {"other": [{"name": "other_api_key", "type": "SecretStr", "required": True}]}
    assert server.connector_names == ["other"]


def asked_for_fields(sandbox) -> int:
    return len([request for request in sandbox.requests if request.path.endswith("/config-map")])


def test_connectors_are_learned_again_when_the_server_has_changed_and_not_before(server, perform, sandbox):
    perform("check_server", server)
    every_connector = asked_for_fields(sandbox)
    assert every_connector >= len(server.connectors) > 0
    sandbox.requests.clear()
    perform("check_server", server)
    assert asked_for_fields(sandbox) == 0
    # As an update of the server leaves it: the names are the same, the fields need not be.
    Server.objects.update(connectors_version="0.9", connectors={name: [] for name in server.connectors})
    server.refresh_from_db()
    perform("check_server", server)
    assert asked_for_fields(sandbox) == every_connector
    assert [field.name for field in server.fields_of("bitmart")] == list(PLANTED)


@pytest.mark.parametrize(
    "answer",
    [
        {"bitmart_api_key": {"type": 7, "required": True}},
        {"bitmart_api_key": {"required": True}},
        {"bitmart_api_key": "SecretStr"},
        [{"name": "bitmart_api_key"}],
        "moon",
    ],
)
def test_a_connector_that_cannot_be_read_is_left_out_and_named(answer, server, perform, sandbox, monkeypatch):
    monkeypatch.setattr(accounts, "_described", lambda fields: answer if fields is CONNECTORS["bitmart"] else {})
    operation = perform("check_server", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    step = operation.steps.get(key="connectors")
    assert step.state == StepState.SKIPPED
    assert step.detail.endswith("because the server does not report their fields: bitmart.")
    assert "bitmart" in operation.summary
    assert server.reachable and server.controllers.exists()
    assert set(server.connectors) == set(CONNECTORS) - {"bitmart"}
    monkeypatch.undo()
    sandbox.requests.clear()
    perform("check_server", server)
    assert "bitmart" in server.connectors
    assert "/connectors/bitmart/config-map" in [request.path for request in sandbox.requests]


def test_a_server_that_stops_answering_gets_no_request_for_each_connector(server, perform, sandbox):
    sandbox.faults.add("tunnel_offline", path="/connectors/")
    assert perform("check_server", server).error_code == "tunnel_offline"
    assert asked_for_fields(sandbox) == 0


def test_what_a_check_writes_touches_nothing_that_an_operator_entered(nowhere):
    stale = Server.objects.get()
    Server.objects.update(base_url="http://127.0.0.1:10", username="other")
    stale.contact_succeeded(version="1.0.1")
    fresh = Server.objects.get()
    assert (fresh.base_url, fresh.username, fresh.version) == ("http://127.0.0.1:10", "other", "1.0.1")


# --- clients ---


@pytest.mark.parametrize(
    ("name", "account_name"),
    [
        ("Sharp", "client_sharp"),
        ("Sharp & Söhne  Ltd.", "client_sharp_sohne_ltd"),
        ("  A-B_c 9 ", "client_a_b_c_9"),
    ],
)
def test_an_account_name_is_made_from_the_clients_name(name, account_name, nowhere):
    client = Client(name=name, server=nowhere)
    client.full_clean()
    assert client.account_name == account_name


def test_a_name_that_gives_no_account_name_requires_one(nowhere):
    assert "Enter one" in errors_of(Client(name="夏普", server=nowhere))["account_name"][0]
    client = Client(name="夏普", account_name="client_xiapu", server=nowhere)
    client.full_clean()
    assert client.account_name == "client_xiapu"


@pytest.mark.parametrize("name", ["client sharp", "client/sharp", "klient_ä", "../etc", "a.b", "a\n"])
def test_an_account_name_that_would_crash_a_server_is_refused_on_its_field(name, nowhere):
    assert list(errors_of(Client(name="Sharp", account_name=name, server=nowhere))) == ["account_name"]


def test_an_account_name_is_unique_per_server(sharp, nowhere):
    twin = Client(name="sharp!", server=nowhere)
    assert "This account name can't be used on this server. Choose another one." in str(errors_of(twin))
    twin.server = Server.objects.create(name="2", base_url="http://127.0.0.1:10", password="x")
    twin.full_clean()


def test_an_account_name_can_be_changed_until_the_profile_was_pushed_and_not_after(sharp, nowhere):
    sharp.account_name = "client_other"
    sharp.full_clean()
    sharp.save()
    sharp.profiles.create(server=nowhere, account_name="client_other")
    fresh = Client.objects.get()
    fresh.account_name = "client_again"
    assert "its name can't change" in errors_of(fresh)["account_name"][0]
    fresh.account_name = "client_other"
    fresh.name = "Sharper"
    fresh.full_clean()


def test_master_account_belongs_to_a_client_only_if_chosen(nowhere):
    house = Client(name="House", account_name="master_account", server=nowhere)
    assert "copy of master_account" in errors_of(house)["account_name"][0]
    house.means_master_account = True
    house.full_clean()
    house.save()
    Client.objects.get().full_clean()


def test_account_managers_see_their_own_clients_and_keys_only(stored, django_user_model):
    manager, other = (django_user_model.objects.create_user(name) for name in ("manager", "other"))
    Client.objects.update(account_manager=manager)
    for objects in (Client.objects, ExchangeKey.objects, Server.objects):
        assert objects.visible_to(manager).count() == 1
        assert objects.visible_to(other).count() == 0


# --- keys ---


def test_a_key_is_unique_per_client_and_connector(stored, sharp):
    twin = ExchangeKey(client=sharp, connector="bitmart")
    twin.set_values(PLANTED)
    assert "already has a key for this connector" in str(errors_of(twin))
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


@pytest.mark.parametrize("field", list(PLANTED))
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_key_field_is_named(field, value):
    assert key_errors(PLANTED | {field: value}, KNOWN_CONNECTORS["bitmart"]) == {field: f"{field} is missing."}


def test_an_unknown_key_field_is_named_with_the_required_ones():
    (sentence,) = key_errors(PLANTED | {"memo": "planted"}, KNOWN_CONNECTORS["bitmart"]).values()
    assert sentence.startswith("“memo” is not a field")
    assert all(name in sentence for name in PLANTED)
    assert "planted" not in sentence


def test_a_key_field_with_choices_takes_one_of_them():
    fields = KNOWN_CONNECTORS["hyperliquid"]
    values = {"hyperliquid_address": "a", "hyperliquid_secret_key": "b"}
    assert key_errors(values, fields) == {}
    assert key_errors(values | {"hyperliquid_mode": "api_wallet"}, fields) == {}
    assert "arb_wallet" in key_errors(values | {"hyperliquid_mode": "nope"}, fields)["hyperliquid_mode"]


def test_a_key_is_ciphertext_in_the_database_and_comes_back_whole(stored):
    ciphertext = raw(stored, "encrypted_values")
    assert not [value for value in PLANTED.values() if value.encode() in ciphertext]
    assert ExchangeKey.objects.get().read_values() == PLANTED


def test_the_hint_is_the_api_keys_end_and_never_a_secrets(stored, sharp):
    assert stored.hint == PLANTED["bitmart_api_key"][-4:]
    key = ExchangeKey(client=sharp, connector="hyperliquid")
    key.set_values({"hyperliquid_address": "0x" + "a" * 40, "hyperliquid_secret_key": "b" * 64})
    assert key.hint == ""
    key.set_values({"x_api_key": "short"})
    assert key.hint == ""


def test_a_fingerprint_is_equal_for_equal_values_and_means_nothing_without_the_panels_key(settings):
    mixed = dict(reversed(PLANTED.items()))
    assert fingerprint(mixed) == fingerprint(PLANTED)
    assert fingerprint(PLANTED | {"bitmart_memo": "x"}) != fingerprint(PLANTED)
    before = fingerprint(PLANTED)
    settings.SECRET_KEY = "another"
    assert fingerprint(PLANTED) != before


def test_two_keys_never_share_a_fingerprint_because_of_where_a_value_ends():
    assert fingerprint({"a": "1\nb=2"}) != fingerprint({"a": "1", "b": "2"})


def test_no_text_of_a_row_holds_a_secret(stored, nowhere):
    for row in (stored, nowhere, stored.client, Unreadable(b"x")):
        text = f"{row} {row!r}"
        assert not [value for value in (*PLANTED.values(), PLANTED_PASSWORD) if value in text]


# --- what can't be decrypted any more ---


def test_a_row_that_cannot_be_read_says_so_and_takes_nothing_down(stored, unreadable):
    unreadable(stored)
    (key,) = ExchangeKey.objects.all()
    assert not key.is_readable
    assert str(key.encrypted_values) == repr(key.encrypted_values) == "can't be read"
    with pytest.raises(KeyUnreadable, match="can't be decrypted"):
        key.read_values()


def test_a_password_that_cannot_be_read_says_so_and_is_never_sent(nowhere, unreadable, perform):
    unreadable(nowhere)
    assert nowhere.password_text == "can't be decrypted"
    with pytest.raises(PasswordUnreadable):
        nowhere.api()
    operation = perform("check_server", nowhere)
    assert (operation.state, operation.error_code) == (State.FAILED, "password_unreadable")
    assert nowhere.last_error_code == "password_unreadable"


def test_a_row_that_cannot_be_read_survives_a_save_and_a_bulk_update(stored, unreadable):
    token = unreadable(stored)
    key = ExchangeKey.objects.get()
    key.save()
    assert raw(key, "encrypted_values") == token
    key.hint = "x"
    ExchangeKey.objects.bulk_update([key], ["hint", "encrypted_values"])
    assert raw(key, "encrypted_values") == token
    assert ExchangeKey.objects.get().hint == "x"


def test_a_bulk_update_encrypts_the_value_itself(stored):
    stored.encrypted_values = json.dumps({"a": "planted"})
    ExchangeKey.objects.bulk_update([stored], ["encrypted_values"])
    assert ExchangeKey.objects.get().read_values() == {"a": "planted"}
    assert b"planted" not in raw(stored, "encrypted_values")


def test_an_update_can_copy_a_ciphertext_in_the_database(stored):
    before = raw(stored, "encrypted_values")
    ExchangeKey.objects.update(encrypted_values=F("encrypted_values"))
    assert raw(stored, "encrypted_values") == before


def test_a_new_value_makes_an_unreadable_row_readable_again(stored, unreadable):
    unreadable(stored)
    stored.set_values(PLANTED)
    stored.save()
    assert ExchangeKey.objects.get().read_values() == PLANTED
