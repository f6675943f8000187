"""Bad input: a message on its field, nothing saved, nothing sent, and what was typed still there, secrets apart."""

from datetime import date

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.forms import ModelForm
from django.urls import reverse

from accounts.forms.exchange_keys import KeyDetailsForm
from accounts.keys import PAPER_NEEDS_NO_KEY
from accounts.models import Client, CredentialsProfile, ExchangeKey, Server
from bots.admin.forms import field_name
from bots.models import Bot, Strategy
from hummingbot_api.connectors import KNOWN_CONNECTORS
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key
from tests.controlpanel.conftest import BOT, CLIENT, KEY, SERVER, text_of, url_of


def refused(response) -> dict[str, list[str]]:
    """The messages of a form that was not saved, by field."""
    assert response.status_code == 200
    form: ModelForm = response.context["adminform"].form
    return {field: list(messages) for field, messages in form.errors.items()}


def shown(response, field: str):
    """What a refused form's field holds."""
    return response.context["adminform"].form[field].value()


# --- servers ---


@pytest.fixture
def save_server(db, admin_client):
    def save(**changes):
        facts = {"name": "Second", "base_url": "http://10.0.0.5:8000", "username": "admin", "password": "x y"}
        return admin_client.post(reverse(f"{SERVER}_add"), facts | changes)

    return save


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("bots.example.com", "must begin with http:// or https://"),
        ("10.0.0.5:8000", "must begin with http:// or https://"),
        ("ftp://bots.example.com", "must begin with http:// or https://"),
        ("https://bots.example.com/api", "Remove everything after the host and port"),
        ("https://bots.example.com?x=1", "Remove everything after the host and port"),
        ("https://admin:hunted@bots.example.com", "Remove the username and password"),
        ("https://", "Enter a valid host"),
        ("http://bots.example.com:99999", "Check its host and port"),
        ("http://bots example.com", "Enter a valid host"),
    ],
)
def test_a_base_url_that_leads_nowhere_is_refused_with_the_reason(base_url, message, save_server):
    response = save_server(base_url=base_url)
    errors = refused(response)
    assert list(errors) == ["base_url"]
    assert len(errors["base_url"]) == 1 and message in errors["base_url"][0]
    assert "hunted" not in errors["base_url"][0]
    assert shown(response, "base_url") == base_url
    assert not Server.objects.exists()


def test_a_server_is_reached_in_clear_through_the_internet_only_where_that_was_switched_on(save_server, admin_client):
    errors = refused(save_server(base_url="http://bots.example.com:8000"))
    assert list(errors) == ["base_url"] and "“Allow unencrypted”" in errors["base_url"][0]
    assert not Server.objects.exists()
    assert save_server(base_url="http://bots.example.com:8000", allow_unencrypted="on").status_code == 302
    server = Server.objects.get()
    assert server.allow_unencrypted
    assert "Anyone on the network path can read its password" in text_of(admin_client.get(url_of(server)))


def test_a_refused_server_never_shows_the_password_that_was_typed(save_server):
    response = save_server(base_url="nonsense", password=PLANTED_PASSWORD)
    assert PLANTED_PASSWORD not in text_of(response)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "admin:desk"),
        ("username", ":"),
        ("username", "müller"),
        ("username", "админ"),
        ("username", "ad\u200bmin"),
        ("password", "pässword"),
        ("password", "пароль"),
        ("password", "pass\u00a0word"),
        ("password", "“password”"),
    ],
)
def test_a_login_that_no_server_can_read_is_refused_on_its_field(field, value, save_server):
    response = save_server(**{field: value})
    assert list(refused(response)) == [field]
    assert not Server.objects.exists()
    if field == "password":
        assert value not in text_of(response)


@pytest.mark.parametrize("password", ["a:b", " spaced ", "~!@#$%^&*()_+`", "p" * 200])
def test_a_login_that_can_be_sent_is_taken(password, save_server):
    assert save_server(username="desk@north_1", password=password).status_code == 302
    assert Server.objects.get().password == password


def test_the_stored_password_is_not_sent_to_another_address(server, admin_client):
    facts = {"name": server.name, "username": "admin", "password": ""}

    moved = admin_client.post(url_of(server), facts | {"base_url": "https://elsewhere.example.com"})
    same = admin_client.post(url_of(server), facts | {"base_url": f" {server.base_url.upper()}/ "})

    assert list(refused(moved)) == ["password"]
    assert same.status_code == 302
    server.refresh_from_db()
    assert (server.password, server.base_url) == (PLANTED_PASSWORD, server.base_url)


def test_a_base_url_is_kept_in_one_form(save_server):
    assert save_server(base_url=" HTTPS://Bots.Example.com:8443/ ").status_code == 302
    assert Server.objects.get().base_url == "https://bots.example.com:8443"


def test_a_new_server_needs_a_password_and_an_old_one_keeps_its_own(save_server, admin_client):
    assert refused(save_server(password="")) == {"password": ["Enter the server's password."]}
    assert save_server(password=" spaced ").status_code == 302
    server = Server.objects.get()
    assert server.password == " spaced "
    assert "8 characters, with surrounding spaces" in text_of(admin_client.get(url_of(server)))
    facts = {"name": "Renamed", "base_url": server.base_url, "username": "admin", "password": ""}
    assert admin_client.post(url_of(server), facts).status_code == 302
    server.refresh_from_db()
    assert (server.name, server.password) == ("Renamed", " spaced ")


def test_two_servers_of_one_name_are_refused(server, save_server):
    assert list(refused(save_server(name="Sandbox"))) == ["name"]


def test_two_servers_of_one_host_are_refused(server, save_server):
    errors = refused(save_server(base_url=f" {server.base_url.upper()}/ "))
    assert errors == {"base_url": ["This base URL belongs to another server in the panel. Add each host only once."]}


# --- clients ---


@pytest.fixture
def save_client(server, admin_client):
    def save(client=None, **changes):
        facts = {"name": "Blunt", "server": server.pk, "status": "onboarding", "notes": "kept"}
        return admin_client.post(url_of(client) if client else reverse(f"{CLIENT}_add"), facts | changes)

    return save


def test_an_account_name_is_made_from_the_clients_name(save_client):
    assert save_client(name="Ünder Cöver & Sons").status_code == 302
    assert Client.objects.get().account_name == "client_under_cover_sons"


def test_a_name_that_gives_no_account_name_asks_for_one(save_client):
    response = save_client(name="锋利")
    assert refused(response) == {"account_name": ["No account name can be made from this client name. Enter one."]}
    assert (shown(response, "name"), shown(response, "notes")) == ("锋利", "kept")
    assert not Client.objects.exists()
    assert save_client(name="锋利", account_name="client_fengli").status_code == 302


@pytest.mark.parametrize("name", ["client sharp", "client/sharp", "../master_account", "client.sharp", "clïent"])
def test_an_account_name_that_a_server_would_choke_on_is_refused(name, save_client):
    response = save_client(account_name=name)
    (message,) = refused(response)["account_name"]
    assert "use only letters, digits, “_” and “-”" in message
    assert shown(response, "account_name") == name
    assert not Client.objects.exists()


def test_an_account_name_stands_once_on_a_server(client_sharp, save_client):
    errors = refused(save_client(account_name="client_sharp"))
    assert "This account name can't be used on this server. Choose another one." in str(errors)


def test_a_name_that_is_taken_is_refused_in_one_sentence_that_tells_of_nobody(client_sharp, save_client):
    errors = refused(save_client(name=client_sharp.name))
    assert errors == {"name": ["This name can't be used. Choose another one."]}


def test_the_profile_of_a_pushed_client_keeps_its_name(client_sharp, save_client, admin_client):
    CredentialsProfile.objects.create(
        client=client_sharp, server=client_sharp.server, account_name=client_sharp.account_name
    )
    page = admin_client.get(url_of(client_sharp))
    assert page.context["adminform"].form.fields["account_name"].disabled
    assert "Adopt a profile" not in text_of(page)
    assert save_client(client_sharp, name="Sharp", account_name="another", existing_profile="").status_code == 302
    client_sharp.refresh_from_db()
    assert client_sharp.account_name == "client_sharp"


def test_a_pushed_client_does_not_move_to_a_server_that_has_its_account_name(client_sharp, save_client):
    CredentialsProfile.objects.create(
        client=client_sharp, server=client_sharp.server, account_name=client_sharp.account_name
    )
    other = Server.objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    Client.objects.create(name="Namesake", server=other, account_name="client_sharp")
    errors = refused(save_client(client_sharp, name="Sharp", server=other.pk))
    assert "This account name can't be used on this server. Choose another one." in str(errors)


@pytest.fixture
def listed(server):
    """The server listed profiles at its last check, the master's and a client's among them."""
    server.contact_succeeded(account_names=["by_hand", "client_sharp", "master_account"])
    return server


def offered(response) -> list[str]:
    choices = response.context["adminform"].form.fields["existing_profile"].choices
    return [value for _, group in choices if isinstance(group, list) for value, _ in group]


def test_a_profile_is_taken_over_from_the_servers_own_list(listed, client_sharp, save_client, admin_client):
    page = admin_client.get(reverse(f"{CLIENT}_add"))
    assert offered(page) == [f"{listed.pk}:by_hand", f"{listed.pk}:master_account"]
    assert save_client(existing_profile=f"{listed.pk}:by_hand").status_code == 302
    blunt = Client.objects.get(name="Blunt")
    assert blunt.account_name == "by_hand"
    profile = blunt.profiles.get()
    assert (profile.server, profile.account_name, profile.adopted) == (listed, "by_hand", True)
    assert "not verified yet" in text_of(admin_client.get(url_of(blunt)))


def test_a_profile_that_is_not_on_the_list_is_not_taken_over(listed, save_client):
    assert list(refused(save_client(existing_profile=f"{listed.pk}:invented"))) == ["existing_profile"]
    assert not Client.objects.exists()


def test_a_profile_of_another_server_is_refused(listed, save_client):
    other = Server.objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    errors = refused(save_client(server=other.pk, existing_profile=f"{listed.pk}:by_hand"))
    assert errors == {"existing_profile": ["This profile is not on Other. Choose one that is."]}


def test_a_profile_and_a_name_of_ones_own_do_not_go_together(listed, save_client):
    errors = refused(save_client(account_name="mine", existing_profile=f"{listed.pk}:by_hand"))
    assert errors == {"existing_profile": ["Choose a profile or enter an account name, not both."]}


def test_a_client_that_has_a_name_already_may_still_take_a_profile_over(listed, client_sharp, save_client):
    saved = save_client(
        client_sharp, name="Sharp", account_name="client_sharp", existing_profile=f"{listed.pk}:by_hand"
    )
    assert saved.status_code == 302
    client_sharp.refresh_from_db()
    assert client_sharp.account_name == "by_hand"
    assert client_sharp.profiles.get().adopted


def test_a_client_with_a_new_profile_takes_none_over(listed, save_client):
    assert save_client(existing_profile="").status_code == 302
    assert not CredentialsProfile.objects.exists()


@pytest.mark.parametrize("way", ["existing_profile", "account_name"])
def test_the_master_account_is_used_only_after_a_warning(way, listed, save_client):
    chosen = {way: f"{listed.pk}:master_account" if way == "existing_profile" else "master_account"}
    errors = refused(save_client(**chosen))
    assert list(errors) == [way]
    assert "copy of master_account" in errors[way][0]
    assert not Client.objects.exists()
    assert save_client(**chosen, use_master_account="on").status_code == 302
    assert Client.objects.get().account_name == "master_account"


# --- exchange keys ---


@pytest.fixture
def save_key(client_sharp, admin_client):
    def save(**changes):
        facts = {"client": client_sharp.pk, "connector": "bitmart", **PLANTED}
        return admin_client.post(reverse(f"{KEY}_add"), facts | changes)

    return save


def test_the_form_asks_for_what_the_chosen_connector_needs(client_sharp, admin_client):
    page = reverse(f"{KEY}_add")
    assert "Choose an exchange to see the fields it requires" in text_of(admin_client.get(page))
    for connector in ("bitmart", "kraken"):
        chosen = text_of(admin_client.get(page, {"client": client_sharp.pk, "connector": connector}))
        assert all(f'name="{field.name}"' in chosen for field in KNOWN_CONNECTORS[connector])


@pytest.mark.parametrize("client", ["", "abc", "999999", "9" * 40, "9" * 5000])
def test_a_choice_from_the_address_that_is_no_client_is_ignored(client, admin_client, db):
    assert admin_client.get(reverse(f"{KEY}_add"), {"client": client, "connector": "bitmart"}).status_code == 200


@pytest.mark.parametrize("connector", ["", "bitmort"])
def test_an_unknown_connector_is_refused(connector, save_key):
    assert list(refused(save_key(connector=connector))) == ["connector"]
    assert not ExchangeKey.objects.exists()


def test_a_connector_that_the_clients_server_does_not_have_is_refused(server, save_key):
    elsewhere = [{"name": "exotic_api_key", "type": "SecretStr", "required": True}]
    Server.objects.create(name="O", base_url="http://127.0.0.1:9", password="x", connectors={"exotic": elsewhere})
    errors = refused(save_key(connector="exotic"))
    assert errors == {"connector": ["Choose a connector that the client's server has, then enter its key."]}


@pytest.mark.parametrize("blank", ["", "   "])
def test_each_missing_field_is_named_and_no_typed_value_is_shown_again(blank, save_key):
    response = save_key(bitmart_memo=blank, bitmart_secret_key=blank)
    assert refused(response) == {
        "bitmart_memo": ["This field is required."],
        "bitmart_secret_key": ["This field is required."],
        "__all__": ["Enter the key's values again. For security, they are never shown again."],
    }
    assert not ExchangeKey.objects.exists()
    assert PLANTED["bitmart_api_key"] not in text_of(response)


def test_a_field_that_the_connector_does_not_ask_for_is_not_stored(save_key):
    assert save_key(bitmart_surprise="x", encrypted_values="x", fingerprint="x").status_code == 302
    assert ExchangeKey.objects.get().read_values() == PLANTED


def test_pasted_spaces_and_line_ends_are_dropped(save_key):
    assert save_key(bitmart_api_key=f" {PLANTED['bitmart_api_key']}\n").status_code == 302
    assert ExchangeKey.objects.get().read_values() == PLANTED


@pytest.mark.parametrize("value", ["abc def", "abc\ndef", "abc\tdef"])
def test_a_key_that_was_pasted_in_pieces_is_refused_on_its_field(value, save_key):
    errors = refused(save_key(bitmart_secret_key=value))
    assert errors["bitmart_secret_key"] == ["This contains a space or a line break. Paste the whole value again."]
    assert not ExchangeKey.objects.exists()


@pytest.mark.parametrize(
    ("connector", "values"),
    [
        ("bitmart", PLANTED | {"bitmart_memo": "my trading key"}),
        (
            "coinbase_advanced_trade",
            {
                "coinbase_advanced_trade_api_key": "organizations/1/apiKeys/2",
                "coinbase_advanced_trade_api_secret": "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END",
            },
        ),
        ("dydx_v4_perpetual", {"dydx_v4_perpetual_secret_phrase": "a b c", "dydx_v4_perpetual_chain_address": "dydx1"}),
    ],
)
def test_what_has_spaces_or_lines_of_its_own_is_taken(connector, values, save_key):
    assert save_key(connector=connector, **values).status_code == 302
    assert values.items() <= ExchangeKey.objects.get().read_values().items()


def test_a_second_key_for_a_connector_is_refused(key, save_key):
    errors = refused(save_key())
    assert "This client already has a key for this connector. Edit that key instead." in str(errors)
    assert ExchangeKey.objects.count() == 1


def test_an_optional_field_that_is_left_out_is_left_to_the_server(save_key):
    kraken = {"connector": "kraken", "kraken_api_key": "a", "kraken_secret_key": "b", "kraken_api_tier": ""}
    assert save_key(**kraken).status_code == 302
    assert ExchangeKey.objects.get().read_values() == {"kraken_api_key": "a", "kraken_secret_key": "b"}


def test_a_choice_that_the_connector_does_not_offer_is_refused(save_key):
    okx = {f"okx_{word}": "x" for word in ("api_key", "secret_key", "passphrase")}
    errors = refused(save_key(connector="okx", okx_registration_sub_domain="evil", **okx))
    assert list(errors) == ["okx_registration_sub_domain", "__all__"]


def test_a_key_is_replaced_as_a_whole_and_never_shown(key, admin_client):
    pages = text_of(admin_client.get(url_of(key))), text_of(admin_client.get(url_of(key, "rotate")))
    assert not [value for value in PLANTED.values() if value in "".join(pages)]
    assert f"ends in {PLANTED['bitmart_api_key'][-4:]}" in pages[0]
    errors = refused(admin_client.post(url_of(key, "rotate"), {}))
    assert errors == {name: ["This field is required."] for name in PLANTED}
    key.refresh_from_db()
    assert key.read_values() == PLANTED
    new = dict.fromkeys(PLANTED, "another-value")
    assert admin_client.post(url_of(key, "rotate"), new | {"client": 999, "connector": "kraken"}).status_code == 302
    key.refresh_from_db()
    assert (key.connector, key.read_values()) == ("bitmart", new)


def test_a_keys_own_page_asks_for_no_values_and_changes_none(key, admin_client):
    assert "bitmart_api_key" not in text_of(admin_client.get(url_of(key)))
    assert admin_client.post(url_of(key), {"bitmart_memo": "another", "expires_on": "2100-01-31"}).status_code == 302
    key.refresh_from_db()
    assert (key.read_values(), key.expires_on) == (PLANTED, date(2100, 1, 31))


def test_new_values_are_saved_and_nothing_is_sent_before_somebody_says_so(key, admin_client, sandbox):
    response = admin_client.post(url_of(key, "rotate"), PLANTED | {"bitmart_memo": "another", "expires_on": ""})
    assert response["Location"] == url_of(key, "operate", "rotate_key")
    assert not sandbox.requests
    assert "</span>Push\n" in text_of(admin_client.get(response["Location"]))


def test_new_values_do_not_inherit_the_former_ones_last_day(key, admin_client):
    ExchangeKey.objects.update(expires_on=date(2020, 1, 31))
    assert shown(admin_client.get(url_of(key, "rotate")), "expires_on") is None
    assert admin_client.post(url_of(key, "rotate"), PLANTED).status_code == 302
    assert ExchangeKey.objects.get().expires_on is None


def test_who_may_enter_a_key_and_not_push_it_is_led_back_to_the_key(key, make_user, browse):
    may = {"accounts.view_exchangekey", "accounts.change_exchangekey", "accounts.view_every_client"}
    browser = browse(make_user("clerk", may))
    assert browser.post(url_of(key, "rotate"), PLANTED)["Location"] == url_of(key)
    looks = browse(make_user("viewer", {"accounts.view_exchangekey", "accounts.view_every_client"}))
    assert looks.get(url_of(key, "rotate")).status_code == 403


def test_a_last_day_that_is_past_is_refused_when_it_is_entered_and_kept_when_it_passed_since(key, admin_client):
    past = {"expires_on": "2020-01-31"}
    assert list(refused(admin_client.post(url_of(key), past))) == ["expires_on"]
    ExchangeKey.objects.update(expires_on=date(2020, 1, 31))
    assert admin_client.post(url_of(key), past).status_code == 302


def test_saving_a_last_day_undoes_nothing_that_was_written_meanwhile(key, admin_client, monkeypatch):
    clean = KeyDetailsForm.clean_expires_on

    def while_the_exchange_answers(form):
        key.was_tried(passed=True, outcome="fine")
        return clean(form)

    monkeypatch.setattr(KeyDetailsForm, "clean_expires_on", while_the_exchange_answers)
    assert admin_client.post(url_of(key), {"expires_on": "2100-01-31"}).status_code == 302
    key.refresh_from_db()
    assert (key.expires_on, key.test_outcome) == (date(2100, 1, 31), "fine")


def test_paper_trade_says_that_it_needs_no_key(client_sharp, save_key, admin_client):
    chosen = {"client": client_sharp.pk, "connector": "binance_paper_trade"}
    assert PAPER_NEEDS_NO_KEY in text_of(admin_client.get(reverse(f"{KEY}_add"), chosen))
    assert refused(save_key(connector="binance_paper_trade")) == {"connector": [PAPER_NEEDS_NO_KEY]}


def test_connectors_are_offered_by_what_is_at_stake(client_sharp, admin_client):
    choices = admin_client.get(reverse(f"{KEY}_add")).context["adminform"].form.fields["connector"].choices
    assert [label.partition(" (")[0] for label, _ in choices[1:]] == ["Live", "Testnet", "Paper trade"]
    assert ("binance_perpetual", "Binance futures (perpetual) · binance_perpetual") in choices[1][1]


def test_the_form_speaks_in_words_and_says_how_a_key_is_made(client_sharp, admin_client):
    def guide(connector: str) -> str:
        return text_of(admin_client.get(reverse(f"{KEY}_add"), {"client": client_sharp.pk, "connector": connector}))

    bitmart = guide("bitmart")
    assert "Memo" in bitmart and "API Management" in bitmart
    assert "Never allow withdrawals" in bitmart
    assert f"The panel reaches the server at <code>{client_sharp.server.host}</code>" in bitmart
    hyperliquid = guide("hyperliquid")
    assert "with an API wallet" in hyperliquid and "This exchange has no IP restriction for keys." in hyperliquid
    assert "it can also withdraw all funds" in guide("dydx_v4_perpetual")
    assert "testnet" in guide("bybit_testnet") and "https://testnet.bybit.com" in guide("bybit_testnet")


def test_a_secret_is_typed_unseen_and_no_browser_offers_or_keeps_it(client_sharp, admin_client):
    page = admin_client.get(reverse(f"{KEY}_add"), {"client": client_sharp.pk, "connector": "kucoin"})
    fields = page.context["adminform"].form
    for name in ("kucoin_api_key", "kucoin_secret_key", "kucoin_passphrase"):
        widget = fields[name].field.widget
        assert (widget.input_type, widget.attrs["autocomplete"], widget.render_value) == (
            "password",
            "new-password",
            False,
        )
        assert "readonly" not in widget.attrs


def test_a_key_whose_connector_the_server_no_longer_knows_says_so(key, admin_client):
    ExchangeKey.objects.update(connector="discontinued")
    assert admin_client.get(url_of(key)).status_code == 200
    errors = refused(admin_client.post(url_of(key, "rotate"), PLANTED))
    assert errors == {"__all__": ["The client's server no longer has this connector. Check the server's connection."]}


def delete(browser, *keys):
    if len(keys) == 1:
        return browser.post(url_of(keys[0], "delete"), {"post": "yes"}, follow=True)
    selected = {"action": "delete_selected", ACTION_CHECKBOX_NAME: [key.pk for key in keys], "post": "yes"}
    return browser.post(reverse(f"{KEY}_changelist"), selected, follow=True)


@pytest.mark.parametrize("pushed", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_a_key_that_is_deleted_here_and_not_on_the_server_says_so(several, pushed, key, perform, admin_client):
    if pushed:
        perform("push_profile", key.client)
    assert "stay on the server" in text_of(admin_client.get(url_of(key, "delete")))
    keys = [key]
    if several:
        keys.append(ExchangeKey(client=key.client, connector="kucoin"))
        keys[-1].set_values({"kucoin_api_key": "made up"})
        keys[-1].save()
    page = text_of(delete(admin_client, *keys))
    assert not ExchangeKey.objects.exists()
    output = (
        "The bitmart key was deleted in the panel only. It is still in client_sharp on Sandbox and in running bots."
    )
    assert (output in page) == pushed
    assert "The kucoin key was" not in page


# --- what can't be decrypted ---


@pytest.fixture
def other_keys():
    """Former FERNET_KEYS: what is saved meanwhile can't be read with the present ones."""

    def use():
        patch = pytest.MonkeyPatch()
        for field in (ExchangeKey._meta.get_field("encrypted_values"), Server._meta.get_field("password")):
            patch.setitem(field.__dict__, "fernet", Fernet(Fernet.generate_key()))
        return patch

    return use


def test_an_unreadable_key_says_so_on_its_row_and_its_page_and_can_be_entered_again(
    key, second_client, other_keys, admin_client
):
    stored_key(second_client)
    former = other_keys()
    key.save()
    former.undo()
    page = text_of(admin_client.get(reverse(f"{KEY}_changelist")))
    assert page.count("can't be read") == 1
    assert page.count("not pushed") == 1
    assert "was encrypted with a FERNET_KEYS value that is missing now" in text_of(admin_client.get(url_of(key)))
    assert "can't be read" in text_of(admin_client.get(reverse(f"{CLIENT}_changelist")))
    assert "can't be read" in text_of(admin_client.get(url_of(key.client)))
    assert admin_client.post(url_of(key, "rotate"), PLANTED).status_code == 302
    key.refresh_from_db()
    assert key.read_values() == PLANTED


def test_an_unreadable_password_says_so_on_its_row_and_its_page_and_can_be_entered_again(
    server, other_keys, admin_client
):
    Server.objects.create(name="Readable", base_url="http://127.0.0.1:9", password="x")
    former = other_keys()
    server.save()
    former.undo()
    page = text_of(admin_client.get(reverse(f"{SERVER}_changelist")))
    assert page.count("password can't be read") == 1
    assert page.count("not checked yet") == 1
    assert "can't be decrypted" in text_of(admin_client.get(url_of(server)))
    facts = {"name": server.name, "base_url": server.base_url, "username": "admin"}
    assert admin_client.post(url_of(server), facts).status_code == 302
    server.refresh_from_db()
    assert not server.password
    assert admin_client.post(url_of(server), facts | {"password": PLANTED_PASSWORD}).status_code == 302
    server.refresh_from_db()
    assert server.password == PLANTED_PASSWORD


# --- bots ---


@pytest.fixture
def pmm(db):
    return Strategy.objects.get(name="pmm_v1")


@pytest.fixture
def pmm_simple(db):
    return Strategy.objects.get(name="pmm_simple")


@pytest.mark.parametrize("pair", ["SHARP/USDT", "sharp-usdt", " sharp / usdt ", "sharp_usdt"])
def test_a_pair_is_understood_however_it_is_written(pair, save_bot):
    assert save_bot(trading_pair=pair).status_code == 302
    assert Bot.objects.get().trading_pair == "SHARP-USDT"


@pytest.mark.parametrize("pair", ["SHARPUSDT", "SHARP-", "SHARP-USDT-X", "USDT-USDT", "SHA RP-USDT", "SHARP--USDT"])
def test_what_is_no_pair_is_refused(pair, save_bot):
    response = save_bot(trading_pair=pair)
    errors = refused(response)
    assert errors == {
        "trading_pair": ["Enter a pair such as SHARP-USDT, with a dash between the base and the quote asset."]
    }
    assert shown(response, "trading_pair") == pair
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("bid_spread", "0", "This must be more than 0. You entered 0."),
        ("bid_spread", "-0.003", "This must be more than 0. You entered -0.003."),
        ("ask_spread", "1", "This must be less than 1. You entered 1."),
        ("ask_spread", "1.5", "This must be less than 1. You entered 1.5."),
        ("ask_spread", "three", "Enter a number."),
        ("ask_spread", "NaN", "Enter a number."),
        ("bid_spread", "inf", "Enter a number."),
        ("bid_spread", "1e999", "Enter a number."),
        ("order_amount", "0", "This must be more than 0. You entered 0."),
        ("order_amount", "", "This field is required."),
        ("bid_spread", "", "This field is required."),
        ("order_refresh_time", "0", "This must be at least 1. You entered 0."),
        ("order_refresh_time", "1.5", "This must be a whole number."),
        ("order_refresh_time", "1000000", "This must be at most 86400. You entered 1000000."),
    ],
)
def test_a_setting_out_of_bounds_is_refused_on_its_own_field(setting, value, message, save_bot, spread):
    response = save_bot(settings={setting: value})
    field = field_name(spread.pk, setting)
    assert refused(response) == {field: [message]}
    assert shown(response, field) == value
    assert shown(response, "name") == "Sharp Spread"
    assert not Bot.objects.exists()


def test_a_new_bot_s_form_holds_the_defaults(save_bot):
    assert save_bot().status_code == 302
    assert Bot.objects.get().settings == {
        "bid_spread": 0.003,
        "ask_spread": 0.003,
        "order_amount": 1600,
        "order_refresh_time": 60,
    }


def test_a_connector_that_the_server_does_not_have_is_refused(save_bot):
    errors = refused(save_bot(connector="bitmort"))
    assert errors == {"connector": ["Sandbox has no connector “bitmort”."]}


def test_a_strategy_for_spot_markets_refuses_a_perpetual_connector(save_bot, pmm_simple):
    errors = refused(save_bot(connector="bitmart_perpetual"))
    assert errors == {"connector": ["The strategy spread supports spot markets only. Choose a spot connector."]}
    settings = {"total_amount_quote": "80", "leverage": "2"}
    assert save_bot(strategy=pmm_simple, connector="bitmart_perpetual", settings=settings).status_code == 302


def test_paper_trade_needs_no_connector_of_the_servers(save_bot):
    assert save_bot(connector="binance_paper_trade").status_code == 302


def test_an_image_that_is_none_is_refused(save_bot):
    assert list(refused(save_bot(image="hummingbot; rm -rf"))) == ["image"]


@pytest.mark.parametrize("name", ["锋利", "--"])
def test_a_bot_name_that_no_server_takes_is_refused(name, save_bot):
    assert refused(save_bot(name=name)) == {"name": ["Enter a name with at least one letter (a-z) or digit."]}


def test_two_bots_of_a_client_that_look_the_same_to_a_server_are_refused(make_bot, save_bot):
    make_bot()
    errors = refused(save_bot(name="sharp-spread"))
    assert errors == {"name": ["This client has a bot whose server name would be the same. Choose another name."]}


SPREADS = {"buy_spreads": "0.003, 0.006", "sell_spreads": "0.003"}


def test_a_controllers_settings_are_lists(save_bot, pmm, admin_client):
    assert save_bot(strategy=pmm, settings=SPREADS).status_code == 302
    bot = Bot.objects.get()
    assert (bot.settings["buy_spreads"], bot.settings["sell_spreads"]) == ([0.003, 0.006], [0.003])
    assert 'value="0.003, 0.006"' in text_of(admin_client.get(url_of(bot)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.003; 0.006", "Separate numbers with commas: 0.003, 0.006."),
        ("0.003, much", "Separate numbers with commas: 0.003, 0.006."),
        (",", "This field is required."),
        ("0.003, nan", "Separate numbers with commas: 0.003, 0.006."),
        ("0.003, -0.1", "This must be more than 0. You entered -0.1."),
        ("2", "This must be less than 1. You entered 2."),
    ],
)
def test_a_list_with_something_wrong_in_it_is_refused_on_its_field(value, message, save_bot, pmm):
    field = field_name(pmm.pk, "buy_spreads")
    response = save_bot(strategy=pmm, settings=SPREADS | {"buy_spreads": value})
    assert refused(response) == {field: [message]}
    assert shown(response, field) == value


def test_no_stop_loss_is_a_choice_that_stays(save_bot, pmm_simple, admin_client):
    chosen = {"total_amount_quote": "80", "stop_loss": "", "time_limit": "", "sell_amounts_pct": "1, 2"}
    assert save_bot(strategy=pmm_simple, settings=chosen).status_code == 302
    bot = Bot.objects.get()
    assert (bot.settings["stop_loss"], bot.settings["time_limit"], bot.settings["take_profit"]) == (None, None, 0.02)
    assert (bot.settings["buy_amounts_pct"], bot.settings["sell_amounts_pct"]) == (None, [1, 2])
    assert bot.render_config("x")["stop_loss"] is None
    page = admin_client.get(url_of(bot))
    assert shown(page, field_name(pmm_simple.pk, "stop_loss")) is None
    again = page.context["adminform"].form
    entered = {field: again[field].value() for field in again.settings_of[pmm_simple.pk]}
    kept = {field: "" if value is None else value for field, value in entered.items()}
    assert save_bot(bot, strategy=pmm_simple, **kept).status_code == 302
    before = bot.settings
    bot.refresh_from_db()
    assert bot.settings == before


def test_an_empty_text_is_a_value_where_it_is_the_default(save_bot):
    dynamic = Strategy.objects.get(name="pmm_dynamic")
    assert save_bot(strategy=dynamic, settings={"total_amount_quote": "80"}).status_code == 302
    assert Bot.objects.get().settings["candles_connector"] == ""
    field = field_name(dynamic.pk, "interval")
    settings = {"total_amount_quote": "80", "interval": "2m"}
    assert list(refused(save_bot(name="Another", strategy=dynamic, settings=settings))) == [field]


GRID = {"start_price": "0.012", "end_price": "0.0135", "limit_price": "0.0115", "total_amount_quote": "100"}
TAKE_PROFIT = "triple_barrier_config__take_profit"


def test_a_group_of_settings_has_a_field_for_each_and_a_choice_keeps_its_type(save_bot, admin_client):
    grid = Strategy.objects.get(name="grid_strike")
    chosen = GRID | {
        "side": "2",
        "limit_price": "0.014",
        TAKE_PROFIT: "0.002",
        "triple_barrier_config__open_order_type": "2",
    }
    assert save_bot(strategy=grid, settings=chosen).status_code == 302
    bot = Bot.objects.get()
    assert bot.settings["side"] == 2
    group = {"take_profit": 0.002, "open_order_type": 2, "take_profit_order_type": 3}
    assert bot.settings["triple_barrier_config"] == group
    assert grid.defaults["triple_barrier_config"]["take_profit"] == 0.001
    page = admin_client.get(url_of(bot))
    assert shown(page, field_name(grid.pk, TAKE_PROFIT)) == 0.002
    assert '<option value="2" selected>sell</option>' in text_of(page)
    field = field_name(grid.pk, TAKE_PROFIT)
    for value, message in (("", "This field is required."), ("1", "This must be less than 1. You entered 1.")):
        assert refused(save_bot(bot, strategy=grid, settings=chosen | {TAKE_PROFIT: value})) == {field: [message]}


def test_settings_that_contradict_each_other_are_refused_on_the_field(save_bot):
    grid = Strategy.objects.get(name="grid_strike")
    page = save_bot(strategy=grid, settings=GRID | {"end_price": "0.01"})
    message = "This must be more than the start price, 0.012."
    assert refused(page) == {field_name(grid.pk, "end_price"): [message]}


def test_advanced_settings_are_folded_away_until_one_has_an_error(save_bot, pmm, spread, admin_client):
    def folded(response):
        fieldsets = {fieldset.name: fieldset for fieldset in response.context["adminform"]}
        assert not fieldsets[f"{pmm} settings"].is_collapsible
        assert f"{spread}: advanced settings" not in fieldsets
        more = fieldsets[f"{pmm}: advanced settings"]
        assert field_name(pmm.pk, "price_floor") in more.fields
        return more.is_collapsible

    assert folded(admin_client.get(reverse(f"{BOT}_add")))
    assert folded(save_bot(strategy=pmm, settings={"buy_spreads": "2"}))
    assert not folded(save_bot(strategy=pmm, settings={"price_floor": "none"}))
    assert folded(save_bot(**{field_name(pmm.pk, "price_floor"): "none"}, settings={"bid_spread": "2"}))


#: Settings as they are found in other people's schemas: schema, what is typed, what is kept.
EDITED_ON_SERVER = [
    ({"type": "array", "items": {"type": "string"}, "default": ["A-B"]}, "A-B, C-D", ["A-B", "C-D"]),
    ({"type": "array", "items": {"type": "integer"}, "default": []}, "", []),
    ({"type": "array", "items": {"type": "array"}, "default": [[1]]}, "[[1, 2]]", [[1, 2]]),
    ({"type": ["boolean", "null"], "default": True}, "", None),
    ({"type": ["boolean", "null"], "default": None}, "False", False),
    ({"enum": [0.5, "auto", None], "default": None}, "0.5", 0.5),
    ({"enum": [0.5, "auto", None], "default": 0.5}, "", None),
    ({"type": ["number", "string"], "default": "auto"}, "auto", "auto"),
    ({"type": "object", "default": {"a": 1}}, '{"a": 2}', {"a": 2}),
    ({"type": ["object", "null"], "properties": {"a": {}}, "default": {"a": 1}}, "", None),
    ({"default": {"a": [1]}}, '{"a": [2]}', {"a": [2]}),
    ({"default": None}, "", None),
    ({}, "text", "text"),
]


@pytest.mark.parametrize(("schema", "typed", "kept"), EDITED_ON_SERVER)
def test_every_kind_of_setting_has_a_field_that_keeps_its_type(schema, typed, kept, save_bot, admin_client):
    mine = Strategy(name="mine", kind="controller", controller_type="generic", schema={"properties": {"it": schema}})
    mine.full_clean()
    mine.save()
    assert save_bot(strategy=mine, settings={"it": typed}).status_code == 302
    bot = Bot.objects.get()
    assert bot.settings == {"it": kept}
    field = admin_client.get(url_of(bot)).context["adminform"].form[field_name(mine.pk, "it")]
    again = "" if field.value() is None else field.value()
    assert save_bot(bot, strategy=mine, settings={"it": again}).status_code == 302
    bot.refresh_from_db()
    assert bot.settings == {"it": kept}


def test_the_words_of_a_schema_are_shown_and_never_markup(admin_client, db):
    markup = "<img src=x onerror=alert(1)>"
    words = {"type": "string", "title": markup, "description": markup, "unit": markup, "enum": [markup]}
    schema = {"properties": {markup: words, "it": {}}}
    Strategy.objects.create(name="mine", kind="controller", description=markup, schema=schema)
    assert markup not in admin_client.get(reverse(f"{BOT}_add")).content.decode()


def test_a_setting_that_may_be_left_out_is_left_out(save_bot):
    mine = Strategy.objects.create(name="mine", kind="controller", schema={"properties": {"it": {"type": "number"}}})
    assert save_bot(strategy=mine, settings={"it": ""}).status_code == 302
    assert Bot.objects.get().settings == {}


def test_what_is_wrong_within_json_is_said_on_its_field(save_bot):
    rules = {"type": ["object", "null"], "properties": {"a": {"type": "integer"}}, "default": None}
    mine = Strategy.objects.create(name="mine", kind="controller", schema={"properties": {"it": rules}})
    field = field_name(mine.pk, "it")
    for typed, message in (
        ("{a: 1}", "This is not valid JSON: Expecting property name enclosed in double quotes in line 1, column 2."),
        ('{"a": "x"}', "This must be a whole number."),
        ("[1]", "This must be a group of settings or empty."),
    ):
        response = save_bot(strategy=mine, settings={"it": typed})
        assert refused(response) == {field: [message]}
        assert typed in text_of(response)


LIMITS = ("max_global_drawdown_quote", "max_controller_drawdown_quote")


@pytest.mark.parametrize("limit", LIMITS)
def test_only_a_controller_has_drawdown_limits_and_they_are_more_than_zero(limit, save_bot, pmm):
    errors = refused(save_bot(**{limit: "100"}))
    assert errors == {limit: ["Drawdown limits apply to controllers only. This strategy is a script."]}
    errors = refused(save_bot(strategy=pmm, settings=SPREADS, **{limit: "0"}))
    assert errors == {limit: ["Enter a limit above zero, or leave it empty for none."]}
    for nonsense in ("NaN", "much"):
        assert list(refused(save_bot(strategy=pmm, settings=SPREADS, **{limit: nonsense}))) == [limit]
    assert save_bot(strategy=pmm, settings=SPREADS, **{limit: "100"}).status_code == 302
    assert getattr(Bot.objects.get(), limit) == 100


def test_changing_the_strategy_keeps_the_new_ones_settings_and_none_of_the_old(save_bot, pmm, spread):
    assert save_bot(settings={"bid_spread": "0.01"}).status_code == 302
    bot = Bot.objects.get()
    assert save_bot(bot, strategy=pmm, settings=SPREADS).status_code == 302
    bot.refresh_from_db()
    assert set(bot.settings) == set(pmm.settings_schema["properties"])
    assert save_bot(bot).status_code == 302
    bot.refresh_from_db()
    assert set(bot.settings) == set(spread.settings_schema["properties"])


def test_what_was_typed_for_another_strategy_is_in_nobodys_way(save_bot, pmm):
    saved = save_bot(**{field_name(pmm.pk, "buy_spreads"): "not a number", field_name(pmm.pk, "order_amount"): "-"})
    assert saved.status_code == 302
    assert "buy_spreads" not in Bot.objects.get().settings


def test_a_strategy_is_offered_with_what_it_does(client_sharp, admin_client):
    page = text_of(admin_client.get(reverse(f"{BOT}_add")))
    assert ">spread: Keeps one bid and one ask around the mid price, and refreshes both at an interval</option>" in page


def test_without_a_strategy_the_form_says_so_and_keeps_what_was_typed(save_bot):
    response = save_bot(strategy=Strategy(pk=0))
    assert list(refused(response)) == ["strategy"]
    assert shown(response, "trading_pair") == "SHARP-USDT"


def test_a_bots_server_is_its_clients_unless_another_is_chosen(save_bot, client_sharp):
    assert save_bot().status_code == 302
    assert Bot.objects.get().server == client_sharp.server


def test_a_strategy_of_ones_own_is_checked_and_its_settings_become_fields(save_bot, admin_client):
    page = reverse("admin:bots_strategy_add")
    script = {"name": "mine", "kind": "script", "schema": "{}", "default_settings": "{}"}
    for source in ("def (:", ""):
        assert list(refused(admin_client.post(page, script | {"source": source}))) == ["source"]
    facts = {"name": "mine", "kind": "controller", "schema": "{}", "default_settings": '{"levels": 2, "on": true}'}
    assert list(refused(admin_client.post(page, facts))) == ["controller_type"]
    facts["controller_type"] = "generic"
    assert list(refused(admin_client.post(page, facts | {"schema": "{"}))) == ["schema"]
    assert admin_client.post(page, facts).status_code == 302
    mine = Strategy.objects.get(name="mine")
    assert field_name(mine.pk, "levels") in text_of(admin_client.get(reverse(f"{BOT}_add")))
    assert save_bot(strategy=mine, settings={"levels": "3"}, **{field_name(mine.pk, "on"): "on"}).status_code == 302
    assert Bot.objects.get().settings == {"levels": 3, "on": True}


V2 = """
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase
class Mine(StrategyV2Base): pass
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def (:", "This is not valid Python: invalid syntax in line 1."),
        (V2, "The script has no config class"),
        (
            "from hummingbot.strategy.pure_market_making import PureMarketMakingStrategyV2\n"
            "class Mine(PureMarketMakingStrategyV2): pass",
            "there is no PureMarketMakingStrategyV2 in Hummingbot. Write one class based on StrategyV2Base and one "
            "config class",
        ),
    ],
)
def test_a_script_that_no_server_can_start_is_refused_with_the_reason(source, reason, admin_client):
    page = reverse("admin:bots_strategy_add")
    facts = {"name": "mine", "kind": "script", "schema": "{}", "default_settings": "{}", "source": source}
    response = admin_client.post(page, facts)
    errors = refused(response)
    assert list(errors) == ["source"]
    assert reason in errors["source"][0]
    assert shown(response, "source") == source
    assert not Strategy.objects.filter(name="mine").exists()


def test_the_history_of_a_bot_says_from_what_to_what_somebody_changed_it(bot, save_bot):
    assert save_bot(bot, settings=bot.settings | {"order_amount": 1700}, name="Renamed").status_code == 302
    (entry,) = LogEntry.objects.filter(object_id=str(bot.pk))
    assert entry.get_change_message() == (
        "Changed Name from Sharp Spread to Renamed, Order amount (base asset) from 1600 to 1700."
    )
