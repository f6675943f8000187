"""Names that a Hummingbot API server accepts, checked here because the server crashes on those that it does not."""

import re
import unicodedata

from hummingbot_api.errors import InvalidName

NAME = re.compile(r"[A-Za-z0-9_-]+")
#: What the server appends to an instance name at deploy, in UTC: ``-20261122-105939``.
DEPLOY_TIMESTAMP = re.compile(r"-\d{8}-\d{6}")


def check_name(name: str, what: str = "name") -> str:
    """Return ``name`` when a server accepts it for an account, instance, script or config.

    Raises:
        InvalidName: anything but letters, digits, ``_`` and ``-``.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidName(f"{name!r} can't be used as {what}: use only letters, digits, “_” and “-”.")
    return name


def slug(text: str, separator: str = "-") -> str:
    """Turn a display name into a name that a server accepts: ``Sharp Spread`` becomes ``sharp-spread``.

    Empty when nothing of the text can be kept (a name in Chinese, say); the caller then requires another one.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", separator, ascii_text.lower()).strip(separator)


def is_asset(text: str) -> bool:
    """Return whether an exchange may have an asset of that name: ``kPEPE``, ``USD.b``, ``$NUT``.

    Any printable characters but the space and what separates the two assets of a pair.
    """
    return bool(text) and text.isprintable() and not set(text) & set(" -/")


def suggest_case(text: str) -> str:
    """Return a name of assets in upper case when it is all lower case, and unchanged otherwise.

    Exchanges spell most assets in upper case, and users often don't. Mixed case is intentional.
    """
    upper = text.upper()
    # The upper case of some letters is longer, and a name in such letters is no exchange's.
    return upper if text == text.lower() and len(upper) == len(text) else text
