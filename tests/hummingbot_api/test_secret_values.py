"""Which values are masked, and that a mask hides no words and reveals nothing."""

import html
from urllib.parse import quote

import pytest

from hummingbot_api.secret_values import looks_random, secrets_in
from hummingbot_api.text import mask_secrets, strip_invisible


@pytest.mark.parametrize(
    "memo", ["hummingbot", "stop", "northwind", "Northwind Labs", "USDT", "m", "", "my trading bot", "1234", "bot-1"]
)
def test_a_memo_that_people_choose_as_a_name_is_no_secret(memo):
    assert secrets_in({"bitmart_memo": memo}, words=["Northwind Labs", "client_northwind_labs"]) == []


@pytest.mark.parametrize("memo", ["planted-memo-91", "a1b2c3d4e5", "aBcDeFgHiJ", "northwind-7f3a9c01"])
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
     ("12345678", False), ("a1b2", False), ("the 3rd memo", False)],
)  # fmt: skip
def test_text_that_is_no_word_counts_as_random(text, random):
    assert looks_random(text) is random


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("refused sunshine.", "refused •••."),
        ("key=sunshine&x", "key=•••&x"),
        ("SUNSHINE", "•••"),
        ("client_sunshine_labs", "client_sunshine_labs"),
        ("sunshines", "sunshines"),
        ("2sunshine", "2sunshine"),
    ],
)
def test_a_secret_is_masked_as_a_whole_only(output, shown):
    assert mask_secrets(["sunshine"])(output) == shown


@pytest.mark.parametrize("around", ["{}", "x{}y", "%20{}%20", "\\n{}", "apiKey={}&z", "_{}_"])
def test_a_long_random_value_is_a_secret_in_any_field(around):
    secret = "planted-7f3a9c01-key"
    assert secret not in mask_secrets([secret])(around.format(secret))


@pytest.mark.parametrize("secret", ["", "m", "ab", "abc", None, True, 7])
def test_what_is_short_is_not_masked(secret):
    text = "m ab abc 7 True None"
    assert mask_secrets([secret])(text) == text


@pytest.mark.parametrize(
    "secret", ["planted-7f3a9c01-key", "sunshine-and-rain", "https://x.example/hook/a%20b", "ü" * 20]
)
@pytest.mark.parametrize(
    ("ends", "shortest"),
    [
        ("", 10),
        ("\n", 10),
        ("\"}'", 10),
        ("…", 4),
        ("...", 4),
        ("...'", 4),
        (' [...]"}', 4),
        ("\\u2026 (truncated)", 4),
    ],
)
def test_a_secret_that_is_cut_is_masked(secret, ends, shortest):
    mask = mask_secrets(["another", secret, "other-secret"])
    for length in range(shortest, len(secret) + 1):
        for spelled in (secret, secret.upper(), quote(secret, safe="")):
            # The point before an ellipsis looks like one of its own, and one at the end like that of a sentence.
            shown = mask(f"refused: {spelled[:length]}{ends}").replace("....", "...")
            assert shown.replace("•••.", "•••") == f"refused: •••{ends}".replace("•••.", "•••")


@pytest.mark.parametrize("gap", ["...", "…", "[...]", "' ... '", "&hellip;"])
@pytest.mark.parametrize(
    "secret", ["0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6a7B8c9D0e1F", "sunshine-and-rain"]
)
def test_both_ends_of_a_secret_are_masked_whose_middle_is_cut_out(secret, gap):
    mask = mask_secrets(["another", secret])
    for first in range(4, len(secret)):
        for last in range(8, len(secret)):
            text = f"input_value='{secret[:first]}{gap}{secret[-last:]}', input_type=str] and more"
            assert mask(text) == f"input_value='•••{gap}•••', input_type=str] and more", (first, last)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the sun", "the sun"),
        ("a monsoon, no suns", "a monsoon, no suns"),
        ("a monsoon, no suns...", "a monsoon, no •••..."),
        ("client_suns…", "client_suns…"),
        ("sunday...", "sunday..."),
        ("suns shine", "suns shine"),
        ("sunshine suns…", "••• •••…"),
        ("7f3a9c01-key-sunsh", "•••"),
        ("The order was rejected", "The order was rejected"),
        ("The order was rejected-by", "The order was •••"),
        ("unrejected-by", "unrejected-by"),
        ("unrejected-by...", "unrejected-by..."),
        ("Nothing at /services", "Nothing at /services"),
        ("Nothing at /services/", "Nothing at /services/"),
        ("Nothing at /services/T0Z", "Nothing at •••"),
        ("Wait... shines of it", "Wait... shines of it"),
        ("Wait ... nobody-12s", "Wait ... nobody-12s"),
        ("Wait ... nobody-12", "Wait ... •••"),
    ],
)
def test_no_other_word_is_masked_where_a_text_may_be_cut(text, shown):
    secrets = ["sunshine", "7f3a9c01-key-sunshine-4", "rejected-by-nobody-12", "/services/T0Z1Y2X3W/B0123456789"]
    assert mask_secrets(secrets)(text) == shown


@pytest.mark.parametrize(
    "before", ["%2F", "%252f", "%25252F", "\\n", "\\\\n", "\\t", "\\r", "\\u002F", "\\x2f", "/", "&#x2F;"]
)
@pytest.mark.parametrize("ends", ["", " here", "%2F", "\\n", "..."])
def test_a_secret_is_masked_behind_an_escape_that_ends_in_a_letter(before, ends):
    secret = "zyxwvutsrqponml"
    assert mask_secrets([secret])(f"hook{before}{secret}{ends}") == f"hook{before}•••{ends}"
    assert mask_secrets([secret])(f"hook{before}{secret[:10]}...") == f"hook{before}•••..."


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.replace("/", "\\/"),
        lambda text: text.replace("/", "\\u002F"),
        lambda text: text.replace("/", "&#x2F;"),
        lambda text: quote(quote(text, safe=""), safe=""),
        lambda text: html.escape(text),
    ],
)
def test_a_secret_with_signs_is_masked_however_they_are_spelled(spell):
    secret = "pass/wörd/<planted>"
    assert mask_secrets([secret])(f"refused {spell(secret)} here") == "refused ••• here"


def test_letters_whose_small_form_is_longer_move_no_mask():
    assert mask_secrets(["7f3a9c01-key"])("İİİ 7F3A9C01-KEY İ") == "İİİ ••• İ"


def test_of_a_secret_in_lines_each_long_one_is_masked():
    mask = mask_secrets(["-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nif\n-----END KEY-----"])
    assert mask("can't load MIIEvQIBADANBgkq if it is none") == "can't load ••• if it is none"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\u202eevil\u2066", "evil"),
        ("a\u200b\ufeff\u00adb", "ab"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Überprüfung 注文 ✓", "Überprüfung 注文 ✓"),
    ],
)
def test_what_is_obeyed_and_not_shown_is_stripped(text, shown):
    assert strip_invisible(text) == shown
