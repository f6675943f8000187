"""Which values of an exchange key are secrets, to be masked in logs of bots and messages of servers.

A connector declares nearly all of its values as secret, including names that a person has chosen and values that the
exchange shows publicly. Such a value may be a common word: masking it makes a log unreadable, and the surrounding text
reveals it anyway. So a value counts as a secret only when it can't be a word.
"""

import re
from base64 import b64encode
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

#: The ends of the names of such values.
CHOSEN = ("memo", "id", "address", "account_name", "account_type", "account_limit", "public_key", "index")
#: Exchanges require secrets of at least this many characters; assets and most names have fewer.
MIN_SECRET = 6
#: Lines by which the panel knows what a bot does, and their kind.
_LINES = (
    "Hummingbot stopped. start command initiated. stop command initiated. MQTT Bridge connected with success.",
    "Manual cash out for controller. Restarting controller. Failed to start strategy. The exchange is not ready.",
    "Stopping, but these cancels are not confirmed. Refreshed the buy and the sell orders. Not enough balance.",
    "Failed to submit BUY order. Failed to cancel order. network connector trading paused running warning error",
)
PRODUCT_WORDS = frozenset(re.findall(r"\w+", " ".join(_LINES).casefold()))


def secrets_in(
    values: Mapping[str, Any], *, declared: Container[str] | None = None, words: Iterable[str] = ()
) -> list[str]:
    """Return those of a key's values that are secrets.

    Args:
        declared: the fields that the connector declares as secret; ``None`` when that is unknown: then all are.
        words: names that occur in logs, such as the client's. Neither these nor their parts are secrets.
    """
    known = PRODUCT_WORDS.union(*map(_parts, words))
    return [
        text
        for name, text in _texts(values)
        if len(text) >= MIN_SECRET
        and text.casefold() not in known
        and (looks_random(text) or ((declared is None or name in declared) and not name.endswith(CHOSEN)))
    ]


def login_secrets(username: str, password: str) -> tuple[str, str]:
    """Return a server's password, as it is and as it is sent: a proxy may quote the headers of a request."""
    return password, b64encode(f"{username}:{password}".encode()).decode()


def looks_random(text: str) -> bool:
    """Return whether a text is in one piece and can't be a word or an address: ``a1b2c3d4``, ``aBcDeFgH``."""
    kinds = [re.search(kind, text[1:]) for kind in ("[a-z]", "[A-Z]", "[0-9]")]
    return len(text) >= 8 and bool(re.fullmatch(r"[^\s.,:@]+", text)) and len(list(filter(None, kinds))) > 1


def _parts(name: str) -> set[str]:
    name = name.casefold()
    return {name, name.replace(" ", "_"), name.replace(" ", "-"), *re.split(r"[\W_]+", name)}


def _texts(values: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text and number in ``values``, however deep, with the name of the field that it is in."""
    for field, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, Mapping):
                yield from _texts(item, name or field)
            elif item is not None and not isinstance(item, bool):
                yield (field if not name else f"{name}.{field}"), str(item).strip()
