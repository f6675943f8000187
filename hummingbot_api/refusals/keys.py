"""Why a key was not stored. The server answers 400 with any exception that it met, its own or an exchange's.

The key is blamed only for what an exchange reported with its HTTP status or a code of its own, and for what the server
reports about the key's format. All else is the server's fault, or unknown.
"""

import re

from hummingbot_api.errors import (
    ExchangeUnreachable,
    HummingbotAPIError,
    KeyRefused,
    ProfileMissing,
    Refused,
    UnknownConnector,
    WrongKeyField,
)
from hummingbot_api.refusals.common import NO_EXCHANGE, NO_PROFILE
from hummingbot_api.server_faults import server_fault


class IpNotAllowed(Refused):
    """The exchange knows the key, and does not take it from the server's address."""

    code = "ip_not_allowed"
    may_have_acted = True  # as with a key that is refused
    meaning = "The exchange rejected the key because of the server's IP address."


class RegionBlocked(Refused):
    """The exchange serves no users at the server's location."""

    code = "region_blocked"
    may_have_acted = True
    meaning = "The exchange does not serve the server's country or region."


class ServerClockWrong(Refused):
    """The exchange takes the request for an old one, or for one of the future."""

    code = "server_clock_wrong"
    may_have_acted = True
    meaning = "The exchange rejected the request's timestamp: the clock of the server's host is wrong."
    retryable = True


class KeyUndecided(Refused):
    """The server did not store the key, and its message does not show whether an exchange rejected it."""

    code = "key_undecided"
    may_have_acted = True
    meaning = "The server did not store the key, and did not report that the exchange rejected it."
    retryable = True


_CODE = r"(code|status|err)[\"']?\W{1,4}(is )?-?"
_WRONG_FIELD = re.compile(
    r"^Object has no attribute '|object has no field \"|Field required|Extra inputs are not permitted"
    r"|: Input should be |: Value error, |: String should "
    # A library's message about a private key, a seed phrase or a secret that it can't parse.
    r"|Non-hexadecimal digit|Odd-length string|private key must be |Incorrect padding|Invalid base64-encoded"
    r"|Could not deserialize key data|Unable to load PEM|Invalid mnemonic|mnemonic (words|phrase)",
    re.IGNORECASE,
)
_REGION = re.compile(
    r"restricted (location|country|region|jurisdiction)|(your|this|from|in) (country|region|jurisdiction)\b"
    r"|(country|region|geo)\S{0,10} (is )?(not supported|restricted|blocked|restriction)|\b451\b|CloudFront"
    r"|(local|compliance) (laws|rules|requirements|restrictions)|Unavailable For Legal Reasons",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    rf"timestamp for this request|recv_?window|request_expired|\b(request|req)[ _]?time(stamp)?\b.{{0,20}}(expired|>|<)"
    r"|timestamp.{0,20}(expired|invalid|out of range|range|too (old|far)|ahead)|(invalid|expired|wrong)[-_ ]timestamp"
    rf"|-TIMESTAMP\b|EAPI:Invalid nonce|{_CODE}(1021|50102|50112|10002|400002|30007|40005|40008|700003)\b",
    re.IGNORECASE,
)
_IP = re.compile(
    r"\bIPs?\b(?!, or permissions).{0,60}\b(white-?list|not allowed|not in|not included|invalid|forbidden|restrict"
    r"|mismatch|denied|not trusted|unauthorized|not authorized|not match)"
    r"|(unmatched|illegal|forbidden|untrusted|unauthorized|invalid) IP\b(?!, or permissions)|\bIP_?(forbidden|not_)"
    rf"|{_CODE}(50110|10010|400006|30010|40018|700006)\b",
    re.IGNORECASE,
)
_BUSY = re.compile(r"\b(429|418|50\d)\b.{0,3}[,. ]|rate limit|system busy|maintenance|temporarily", re.IGNORECASE)
#: An exchange's HTTP status, or an error code of its own, as Hummingbot's connectors quote them.
_EXCHANGE_SAID = re.compile(
    r"HTTP status is 4\d\d|\b(status|answered|responded|http)\W{1,4}40[013]\b"
    r"|\b40[013],? (message=|Unauthorized|Forbidden|Bad Request)"
    r"|[\"'](code|ret_?code|error_?code|err[-_]?code|s_?code|label|status)[\"']\s?:\s?[\"']?(-?\d{3}|[a-z_-]{4})"
    r"|\b(error|ret)[-_ ]?code\W{1,4}-?\d{3}|\bE(API|General|Account|Auth|Order|Trade|Service):\w"
    r"|\bapi-signature-not-valid\b|\b(INVALID_KEY|INVALID_SIGNATURE|INVALID_CREDENTIALS)\b",
    re.IGNORECASE,
)


def why_not_stored(words: str, connector: str) -> type[HummingbotAPIError]:
    """Return the kind of problem that the rejection of a key is.

    Args:
        words: the server's unmasked message: masking may remove what decides.
    """
    if NO_PROFILE.search(words):
        return ProfileMissing
    if words == repr(connector):  # the text of a KeyError
        return UnknownConnector
    if fault := server_fault(words):
        return ExchangeUnreachable if NO_EXCHANGE.search(words) else fault
    if _WRONG_FIELD.search(words):
        return WrongKeyField
    # A blocked country, a wrong clock: exchanges report these with the status of a rejection, or as “unavailable”.
    for kind, pattern in ((RegionBlocked, _REGION), (ServerClockWrong, _CLOCK), (IpNotAllowed, _IP)):
        if pattern.search(words):
            return kind
    if NO_EXCHANGE.search(words) or _BUSY.search(words):
        return ExchangeUnreachable
    return KeyRefused if _EXCHANGE_SAID.search(words) else KeyUndecided
