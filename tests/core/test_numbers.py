"""Numbers are understood as people type them, and asked about where they can be read in two ways."""

import pytest
from django.core.exceptions import ValidationError

from core.input.numbers import read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1600", 1600),
        (" 1600 ", 1600),
        ("1 600", 1600),
        ("1\u202f600,5", 1600.5),  # as some locales group digits
        ("0.003", 0.003),
        ("0,003", 0.003),
        ("0,3", 0.3),
        ("1,600.5", 1600.5),
        ("1.600,5", 1600.5),
        ("-0.5", -0.5),
        ("3e-4", 0.0003),
    ],
)
def test_plain_numbers(text, number):
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.3 %", 0.003),
        ("0.3%", 0.003),
        ("0,3 %", 0.003),
        ("30 bps", 0.003),
        ("30bp", 0.003),
        ("30 BPS", 0.003),
        ("0.003", 0.003),
        ("100 %", 1),
    ],
)
def test_fractions_in_percent_and_basis_points(text, number):
    assert read_number(text, fraction=True) == number


@pytest.mark.parametrize("text", ["0.3 %", "30 bps"])
def test_a_percent_sign_makes_sense_with_fractions_only(text):
    with pytest.raises(ValidationError, match="not a fraction"):
        read_number(text)


@pytest.mark.parametrize(("text", "whole", "part"), [("1,600", "1600", "1.6"), ("12,345", "12345", "12.345")])
def test_what_can_be_read_in_two_ways_is_asked_about(text, whole, part):
    with pytest.raises(ValidationError, match=f"Is {text} the number {whole} or {part}"):
        read_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "many",
        "1..2",
        "%",
        "",
        "NaN",
        "Infinity",
        "0.3 percent",
        "1_000",
        "--1",
        "1,2,3",
        "1.2.3",
        "1,600,000",
        "1.5,2",
        "1,5.2",
        "1.2.3,4",
        "1234.567,8",
        "0,0.5",
        "1.,5",
        ",.5",
        "0.3 % %",
        "1e9999999",
        "-1e9999999",
        "1e999999999999999999",
        "1e9999999 bps",
        "sNaN",
        "1e400",
    ],
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValidationError):
        read_number(text, fraction=True)
