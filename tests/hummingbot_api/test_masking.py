"""What is masked in a text, and that a mask hides no words and reveals nothing."""

import html
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest

from hummingbot_api.masking import mask_secrets
from hummingbot_api.text import strip_invisible


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


SPELL = {
    "as it is": str,
    "in a URL": lambda text: quote(text, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "by JavaScript": lambda text: quote(text, safe="!'()*~"),
    "by aiohttp": lambda text: quote(text, safe="/!'()*~$,:;@"),
    "in an older form": lambda text: quote(text, safe="", encoding="latin-1", errors="xmlcharrefreplace"),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON for people": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in JSON for a page": lambda text: re.sub("[<>&='/]", lambda found: f"\\u{ord(found[0]):04X}", text),
    "by PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "by Python": lambda text: repr(text)[1:-1],
    "by Python for a terminal": lambda text: ascii(text)[1:-1],
    "as bytes": lambda text: repr(text.encode())[2:-1],
    "by Rust": lambda text: "".join(c if c.isalnum() else f"\\u{{{ord(c):x}}}" for c in text),
    "in quotes of a shell": lambda text: shlex.quote(text)[1:-1] if shlex.quote(text) != text else text,
    "in quotes of bash": lambda text: text.replace("'", "'\\''"),
    "in quotes of PowerShell": lambda text: text.replace("'", "''"),
    "in quotes of CSV": lambda text: text.replace('"', '""'),
    "by C": lambda text: "".join(c if c.isascii() else "".join(f"\\{b:03o}" for b in c.encode()) for c in text),
    "by Perl": lambda text: "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text),
    "by printf of a shell": lambda text: re.sub(r"([^\w])", r"\\\1", text),
    "for a shell": lambda text: re.sub(r"([^\w\s])", r"\\\1", text),
    "on a page": html.escape,
    "on a page, by number": lambda text: "".join(c if c.isascii() and c.isalnum() else f"&#{ord(c)};" for c in text),
    "on a page, by hexadecimal number": lambda text: "".join(c if c.isalnum() else f"&#x{ord(c):X};" for c in text),
    "over lines": lambda text: text.replace(" ", "\r\n"),
}
#: What these make may be read in two ways when it is escaped again, or was before.
IN_A_SHELL = {name for name in SPELL if "shell" in name or "bash" in name}
#: With all that anyone escapes, and with what looks as if somebody had.
WITH_SIGNS = [
    "pass/wörd/<planted>",
    """it's-9 "planted" & 50% = \\more""",
    "Okx!pass%2B9+word",
    "Tr0ub4dor!&amp;3x==",
    "pl\\u0061nted-7f\\n",
    "päßwort 🙂 注文",
    "its-9'planted-more",
    '9"planted"more',
    "'9''planted'",
]


@pytest.mark.parametrize("spelled", SPELL)
@pytest.mark.parametrize("secret", WITH_SIGNS)
def test_a_secret_with_signs_is_masked_however_one_spells_it_and_another_one_that(secret, spelled):
    mask = mask_secrets(["another", secret])
    assert mask(f"refused: {SPELL[spelled](secret)}, here") == "refused: •••, here"
    for again in SPELL if spelled not in IN_A_SHELL else ():
        if again not in IN_A_SHELL:
            text = SPELL[again](SPELL[spelled](secret))
            assert mask(f"refused: {text}, here") == "refused: •••, here", text


@pytest.mark.parametrize("spelled", ["as it is", "in a URL", "in JSON", "by Python", "on a page"])
@pytest.mark.parametrize("secret", ["000000<&\\", "\\0ab'c\\", "C:\\new\\table\\"])
def test_one_that_ends_in_a_backslash_is_masked(secret, spelled):
    for around in ("refused: {} here", "({})", '"{}"', "{}"):
        text = around.format(SPELL[spelled](secret))
        assert mask_secrets([secret])(text) == around.format("•••"), text


@pytest.mark.parametrize("spelled", SPELL)
@pytest.mark.parametrize("secret", WITH_SIGNS)
def test_nothing_is_left_of_one_that_was_cut_within_an_escape(secret, spelled):
    mask, whole = mask_secrets(["another", secret]), SPELL[spelled](secret)
    first = next(at for at in range(len(whole)) if at >= len(SPELL[spelled](secret[:9])))
    for length in range(first, len(whole) + 1):
        assert mask(f"refused: {whole[:length]}…") == "refused: •••…", whole[:length]


@pytest.mark.parametrize("spelled", SPELL)
def test_nor_of_its_end(spelled):
    secret = "0123456789 = " + "päßwort/9+7 "
    mask, whole = mask_secrets(["another", secret]), SPELL[spelled](secret.strip())
    last = len(SPELL[spelled]("ßwort/9+7"))
    for length in range(last, len(whole)):
        assert mask(f"refused: …{whole[-length:]}, here") == "refused: …•••, here", whole[-length:]


@pytest.mark.parametrize("before", ["\x1b[31m", "\\u001b[31m", "\\x1b[1;31m", "&quot;", "%3D", "%253D", "\\u{22}"])
def test_what_stands_before_a_secret_is_read_too(before):
    assert mask_secrets(["S3cretPw1x"])(f"{before}S3cretPw1x") == f"{before}•••"


@pytest.mark.parametrize("spelled", SPELL)
def test_the_rest_of_a_text_stays_as_it_was_spelled(spelled):
    rest = SPELL[spelled]("Größe: <1/2> & 50%, 'a' \\ b")
    assert mask_secrets(["S3cretPw1x", "/"])(f"{rest} S3cretPw1x {rest}") == f"{rest} ••• {rest}"


def test_letters_whose_small_form_is_longer_move_no_mask():
    assert mask_secrets(["7f3a9c01-key"])("İİİ 7F3A9C01-KEY İ") == "İİİ ••• İ"


def test_of_a_secret_in_lines_each_long_one_is_masked():
    mask = mask_secrets(["-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nif\nso\n-----END KEY-----"])
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
