"""What a Python exception in an answer means: the server failed, whatever was sent to it."""

import re

from hummingbot_api.errors import Refused, ServerFailed


class NotSupportedByServer(Refused):
    """The server has no such route: it is of a version from before or after it."""

    code = "not_supported_by_server"
    meaning = "This version of the Hummingbot API lacks a call that the panel needs."


class ServerKeysUnreadable(ServerFailed):
    """The server's config password is not the one with which it stored its keys."""

    code = "server_keys_unreadable"
    meaning = "The server can't read its stored exchange keys. The key itself is not the cause."
    retryable = False


class ServerDiskFull(ServerFailed):
    """``[Errno 28]`` and its like."""

    code = "server_disk_full"
    meaning = "The disk of the server's host is full."


class ServerPermissionDenied(ServerFailed):
    """``[Errno 13]`` and its like."""

    code = "server_permission_denied"
    meaning = "The Hummingbot API lacks permission to read or write its own files on the server's host."
    retryable = False


class ServerModuleMissing(ServerFailed):
    """The server can't import what a connector needs."""

    code = "server_module_missing"
    meaning = "The server's installation lacks a required Python module."
    retryable = False


class ServerBug(ServerFailed):
    """The text of a Python exception: nothing that was sent explains it."""

    code = "server_bug"
    meaning = "The Hummingbot API encountered an error in its own code."
    retryable = False


#: In this order: an error number is more precise than the name of an exception.
_FAULTS: tuple[tuple[type[ServerFailed], str], ...] = (
    # The last one: the server is not logged in to the account's keys, because its password did not fit.
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
    """Return what failed on the server's own side, by its message; ``None`` when the message names no such failure."""
    return next((kind for kind, pattern in _PATTERNS if pattern.search(words)), None)
