"""Trading pairs as an exchange spells them: upper and lower case count, so that kPEPE and KPEPE are two assets."""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from django.core.exceptions import ValidationError

from hummingbot_api.names import is_asset, suggest_case

_SEPARATOR = re.compile(r"\s*[/-]\s*")
_UNDERSCORE = re.compile(r"\s*_\s*")


def read_pair(text: str) -> str:
    """Return a pair with a dash between its assets, which stay as they were entered: ``kPEPE/USD`` is ``kPEPE-USD``.

    Raises:
        ValidationError: it is not a base and a quote asset.
    """
    text = text.strip()
    # An underscore can be part of an asset, and separates only where nothing else does.
    assets = _SEPARATOR.split(text) if _SEPARATOR.search(text) else _UNDERSCORE.split(text)
    if len(assets) != 2 or not all(map(is_asset, assets)) or assets[0].upper() == assets[1].upper():
        raise ValidationError("Enter a pair such as SHARP-USDT, with a dash between the base and the quote asset.")
    return "-".join(assets)


def normalize_pair(text: str) -> str:
    """``SHARP/USDT``, ``sharp-usdt`` and ``SHARP-USDT`` all become ``SHARP-USDT``; mixed case stays.

    Raises:
        ValidationError: it is not a base and a quote asset.
    """
    return suggest_case(read_pair(text))


def spellings(pair: str) -> list[str]:
    """Return the pair as it is, and then with one or both of its assets in upper case."""
    base, quote = pair.split("-")
    pairs = product((base, base.upper()), (quote, quote.upper()))
    return list(dict.fromkeys("-".join(assets) for assets in pairs))


def replace_pair(settings: Mapping[str, Any], previous: str, pair: str) -> dict[str, Any]:
    """Return settings in which each value that was the previous spelling of a pair is the other one."""
    return {name: pair if value == previous else value for name, value in settings.items()}
