"""What a Python exception in an answer means: the server failed, whatever was sent to it."""

import re

from hummingbot_api.errors import (
    ServerBug,
    ServerDiskFull,
    ServerFailed,
    ServerKeysUnreadable,
    ServerModuleMissing,
    ServerPermissionDenied,
)

#: In this order: an error number says more than that there was an exception.
_FAULTS: tuple[tuple[type[ServerFailed], str], ...] = (
    # The last one: nobody has logged in to the account's keys, because its password did not fit.
    (ServerKeysUnreadable, r"^MAC mismatch|^Failed to authenticate for |has no attribute '(en|de)crypt_secret_value'"),
    (ServerDiskFull, r"\[Errno (28|122)\]|No space left on device|Disk quota exceeded|database or disk is full"),
    # By its number: exchanges have refusals that are called “Permission denied”.
    (ServerPermissionDenied, r"\[Errno (1|13|30)\]|Read-only file system"),
    (ServerModuleMissing, r"^No module named '|^cannot import name '"),
    (
        ServerBug,
        r"^'[\w.]{1,80}' object |^name '\w{1,80}' is not defined|unexpected keyword argument '"
        r"|missing \d{1,3} required (positional|keyword)|takes \d{1,3} positional|unsupported operand type"
        r"|index out of range|values to unpack|local variable '|maximum recursion depth|Event loop is closed"
        r"|^expected str, bytes|^can only concatenate|is not JSON serializable|was never awaited"
        r"|^(Attribute|Type|Key|Index|Name|Import|Runtime|Assertion|NotImplemented|UnboundLocal)Error\b|\[Errno \d",
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _FAULTS)


def server_fault(words: str) -> type[ServerFailed] | None:
    """Return what failed on the server's own side, by its words; ``None`` when they name no such thing."""
    return next((kind for kind, pattern in _PATTERNS if pattern.search(words)), None)
