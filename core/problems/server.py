"""What the errors of the API client mean on the panel's pages: what to do about each, and where."""

from dataclasses import dataclass

from core.problems import Problem
from hummingbot_api.errors import (
    AddressForbidden,
    AlreadyExists,
    BotNotFound,
    CommandRefused,
    ConfigInvalid,
    ConnectionFailed,
    ControllerInvalid,
    DeployRefused,
    DockerDown,
    ExchangeUnreachable,
    HummingbotAPIError,
    ImageMissing,
    InvalidBaseURL,
    InvalidName,
    KeyRefused,
    MqttDown,
    ProfileMissing,
    RequestRejected,
    ScriptInvalid,
    ServerFailed,
    ServerTimedOut,
    ServerUnreachable,
    TLSFailed,
    TunnelBackendDown,
    TunnelError,
    TunnelInterstitial,
    TunnelOffline,
    Unanswered,
    UnexpectedAnswer,
    UnknownConnector,
    WrongKeyField,
    WrongPassword,
)
from hummingbot_api.refusals.keys import IpNotAllowed, KeyUndecided, RegionBlocked, ServerClockWrong
from hummingbot_api.server_faults import (
    NotSupportedByServer,
    ServerBug,
    ServerDiskFull,
    ServerKeysUnreadable,
    ServerModuleMissing,
    ServerPermissionDenied,
)


@dataclass(frozen=True)
class Remedy:
    """What to do about an error.

    Attributes:
        text: as a sentence; empty means the parent class's.
        fix_target: see ``Problem.fix_target``.
    """

    text: str = ""
    fix_target: str = ""


#: By class. A class without an entry of its own uses its parent's.
REMEDIES: dict[type[HummingbotAPIError], Remedy] = {
    ConnectionFailed: Remedy(fix_target="server"),
    ServerUnreachable: Remedy(
        "Check that the Hummingbot API is running and that the base URL (scheme, host and port) is correct. Then "
        "check the connection again."
    ),
    AddressForbidden: Remedy(
        "Enter the address at which other machines reach the server. Link-local (169.254.…, fe80:…), cloud metadata, "
        "multicast and 6to4 addresses are not allowed. If you use a host name, correct its DNS record."
    ),
    TLSFailed: Remedy(
        "Renew the certificate, or correct the host name in the base URL. Turn off “Verify TLS” only for your own "
        "self-signed certificate."
    ),
    TunnelError: Remedy("Look up the code in the tunnel's documentation, and check the tunnel on the server's host."),
    TunnelOffline: Remedy(
        "Start the tunnel's agent on the server's host. A free tunnel gets a new address at every start: copy it into "
        "the server's base URL."
    ),
    TunnelBackendDown: Remedy(
        "Start the Hummingbot API on the tunnel's host, and check the port that the tunnel forwards to."
    ),
    TunnelInterstitial: Remedy(
        "The panel sends the header that skips this page, so a proxy in between removes it. Remove that proxy, or use "
        "a tunnel plan without the warning page."
    ),
    Unanswered: Remedy(fix_target="server"),
    ServerTimedOut: Remedy(
        "The server may be busy: a deploy blocks it. Wait a minute, refresh, and check the result before you repeat "
        "the request."
    ),
    UnexpectedAnswer: Remedy(
        "Check that the base URL points to a Hummingbot API server, not to a website or a proxy in front of it. Check "
        "that the server's version is supported."
    ),
    ServerFailed: Remedy("Check the Hummingbot API's log on the server for the cause, then try again."),
    InvalidBaseURL: Remedy(
        "Enter the scheme, host and port only, for example https://hummingbot.example.com:8000.", fix_target="server"
    ),
    InvalidName: Remedy("Use only letters, digits, “_” and “-”."),
    WrongPassword: Remedy(
        "Ask an operator to enter the username and password again on the server's page.", fix_target="server"
    ),
    RequestRejected: Remedy(
        "Correct the value that the message names. If it is already correct, the server's version may differ."
    ),
    AlreadyExists: Remedy("Use the existing one, or choose another name."),
    ProfileMissing: Remedy("Push the client's keys. A deploy also does this automatically."),
    UnknownConnector: Remedy(
        "Choose a connector that the server lists. “Check connection” refreshes that list.", fix_target="key"
    ),
    WrongKeyField: Remedy(
        "Enter the key again. The form shows the fields that the connector requires.", fix_target="key"
    ),
    KeyRefused: Remedy(
        "Check the key's values, its permissions and its IP allowlist, save it, then retry. Allow trading, never "
        "withdrawals.",
        fix_target="key",
    ),
    ExchangeUnreachable: Remedy("Check the server's internet access and the exchange's status page, then retry."),
    ScriptInvalid: Remedy(
        "A script needs valid Python, a class based on StrategyV2Base and one based on StrategyV2ConfigBase "
        "(hummingbot.strategy.strategy_v2_base). Correct the strategy's source, then deploy again.",
        fix_target="strategy",
    ),
    ControllerInvalid: Remedy(
        "Choose a strategy whose controller exists on the server. If it should exist, check the controller's file on "
        "the server's host and the server's log, and fix it. Then use “Refresh controllers” on the server's page.",
        fix_target="strategy",
    ),
    ConfigInvalid: Remedy("Correct the settings that the message names, then deploy again.", fix_target="settings"),
    DockerDown: Remedy(
        "Start Docker on the server's host (systemctl start docker), then check the connection.", fix_target="server"
    ),
    MqttDown: Remedy(
        "Start the broker (EMQX in the server's compose file), then check the connection.", fix_target="server"
    ),
    ImageMissing: Remedy(
        "Correct the bot's image, or pull it on the server: docker pull hummingbot/hummingbot:latest.",
        fix_target="settings",
    ),
    DeployRefused: Remedy("Correct the problem that the server's message names, then deploy again."),
    BotNotFound: Remedy(
        "Refresh the bot. It may have crashed or been archived, or the server may have just restarted."
    ),
    CommandRefused: Remedy("Refresh the bot to see its state, then try again."),
    NotSupportedByServer: Remedy(
        "Update the Hummingbot API on the server's host, then check the connection again.", fix_target="server"
    ),
    ServerKeysUnreadable: Remedy(
        "Restore the previous CONFIG_PASSWORD on the server's host and restart the Hummingbot API. If it is lost, use "
        "“Recreate profile” on the client's page: it deletes and recreates the client's account, and pushes its keys "
        "again."
    ),
    ServerDiskFull: Remedy("Free space on the server's host (old archives, logs, Docker images), then try again."),
    ServerPermissionDenied: Remedy(
        "Give the user that runs the Hummingbot API access to the file that the message names (chown, or the volume's "
        "mount options), then try again."
    ),
    ServerModuleMissing: Remedy(
        "Update the Hummingbot API on the server's host to an image that has the module, then try again."
    ),
    ServerBug: Remedy(
        "Check the Hummingbot API's log on the server for the traceback. Restart or update it. If the error "
        "continues, report it to its developers."
    ),
    IpNotAllowed: Remedy(
        "Add the server's public IP address to the key's IP allowlist at the exchange, then retry. The key itself "
        "does not need to change.",
        fix_target="key",
    ),
    RegionBlocked: Remedy(
        "Use a server in a country that the exchange serves, or use another exchange. A different key does not help.",
        fix_target="server",
    ),
    ServerClockWrong: Remedy(
        "Set the clock of the server's host and keep it synchronized (timedatectl set-ntp true), then retry. The key "
        "itself does not need to change.",
        fix_target="server",
    ),
    KeyUndecided: Remedy(
        "Check the Hummingbot API's log on the server for the cause, then retry. Create a new key only if the "
        "exchange itself shows that this one is not valid.",
        fix_target="server",
    ),
}


class ServerProblem(Problem):
    """An error of the API client, with the panel's remedy. Its classes are derived from the client's, one for each
    code.
    """


_problem_classes: dict[type[HummingbotAPIError], type[ServerProblem]] = {}


def problem_class(error: type[HummingbotAPIError]) -> type[ServerProblem]:
    """Return the problem that stands for a class of errors: one class for each, made the first time."""
    if error in _problem_classes:
        return _problem_classes[error]
    family = [REMEDIES[parent] for parent in error.__mro__ if parent in REMEDIES]
    _problem_classes[error] = type(
        error.__name__,
        (ServerProblem,),
        {
            "__doc__": error.__doc__,
            "__module__": error.__module__,
            "code": error.code,
            "meaning": error.meaning,
            "default_remedy": next((remedy.text for remedy in family if remedy.text), Problem.default_remedy),
            "fix_target": next((remedy.fix_target for remedy in family if remedy.fix_target), ""),
            "retryable": error.retryable,
            "no_contact": error.no_contact,
        },
    )
    return _problem_classes[error]


def problem_of(error: Problem | HummingbotAPIError) -> Problem:
    """Return the problem that pages show for an error; a problem is returned as it is."""
    return error if isinstance(error, Problem) else problem_class(type(error))(error.message)


def _with_codes(family: type[HummingbotAPIError]) -> None:
    """Make a problem of every error that has a code, so that the catalog lists it."""
    for error in family.__subclasses__():
        if "code" in vars(error):
            problem_class(error)
        _with_codes(error)


_with_codes(HummingbotAPIError)
#: What can go wrong in requests to a server: the panel's own problems, and the client's errors.
FAILURES = (Problem, HummingbotAPIError)
