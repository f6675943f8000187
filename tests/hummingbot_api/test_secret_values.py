"""Which values of a key are secrets."""

import pytest

from hummingbot_api.secret_values import looks_random, secrets_in


@pytest.mark.parametrize(
    "memo", ["hummingbot", "stop", "northwind", "Northwind Labs", "USDT", "m", "", "my trading bot", "1234", "bot-1"]
)
def test_a_memo_that_people_choose_as_a_name_is_no_secret(memo):
    assert secrets_in({"bitmart_memo": memo}, words=["Northwind Labs", "client_northwind_labs"]) == []


@pytest.mark.parametrize(
    "memo", ["planted-memo-91", "a1b2c3d4e5", "aBcDeFgHiJ", "northwind-7f3a9c01", "Okx!pass&9'word", "päß9#wörd"]
)
def test_a_long_random_memo_is_one(memo):
    assert secrets_in({"bitmart_memo": memo}, words=["Northwind Labs"]) == [memo]


@pytest.mark.parametrize("name", ["gate_io_perpetual_user_id", "ndax_account_name", "derive_subacct_id", "ndax_uid"])
def test_an_accounts_id_and_name_are_none(name):
    assert secrets_in({name: "1234567"}) == secrets_in({name: "trading"}) == []


@pytest.mark.parametrize("word", ["hummingbot", "Stopped", "controller", "northwind", "client_northwind", "bitmart"])
def test_words_of_the_product_and_clients_names_are_no_secrets_in_any_field(word):
    assert secrets_in({"kucoin_passphrase": word}, words=["Northwind", "client_northwind", "bitmart"]) == []


def test_what_is_declared_secret_is_one_and_what_is_not_only_when_it_is_long_and_random():
    values = {"x_passphrase": "sunshine", "x_tier": "Starter tier", "x_url": "wss://s1.ripple.com/", "x_on": True}
    assert secrets_in(values, declared={"x_passphrase"}) == ["sunshine"]
    assert secrets_in({"x_tier": "k3yk3yk3y"}, declared=set()) == ["k3yk3yk3y"]


def test_a_secret_within_a_group_or_a_list_is_one():
    group = {"private_key": "planted-private-key", "subaccount_index": 0, "granter_address": "inj1abcdefgh"}
    assert secrets_in({"account_type": group, "urls": ["planted-url-11"]}) == [
        "planted-private-key", "inj1abcdefgh", "planted-url-11"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "random"),
    [("a1b2c3d4", True), ("aBcDeFgH", True), ("northwind", False), ("Northwind", False), ("NORTHWIND", False),
     ("12345678", False), ("a1b2", False), ("the 3rd memo", False), ("s1.example.com", False), ("10.0.0.7:8000", False),
     ("me+1@example.com", False), ("Sharp, 2nd", False)],
)  # fmt: skip
def test_text_that_is_no_word_counts_as_random(text, random):
    assert looks_random(text) is random
