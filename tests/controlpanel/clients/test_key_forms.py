"""The forms of exchange keys, also of those that can't be decrypted."""

from datetime import date, timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse
from django.utils import timezone

from accounts.admin.exchange_keys import ExchangeKeyAdmin
from accounts.forms.exchange_keys import KeyDetailsForm
from accounts.keys import PAPER_NEEDS_NO_KEY
from accounts.models import ExchangeKey, Server
from hummingbot_api.connectors import KNOWN_CONNECTORS
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key
from tests.controlpanel.clients.test_forms import refused, shown
from tests.controlpanel.conftest import CLIENT, KEY, SERVER, text_of, url_of


@pytest.fixture
def save_key(client_sharp, admin_client):
    def save(**changes):
        facts = {"client": client_sharp.pk, "connector": "bitmart", **PLANTED}
        return admin_client.post(reverse(f"{KEY}_add"), facts | changes)

    return save


def test_the_form_shows_the_fields_of_the_chosen_connector(client_sharp, admin_client):
    page = reverse(f"{KEY}_add")
    assert "Choose an exchange to see what it needs" in text_of(admin_client.get(page))
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
    assert list(errors) == ["okx_registration_sub_domain"]


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


def test_a_keys_own_page_has_no_fields_for_values_and_changes_none(key, admin_client):
    assert "bitmart_api_key" not in text_of(admin_client.get(url_of(key)))
    assert admin_client.post(url_of(key), {"bitmart_memo": "another", "expires_on": "2100-01-31"}).status_code == 302
    key.refresh_from_db()
    assert (key.read_values(), key.expires_on) == (PLANTED, date(2100, 1, 31))


def test_new_values_are_saved_and_only_sent_on_confirmation(key, admin_client, sandbox):
    response = admin_client.post(url_of(key, "rotate"), PLANTED | {"bitmart_memo": "another", "expires_on": ""})
    assert response["Location"] == url_of(key, "operate", "rotate_key")
    assert not sandbox.requests
    assert "</span>Push\n" in text_of(admin_client.get(response["Location"]))


def test_new_values_do_not_inherit_the_previous_expiry_date(key, admin_client):
    ExchangeKey.objects.update(expires_on=date(2020, 1, 31))
    assert shown(admin_client.get(url_of(key, "rotate")), "expires_on") is None
    assert admin_client.post(url_of(key, "rotate"), PLANTED).status_code == 302
    assert ExchangeKey.objects.get().expires_on is None


def test_a_user_who_may_not_push_a_new_key_returns_to_the_key(key, make_user, browse):
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


def test_the_form_has_labels_and_explains_how_a_key_is_created(client_sharp, admin_client):
    def guide(connector: str) -> str:
        return text_of(admin_client.get(reverse(f"{KEY}_add"), {"client": client_sharp.pk, "connector": connector}))

    bitmart = guide("bitmart")
    assert "Memo" in bitmart and "API Management" in bitmart
    assert "Never allow withdrawals" in bitmart
    assert "Allow only the server's outbound IP address. It is unknown" in bitmart
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


@pytest.fixture
def other_keys():
    """Previous FERNET_KEYS: what is saved meanwhile can't be read with the present ones."""

    def use():
        patch = pytest.MonkeyPatch()
        patch.setattr("core.encryption.current_keys", lambda: ("those-of-before",))
        return patch

    return use


def test_an_unreadable_key_says_so_on_its_row_and_its_page_and_can_be_entered_again(
    key, second_client, other_keys, admin_client
):
    stored_key(second_client)
    previous = other_keys()
    key.save()
    previous.undo()
    page = text_of(admin_client.get(reverse(f"{KEY}_changelist")))
    assert page.count("can't be read") == 1
    assert page.count("not pushed") == 1
    assert "was encrypted with a FERNET_KEYS value that is missing now" in text_of(admin_client.get(url_of(key)))
    assert "can't be read" in text_of(admin_client.get(reverse(f"{CLIENT}_changelist")))
    assert "can't be read" in text_of(admin_client.get(reverse("client_keys", args=[key.client.pk])))
    assert admin_client.post(url_of(key, "rotate"), PLANTED).status_code == 302
    key.refresh_from_db()
    assert key.read_values() == PLANTED


def test_an_unreadable_password_says_so_on_its_row_and_its_page_and_can_be_entered_again(
    server, other_keys, admin_client
):
    Server.objects.create(name="Readable", base_url="http://127.0.0.1:9", password="x")
    previous = other_keys()
    server.save()
    previous.undo()
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


# --- the list ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "words"), [(0, "today"), (1, "in 1 day"), (30, "in 30 days"), (-2, "2 days ago"), (None, "—")]
)
def test_a_keys_last_day_is_shown_with_the_days_that_are_left(days, words, client_sharp, admin_client):
    key = stored_key(client_sharp)
    key.expires_on = None if days is None else timezone.localdate() + timedelta(days=days)
    key.save()
    assert words in text_of(admin_client.get(reverse("admin:accounts_exchangekey_changelist")))


def test_keys_are_sorted_by_their_last_day_those_without_one_last(client_sharp, admin_client):
    for connector, days in (("okx", 30), ("bitmart", None), ("kucoin", 3)):
        key = stored_key(client_sharp, connector)
        key.expires_on = days and timezone.localdate() + timedelta(days=days)
        key.save()
    column = ExchangeKeyAdmin.list_display.index("expiry_label") + 1
    page = text_of(admin_client.get(reverse("admin:accounts_exchangekey_changelist") + f"?o={column}"))
    places = [page.index(f'title="{title}"') for title in ("kucoin", "okx", "bitmart")]
    assert places == sorted(places)


@pytest.mark.parametrize(("passed", "words"), [(True, "accepted"), (False, "rejected"), (None, "not tested")])
def test_what_the_exchange_said_of_a_key_is_in_the_list(passed, words, client_sharp, admin_client):
    ExchangeKey.objects.filter(pk=stored_key(client_sharp).pk).update(test_passed=passed)
    assert words in text_of(admin_client.get(reverse("admin:accounts_exchangekey_changelist")))
