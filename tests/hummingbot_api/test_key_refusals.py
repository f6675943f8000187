"""The cause of a key that was not stored, by the server's message: the messages are real answers."""

import pytest

from core.problems.server import problem_class
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import (
    ConnectionFailed,
    ExchangeUnreachable,
    HummingbotAPIError,
    KeyRefused,
    ProfileMissing,
    ServerFailed,
    UnknownConnector,
    WrongKeyField,
)
from hummingbot_api.refusals.keys import (
    IpNotAllowed,
    KeyUndecided,
    RegionBlocked,
    ServerClockWrong,
    why_not_stored,
)
from hummingbot_api.server_faults import (
    ServerBug,
    ServerDiskFull,
    ServerKeysUnreadable,
    ServerModuleMissing,
    ServerPermissionDenied,
)
from tests.hummingbot_api.stub import Reply, running_stub


def hummingbot(status: int, body: str) -> str:
    """How Hummingbot's web assistant quotes an exchange."""
    return f"Error executing request GET https://api.example.com/v3/account. HTTP status is {status}. Error: {body}"


REFUSALS = {
    ServerKeysUnreadable: [
        "MAC mismatch",
        "Failed to authenticate for client_x",
        "Failed to authenticate for northwind",
        "'NoneType' object has no attribute 'encrypt_secret_value'",
        "'NoneType' object has no attribute 'decrypt_secret_value'",
    ],
    ServerDiskFull: [
        "[Errno 28] No space left on device: 'bots/credentials/client_x/connectors/bitmart.yml'",
        "[Errno 28] No space left on device: 'bots/credentials/client_x'",
        "[Errno 122] Disk quota exceeded: 'bots/credentials/client_x/connectors'",
        "(sqlite3.OperationalError) database or disk is full",
    ],
    ServerPermissionDenied: [
        "[Errno 13] Permission denied: 'bots/credentials/client_x/connectors/bitmart.yml'",
        "[Errno 13] Permission denied: 'bots/credentials/client_x'",
        "[Errno 30] Read-only file system: 'bots/credentials/client_x/connectors'",
        "[Errno 1] Operation not permitted: 'bots/credentials/client_x/connectors/bitmart.yml'",
    ],
    ServerModuleMissing: [
        "No module named 'coinbase'",
        "No module named 'pyinjective.async_client'",
        "cannot import name 'Wallet' from 'xrpl.wallet' (/opt/conda/lib/python3.12/site-packages/xrpl/__init__.py)",
        "No module named 'hummingbot.connector.exchange.dexalot'",
    ],
    ServerBug: [
        "'NoneType' object has no attribute 'connectors'",
        "'dict' object is not callable",
        "list index out of range",
        "BitmartExchange.__init__() missing 1 required positional argument: 'bitmart_memo'",
        "unsupported operand type(s) for +: 'NoneType' and 'str'",
        "[Errno 24] Too many open files: 'bots/credentials/client_x'",
    ],
    ServerClockWrong: [
        hummingbot(400, '{"code":-1021,"msg":"Timestamp for this request was 1000ms ahead of the server\'s time."}'),
        hummingbot(400, '{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}'),
        hummingbot(401, '{"msg":"Timestamp request expired","code":"50102"}'),
        "{'retCode': 10002, 'retMsg': 'invalid request, please check your server timestamp or recv_window param.'}",
        hummingbot(400, '{"code":"400002","msg":"KC-API-TIMESTAMP Invalid"}'),
        hummingbot(403, '{"message":"Header X-BM-TIMESTAMP range. Within a minute","code":30007}'),
        "{'error': ['EAPI:Invalid nonce']}",
    ],
    RegionBlocked: [
        hummingbot(451, '{"code":0,"msg":"Service unavailable from a restricted location according to \'b.\'"}'),
        hummingbot(403, "The Amazon CloudFront distribution is configured to block access from your country."),
        "{'retCode': 10024, 'retMsg': 'The product or service you are seeking is not available in your country'}",
        hummingbot(403, '{"code":"50125","msg":"This feature is unavailable in this region"}'),
    ],
    IpNotAllowed: [
        hummingbot(401, '{"code":"50110","msg":"Your IP 1.2.3.4 is not included in your API key\'s IP whitelist."}'),
        "{'retCode': 10010, 'retMsg': 'Unmatched IP, please check your API key\\'s bound IP addresses.'}",
        hummingbot(400, '{"code":"400006","msg":"The requested ip address is not in the api whitelist"}'),
        hummingbot(403, '{"message":"IP is forbidden","code":30010}'),
        "IP not allowed for api-key",
    ],
    ExchangeUnreachable: [
        "Cannot connect to host api-cloud.bitmart.com:443 ssl:default [Name or service not known]",
        "[Errno 111] Connect call failed ('1.2.3.4', 443)",
        hummingbot(503, "upstream connect error"),
        hummingbot(429, '{"code":-1003,"msg":"Too many requests"}'),
        "[Errno -3] Temporary failure in name resolution",
    ],
    KeyRefused: [
        hummingbot(401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'),
        hummingbot(400, '{"code":-2014,"msg":"API-key format invalid."}'),
        "{'code': '50111', 'msg': 'Invalid OK-ACCESS-KEY'}",
        "{'error': ['EGeneral:Permission denied']}",
        "{'error': ['EAPI:Invalid key']}",
        "{'retCode': 10003, 'retMsg': 'API key is invalid.'}",
        "Error: the exchange answered 401 Unauthorized: Invalid API-key, IP, or permissions for action.",
        "401, message='Unauthorized', url='https://api.example.com/v3/account'",
        hummingbot(403, '{"label":"INVALID_KEY","message":"Invalid key provided"}'),
    ],
    WrongKeyField: [
        "Object has no attribute 'api_key'",
        "bitmart_memo: Field required",
        "xrpl_secret_key: Value error, Invalid XRPL wallet secret key.",
        "Non-hexadecimal digit found",
    ],
    ProfileMissing: [
        "Directory 'credentials/ghost/connectors' not found",
        "[Errno 2] No such file or directory: 'bots/credentials/ghost'",
    ],
    UnknownConnector: ["'bitmart'"],
    KeyUndecided: [
        "Something went wrong",
        "'kucoin'",
        "it has expired",
        "division by zero",
        "Expecting value: line 1 column 1 (char 0)",
        "",
    ],
}


@pytest.mark.parametrize(("kind", "words"), [(kind, words) for kind in REFUSALS for words in REFUSALS[kind]])
def test_a_refusal_is_whose_fault_it_is(kind, words):
    assert why_not_stored(words, "bitmart") is kind


def test_only_the_exchanges_own_message_blames_the_key():
    """Each kind that is not the key's fault leads to the server, or to the key's settings at the exchange."""
    assert {problem_class(kind).fix_target for kind in REFUSALS} == {"server", "key", ""}
    assert all(problem_class(kind).fix_target == "server" for kind in REFUSALS if issubclass(kind, ServerFailed))
    for kind in (KeyUndecided, ServerClockWrong, RegionBlocked):
        assert problem_class(kind).fix_target == "server"
        assert "new key" not in problem_class(kind).default_remedy or "only if" in problem_class(kind).default_remedy


def refused(words: str, *passwords: str, **values: str) -> HummingbotAPIError:
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", *(passwords or ("admin",))) as api:
        stub.will(Reply({"detail": words}, 400))
        with pytest.raises(HummingbotAPIError) as caught:
            api.accounts.add_credential("client_x", "bitmart", values or {"bitmart_api_key": "k"})
    return caught.value


@pytest.mark.parametrize("memo", ["status", "Failed to authenticate", "mismatch", "credentials"])
def test_a_value_that_is_one_of_the_servers_words_does_not_decide_what_they_mean(memo):
    for words, kind in (
        ("MAC mismatch", ServerKeysUnreadable),
        ("Failed to authenticate for client_x", ServerKeysUnreadable),
        ("Directory 'credentials/client_x/connectors' not found", ProfileMissing),
        (hummingbot(401, '{"code":-2015}'), KeyRefused),
    ):
        assert type(refused(words, bitmart_memo=memo, bitmart_secret_key=memo)) is kind
        assert type(refused(words, memo)) is kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("[Errno 28] No space left on device: 'bots/scripts/x.py'", ServerDiskFull),
        ("[Errno 13] Permission denied: 'bots/scripts/x.py'", ServerPermissionDenied),
        ("'NoneType' object has no attribute 'write'", ServerBug),
        ("No module named 'yaml'", ServerModuleMissing),
        ("it broke", ServerFailed),
    ],
)
def test_a_fault_of_the_server_is_named_whatever_was_asked(words, kind):
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:
        for call in (
            lambda: api.scripts.save("x", "pass"),
            lambda: api.accounts.add("client_x"),
            lambda: api.bots.deploy_script(
                instance_name="i", credentials_profile="c", config_name="c", image="hummingbot"
            ),
        ):
            stub.will(Reply({"detail": words}, 500))
            with pytest.raises(ServerFailed) as caught:
                call()
            assert type(caught.value) is kind
            assert caught.value.may_have_acted
            assert not isinstance(caught.value, ConnectionFailed)
