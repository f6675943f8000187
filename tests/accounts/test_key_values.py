"""One rule for the values of a key, whatever entrance they come in by; and values that are not text."""

import json
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from accounts.keys import key_store, read_key
from accounts.models import ExchangeKey
from controlpanel.onboarding.from_file import bot_define
from hummingbot_api.connectors import KNOWN_CONNECTORS, entries
from hummingbot_api.results import ConnectorField
from operations.models import State
from sandbox.catalog import CONNECTORS
from spreadsheets.writing import write_csv
from tests.conftest import stored_key

RECORDED = Path(__file__).resolve().parents[3] / "shared/reference/hummingbot-connectors.json"
OKX = {"okx_api_key": "made-up-key-1234", "okx_secret_key": "MADE-UP-SECRET", "okx_passphrase": " “as it is”\u200b "}
DELEGATE = {
    "private_key": "made-up-private-key",
    "subaccount_index": 0,
    "granter_address": "inj1madeup",
    "granter_subaccount_index": 1,
}


# --- the entrances ---


def by_form(browser, client, connector, values) -> None:
    page = reverse("admin:accounts_exchangekey_add")
    answer = browser.post(page, {"client": client.pk, "connector": connector, **values})
    if answer.status_code != 302:
        raise ValidationError(str(answer.context["adminform"].form.errors))


def by_table(browser, client, connector, values) -> None:
    page, seal = reverse("admin:accounts_exchangekey_import"), ""
    content = write_csv(["client", "connector", *values], [[client.name, connector, *values.values()]])
    for _ in range(2):
        answer = browser.post(page, {"file": SimpleUploadedFile("keys.csv", content), "seal": seal})
        result = answer.context["result"]
        if result.counts.get("wrong"):
            raise ValidationError(str([outcome.errors for outcome in result.outcomes]))
        seal = result.seal


def by_rule(browser, client, connector, values) -> None:  # as the JSON API and the CLI do
    key_store(client=client, connector=connector, values=values)


def by_file(browser, client, connector, values) -> None:
    facts = {
        "client": {"name": client.name},
        "key": {"connector": connector, "values": values},
        "bot": {"name": "B", "strategy": "spread", "trading_pair": "BTC-USDT", "settings": {}},
    }
    facts["bot"]["settings"] = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}
    bot_define(facts=facts, server=client.server)


ENTRANCES = [by_form, by_table, by_rule, by_file]


@pytest.mark.parametrize("enter", ENTRANCES)
@pytest.mark.parametrize(
    "pasted",
    [
        "  made-up-key-1234 \n",
        "made-up-key\u200b-1234",
        "\ufeffmade-up-key-1234\u202c",
        "made\u2011up\u2010key\u20131234",
        "“made-up-key-1234”",
        '"made-up-key-1234"',
        "okx_api_key=made-up-key-1234",
        'OKX_API_KEY = "made-up-key-1234"',
        "export OKX_API_KEY=made-up-key-1234;",
        "API Key: made-up-key-1234",
        "apiKey: 'made-up-key-1234',",
    ],
)
def test_what_was_pasted_around_a_value_is_dropped(enter, pasted, admin_client, client_sharp):
    passphrase = "as it is"
    enter(admin_client, client_sharp, "okx", OKX | {"okx_api_key": pasted, "okx_passphrase": passphrase})
    expected = OKX | {"okx_passphrase": passphrase}
    assert ExchangeKey.objects.get().read_values() == expected


@pytest.mark.parametrize("enter", [by_form, by_rule, by_file])
@pytest.mark.parametrize("passphrase", [" spaced ", "“quoted”", "zero\u200bwidth", "okx_passphrase=x", "em—dash"])
def test_a_passphrase_stays_as_it_is(enter, passphrase, admin_client, client_sharp):
    enter(admin_client, client_sharp, "okx", OKX | {"okx_passphrase": passphrase})
    assert ExchangeKey.objects.get().read_values()["okx_passphrase"] == passphrase


@pytest.mark.parametrize("enter", ENTRANCES)
@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("made up key", "This contains a space"),
        ("made—up—key", "This contains a character"),
        ("mäde-up-key", "This contains a character"),
        ("okx_secret_key=made-up", "begins with the name of another value, okx_secret_key"),
        ("passphrase: made-up", "begins with the name of another value, okx_passphrase"),
        ("\u200b", "missing"),
        ("“”", "missing"),
    ],
)
def test_what_no_exchange_gives_out_is_refused(enter, pasted, sentence, admin_client, client_sharp):
    with pytest.raises(Exception, match=sentence) as refused:
        enter(admin_client, client_sharp, "okx", OKX | {"okx_api_key": pasted})
    assert "made-up" not in str(refused.value).replace("made-up-key-1234", "")
    assert not ExchangeKey.objects.exists()


def test_the_terminal_cleans_likewise(client_sharp, tmp_path):
    file = tmp_path / "key.json"
    file.write_text(json.dumps(OKX | {"okx_api_key": " “made-up-key-1234”\u200b"}))
    call_command("client", "key", str(client_sharp.pk), "--connector", "okx", "--file", str(file), "--json")
    assert ExchangeKey.objects.get().read_values() == OKX


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"use_vault": "perhaps"}, "Enter yes or no"),
        ({"use_vault": 3}, "Enter yes or no"),
        ({"hyperliquid_mode": "nope"}, "Choose one of"),
        ({"hyperliquid_secret_key": ["a"]}, "Enter text"),
        ({"hyperliquid_secret_key": True}, "Enter text"),
        ({"hyperliquid_secret_key": {"a": 1}}, "Enter text"),
    ],
)
def test_a_value_of_another_kind_is_refused(values, named):
    _, errors = read_key(
        {"hyperliquid_address": "0xa", "hyperliquid_secret_key": "b"} | values, KNOWN_CONNECTORS["hyperliquid"]
    )
    (sentence,) = errors.values()
    assert named in sentence


@pytest.mark.parametrize(
    ("given", "taken"), [("yes", True), ("FALSE", False), (True, True), (False, False), ("on", True)]
)
def test_yes_and_no_are_accepted_as_words(given, taken):
    values = {"hyperliquid_address": "0xa", "hyperliquid_secret_key": "b", "use_vault": given}
    assert read_key(values, KNOWN_CONNECTORS["hyperliquid"])[0]["use_vault"] is taken


def test_an_optional_value_that_is_empty_is_left_to_the_server(client_sharp):
    key_store(client=client_sharp, connector="okx", values=OKX | {"okx_registration_sub_domain": ""})
    assert ExchangeKey.objects.get().read_values() == OKX


def test_another_key_has_another_last_day(client_sharp):
    key = stored_key(client_sharp, "okx", OKX)
    ExchangeKey.objects.update(expires_on="2030-01-01")
    key_store(client=client_sharp, connector="okx", values=OKX)
    key.refresh_from_db()
    assert key.expires_on is not None
    key_store(client=client_sharp, connector="okx", values=OKX | {"okx_api_key": "another"})
    key.refresh_from_db()
    assert key.expires_on is None


def test_paper_trade_takes_no_key(client_sharp):
    with pytest.raises(ValidationError, match="needs no key"):
        key_store(client=client_sharp, connector="binance_paper_trade", values={})


# --- values that are not text ---


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("SecretStr", "text"),
        ("str", "text"),
        ("int", "int"),
        ("typing.Optional[int]", "int"),
        ("bool | None", "bool"),
        ("list[str]", "list"),
        ("typing.List[float]", "list"),
        ("typing.Optional[typing.List[str]]", "list"),
        ("typing.Dict[str, a.b.Market]", "object"),
        ("dict[str, str]", "object"),
        ("hummingbot.connector.x.x_utils.Mode", "object"),
        ("typing.Union[a.b.One, a.b.Two]", "object"),
    ],
)
def test_the_kind_of_a_value_follows_from_its_type(type, kind):
    assert ConnectorField("x", type, True).kind == kind


def xrpl(**values) -> tuple[dict, dict]:
    return read_key({"xrpl_secret_key": "sMADEUP"} | values, CONNECTORS["xrpl"])


@pytest.mark.parametrize(
    "entered", ["wss://a, wss://b", '["wss://a", "wss://b"]', ["wss://a", "wss://b"], '"wss://a", "wss://b"', "wss://a,wss://b,"]
)  # fmt: skip
def test_a_list_is_entered_with_commas_or_as_json(entered):
    assert xrpl(wss_node_urls=entered) == ({"xrpl_secret_key": "sMADEUP", "wss_node_urls": ["wss://a", "wss://b"]}, {})


@pytest.mark.parametrize("entered", ["[1", '[{"a": 1}]', {"a": 1}, 7, [["a"]], "[" * 100_000])
def test_what_is_no_list_is_refused(entered):
    assert "Enter a list" in xrpl(wss_node_urls=entered)[1]["wss_node_urls"]


MARKETS = {"SOLO-XRP": {"base": "SOLO", "quote": "XRP", "base_issuer": "rMadeUp", "quote_issuer": ""}}


@pytest.mark.parametrize("entered", [json.dumps(MARKETS), MARKETS, f" {json.dumps(MARKETS, indent=1)}\n"])
def test_a_dictionary_is_entered_as_json(entered):
    assert xrpl(custom_markets=entered) == ({"xrpl_secret_key": "sMADEUP", "custom_markets": MARKETS}, {})


@pytest.mark.parametrize("entered", ["SOLO-XRP", "[]", "[1]", "{", 7, '"a"'])
def test_what_is_no_dictionary_is_refused(entered):
    assert "Enter a JSON object" in xrpl(custom_markets=entered)[1]["custom_markets"]


@pytest.mark.parametrize(
    "entered",
    [
        {"account_type": DELEGATE},
        {f"account_type.{name}": value for name, value in DELEGATE.items()},
        {"account_type": "delegate_account"} | {f"account_type.{name}": str(value) for name, value in DELEGATE.items()},
    ],
)
def test_a_group_is_entered_field_by_field_or_nested(entered):
    assert read_key(entered, CONNECTORS["injective_v2"]) == ({"account_type": DELEGATE}, {})


def test_the_form_shows_the_fields_of_each_choice(admin_client, client_sharp, perform):
    perform("check_server", client_sharp.server)
    page = admin_client.get(
        reverse("admin:accounts_exchangekey_add"), {"client": client_sharp.pk, "connector": "injective_v2"}
    )
    fields = page.context["adminform"].form.fields
    assert fields["account_type.private_key"].label == "Account type: Private key"
    assert fields["account_type.private_key"].help_text.startswith("Only for delegate_account.")
    assert fields["account_type.private_key"].widget.input_type == "password"
    assert "receive_connector_configuration" not in fields


def test_a_choice_without_fields_is_sent_by_its_title():
    entered = {
        "network": "testnet_network",
        "network.testnet_node": "lb",
        "fee_calculator": "simulated_transaction_fee_calculator",
    }
    read, errors = read_key(entered | {"account_type": "read_only_account"}, CONNECTORS["injective_v2"])
    assert errors == {}
    assert read == {
        "network": {"testnet_node": "lb"},
        "fee_calculator": "simulated_transaction_fee_calculator",
        "account_type": "read_only_account",
    }


@pytest.mark.parametrize(
    ("entered", "field", "sentence"),
    [
        ({"account_type": "delegate_account"}, "account_type.private_key", "delegate_account requires it"),
        ({"account_type": "nope"}, "account_type", "Choose one of delegate_account, read_only_account"),
        (
            {"account_type": "read_only_account", "account_type.private_key": "x"},
            "account_type.private_key",
            "Leave it",
        ),
        ({"account_type": {"private_key": "x", "moon": 1}}, "account_type.moon", "not a field"),
        ({"account_type": DELEGATE | {"subaccount_index": "x"}}, "account_type.subaccount_index", "whole number"),
        ({"network.testnet_node": "moon"}, "network.testnet_node", "Choose one of lb, sentry"),
    ],
)
def test_a_group_that_is_not_whole_is_refused(entered, field, sentence):
    assert sentence in read_key(entered, CONNECTORS["injective_v2"])[1][field]


@pytest.mark.parametrize("words", [12, 24])
def test_a_wallets_words_are_a_private_key(words):
    phrase = " ".join(["madeup"] * words)
    read, errors = read_key({"account_type": DELEGATE | {"private_key": phrase}}, CONNECTORS["injective_v2"])
    assert (read["account_type"]["private_key"], errors) == (phrase, {})


def test_a_group_of_which_nothing_is_known_is_entered_as_json():
    field = ConnectorField("mode", "a.b_utils.SomeMode", True)
    assert entries([field]) == (field,)
    assert read_key({"mode": '{"private_key": "x"}'}, [field]) == ({"mode": {"private_key": "x"}}, {})


@pytest.mark.parametrize("connector", ["xrpl", "injective_v2"])
@pytest.mark.parametrize("enter", [by_form, by_table])
def test_a_key_with_typed_values_reaches_the_server_as_required(
    connector, enter, admin_client, client_sharp, perform, sandbox
):
    assert perform("check_server", client_sharp.server).state == State.SUCCEEDED
    client_sharp.refresh_from_db()
    values = {
        "xrpl": {
            "xrpl_secret_key": "sMADEUP", "wss_node_urls": "wss://a, wss://b", "custom_markets": json.dumps(MARKETS),
            "max_request_per_minute": "12",
        },
        "injective_v2": {"account_type": "delegate_account", "account_type.private_key": "made-up-private-key",
            "account_type.subaccount_index": "0", "account_type.granter_address": "inj1madeup",
            "account_type.granter_subaccount_index": "1",
        },
    }[connector]  # fmt: skip
    enter(admin_client, client_sharp, connector, values)
    key = ExchangeKey.objects.get()
    operation = perform("test_key", key)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"][connector] == {
        "xrpl": {
            "xrpl_secret_key": "sMADEUP", "wss_node_urls": ["wss://a", "wss://b"], "custom_markets": MARKETS,
            "max_request_per_minute": 12,
        },
        "injective_v2": {"account_type": DELEGATE},
    }[connector]  # fmt: skip
    assert "made-up-private-key" not in str(admin_client.get(key.get_absolute_url()).content)


def test_the_sandbox_refuses_text_for_what_is_none(sandbox, server):
    with server.api() as api:
        api.accounts.add("client_x")
        for values in ({"wss_node_urls": "wss://a"}, {"custom_markets": "{}"}, {"max_request_per_minute": "1"}):
            with pytest.raises(Exception, match="Input should be a valid"):
                api.accounts.add_credential("client_x", "xrpl", {"xrpl_secret_key": "s"} | values)


def test_every_group_of_the_recorded_connectors_is_known():
    """Passes where the recorded answers are not: they are no part of the project."""
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    for connector, facts in recorded.items():
        fields = [
            ConnectorField(name, f["type"], f["required"], tuple(f.get("allowed_values", ())))
            for name, f in facts.items()
        ]
        nested = [field.name for field in fields if field.kind == "object" and "Union" in field.type]
        assert all(any(entry.name.startswith(f"{name}") for entry in entries(fields)) for name in nested), connector
        if connector in CONNECTORS:
            assert {f.name: f.type for f in fields} == {f.name: f.type for f in CONNECTORS[connector]}
