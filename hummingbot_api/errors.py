"""The catalog of what can go wrong: a code, a sentence, a remedy and whether trying again may help.

Everything that the panel reports, in the admin, in the JSON API and in the docs, is one of these classes.
Modules above add their own by subclassing ``Problem``; ``Problem.catalog()`` lists them all.
"""

from collections.abc import Iterator
from typing import ClassVar


class Problem(Exception):
    """Something went wrong that a person can do something about.

    Attributes:
        code: stable, for programs and searches.
        message: what happened, one or two sentences, never with a secret in it.
        remedy: what to do next.
        retryable: whether the same request may succeed later without anything being changed.
        fix_target: what has to be mended, so that a page can lead there: ``server``, ``key``, ``bot``, its ``settings``,
            ``strategy``, ``client``; empty where there is no such place.
        no_contact: whether it means that a server could not be asked at all, as opposed to saying no.
    """

    code: ClassVar[str] = "problem"
    meaning: ClassVar[str] = "Something went wrong."
    default_remedy: ClassVar[str] = "Try again. If it happens again, check the server's log."
    retryable: ClassVar[bool] = False
    fix_target: ClassVar[str] = ""
    no_contact: ClassVar[bool] = False

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        self.message = message or self.meaning
        self.remedy = remedy or self.default_remedy
        super().__init__(self.message)

    @classmethod
    def catalog(cls) -> Iterator[type["Problem"]]:
        """Every kind of problem that has been defined, in order of definition, families before their members.

        A family without a code of its own is none: it only says what its members have in common.
        """
        for kind in cls.__subclasses__():
            if "code" in vars(kind):
                yield kind
            yield from kind.catalog()

    @classmethod
    def with_code(cls, code: str) -> "type[Problem] | None":
        """The kind of problem that a stored code stands for; ``None`` when there is none any more."""
        return next((kind for kind in cls.catalog() if kind.code == code), None)


class HummingbotAPIError(Problem):
    """A request to a Hummingbot API server failed, or the server said that it did.

    Attributes:
        may_have_acted: whether the server may have done what was asked all the same. True unless the kind, or the one
            that raises it, knows better: a deploy that is wrongly held to have come to nothing is sent a second time.
    """

    may_have_acted: bool = True


# --- nothing was heard of the API -------------------------------------------------------------------------------


class ConnectionFailed(HummingbotAPIError):
    """There is no way to the API: whatever else is asked now would fail likewise."""

    fix_target = "server"
    no_contact = True


class ServerUnreachable(ConnectionFailed):
    """No connection, or none any more: refused, reset, no such host.

    Args:
        sent: whether the request may have reached the server before the connection was lost.
    """

    code = "server_unreachable"
    meaning = "The server can't be reached."
    default_remedy = (
        "Check that the Hummingbot API is running and that the base URL (scheme, host and port) is correct. Then "
        "check the connection again."
    )
    retryable = True

    def __init__(self, message: str = "", *, remedy: str = "", sent: bool = True) -> None:
        super().__init__(message, remedy=remedy)
        self.may_have_acted = sent


class AddressForbidden(ServerUnreachable):
    """Link-local, a hoster's metadata service, or no single host: nothing was sent there."""

    code = "address_forbidden"
    meaning = "The base URL points to an address that the panel never connects to."
    default_remedy = (
        "Enter the address at which other machines reach the server. Link-local (169.254.…, fe80:…), cloud metadata, "
        "multicast and 6to4 addresses are not allowed. If you use a host name, correct its DNS record."
    )
    retryable = False


class TLSFailed(ConnectionFailed):
    """The server's certificate was not accepted, so nothing was sent."""

    code = "tls_failed"
    may_have_acted = False
    meaning = "The server's TLS certificate is not valid."
    default_remedy = (
        "Renew the certificate, or correct the host name in the base URL. Turn off “Verify TLS” only for your own "
        "self-signed certificate."
    )


class TunnelError(ConnectionFailed):
    """The tunnel in front of the server answered instead of the server. It may have passed the request on."""

    code = "tunnel_error"
    meaning = "The tunnel in front of the server returned an error."
    default_remedy = "Look up the code in the tunnel's documentation, and check the tunnel on the server's host."
    retryable = True


class TunnelOffline(TunnelError):
    """ngrok ``ERR_NGROK_3200``: no agent serves this address."""

    code = "tunnel_offline"
    may_have_acted = False
    meaning = "The tunnel is offline: no agent serves this address."
    default_remedy = (
        "Start the tunnel's agent on the server's host. A free tunnel gets a new address at every start: copy it into "
        "the server's base URL."
    )


class TunnelBackendDown(TunnelError):
    """ngrok ``ERR_NGROK_8012``: the agent is up, nothing listens behind it."""

    code = "tunnel_backend_down"
    may_have_acted = False
    meaning = "The tunnel is up, but the Hummingbot API behind it does not respond."
    default_remedy = "Start the Hummingbot API on the tunnel's host, and check the port that the tunnel forwards to."


class TunnelInterstitial(TunnelError):
    """The tunnel showed its warning page for browsers instead of passing the request on."""

    code = "tunnel_interstitial"
    may_have_acted = False
    meaning = "The tunnel showed its browser warning page instead of forwarding the request."
    default_remedy = (
        "The panel sends the header that skips this page, so a proxy in between removes it. Remove that proxy, or use "
        "a tunnel plan without the warning page."
    )
    retryable = False


# --- the API was asked and gave no answer that can be used ------------------------------------------------------


class Unanswered(HummingbotAPIError):
    """The server did not say what it did. That is about this one request: it may answer the next one."""

    fix_target = "server"
    retryable = True


class ServerTimedOut(Unanswered):
    """No answer in time. Whether the request took effect is not known."""

    code = "server_timed_out"
    no_contact = True
    meaning = "The server did not respond in time. It is unknown whether the request took effect."
    default_remedy = (
        "The server may be busy: a deploy blocks it. Wait a minute, refresh, and check the result before you repeat "
        "the request."
    )


class UnexpectedAnswer(Unanswered):
    """Not JSON, cut off, or JSON of another shape than documented."""

    code = "unexpected_answer"
    no_contact = True
    meaning = "The response did not come from a Hummingbot API server."
    default_remedy = (
        "Check that the base URL points to a Hummingbot API server, not to a website or a proxy in front of it. Check "
        "that the server's version is supported."
    )


class ServerFailed(Unanswered):
    """``5xx`` without a more precise meaning."""

    code = "server_failed"
    meaning = "The server failed to process the request."
    default_remedy = "Check the Hummingbot API's log on the server for the cause, then try again."


# --- nothing was sent -------------------------------------------------------------------------------------------


class InvalidBaseURL(HummingbotAPIError):
    """Refused by the panel before anything was sent."""

    code = "invalid_base_url"
    may_have_acted = False
    fix_target = "server"
    meaning = "This is not a valid base URL."
    default_remedy = "Enter the scheme, host and port only, for example https://hummingbot.example.com:8000."


class InvalidName(HummingbotAPIError):
    """Refused by the panel before anything was sent: such a name crashes the server."""

    code = "invalid_name"
    may_have_acted = False
    meaning = "This name can't be used on a Hummingbot API server."
    default_remedy = "Use only letters, digits, “_” and “-”."


# --- the server understood and said no --------------------------------------------------------------------------


class Refused(HummingbotAPIError):
    """The server said no, so as a rule it has not done what was asked."""

    may_have_acted = False


class WrongPassword(Refused):
    """``401``: the stored user name or password is not the server's."""

    code = "wrong_password"
    fix_target = "server"
    meaning = "The server rejected the stored username or password."
    default_remedy = "Ask an operator to enter the username and password again on the server's page."


class RequestRejected(Refused):
    """``422``, or a ``4xx`` without a more precise meaning."""

    code = "request_rejected"
    meaning = "The server rejected the request."
    default_remedy = (
        "Correct the value that the message names. If it is already correct, the server's version may differ."
    )


class NotFound(Refused):
    """``404``."""

    code = "not_found"
    meaning = "The requested object does not exist on the server."


class AlreadyExists(Refused):
    """The account is there already."""

    code = "already_exists"
    meaning = "This object already exists on the server."
    default_remedy = "Use the existing one, or choose another name."


class ProfileMissing(Refused):
    """The credentials profile (the account directory) is not on the server."""

    code = "profile_missing"
    meaning = "The credentials profile does not exist on the server."
    default_remedy = "Push the client's keys. A deploy also does this automatically."


class UnknownConnector(Refused):
    """The server has no such connector."""

    code = "unknown_connector"
    fix_target = "key"
    meaning = "The server does not know this connector."
    default_remedy = "Choose a connector that the server lists. “Check connection” refreshes that list."


class WrongKeyField(Refused):
    """The key has a field that this connector does not have, or lacks one."""

    code = "wrong_key_field"
    fix_target = "key"
    meaning = "The exchange key's fields do not match the ones that this connector requires."
    default_remedy = "Enter the key again. The form shows the fields that the connector requires."


class KeyRefused(Refused):
    """The exchange did not accept the key, and said so itself."""

    code = "key_refused"
    may_have_acted = True  # the server stores a key before the exchange is asked, and may leave it there
    fix_target = "key"
    meaning = "The exchange rejected the API key."
    default_remedy = (
        "Check the key's values, its permissions and its IP allowlist, save it, then retry. Allow trading, never "
        "withdrawals."
    )


class ExchangeUnreachable(Refused):
    """The server could not reach the exchange, so nothing was checked there: a key, or trading rules."""

    code = "exchange_unreachable"
    may_have_acted = True  # as with a key that is refused
    meaning = "The server can't reach the exchange, so nothing was checked there."
    default_remedy = "Check the server's internet access and the exchange's status page, then retry."
    retryable = True


class ScriptInvalid(Refused):
    """The server can't import the script, or it has no configuration class."""

    code = "script_invalid"
    fix_target = "strategy"
    meaning = "The server can't use this script."
    default_remedy = (
        "A script needs valid Python, a class based on StrategyV2Base and one based on StrategyV2ConfigBase "
        "(hummingbot.strategy.strategy_v2_base). Correct the strategy's source, then deploy again."
    )


class ControllerInvalid(Refused):
    """The server has no such controller, or can't import it."""

    code = "controller_invalid"
    fix_target = "strategy"
    meaning = "The server can't use this controller."
    default_remedy = (
        "Choose a strategy whose controller exists on the server. If it should exist, check the controller's file on "
        "the server's host and the server's log, and fix it. Then use “Refresh controllers” on the server's page."
    )


class ConfigInvalid(Refused):
    """The settings were not accepted, or the server holds others than were sent."""

    code = "config_invalid"
    fix_target = "settings"
    meaning = "The server rejected these settings."
    default_remedy = "Correct the settings that the message names, then deploy again."


class DockerDown(Refused):
    """The server runs, its Docker engine does not."""

    code = "docker_down"
    fix_target = "server"
    meaning = "Docker is not running on the server, so no bot can be started or stopped."
    default_remedy = "Start Docker on the server's host (systemctl start docker), then check the connection."
    retryable = True


class MqttDown(Refused):
    """The server has no connection to its MQTT broker."""

    code = "mqtt_down"
    fix_target = "server"
    meaning = "The server is not connected to its MQTT broker, so it can't reach any bot."
    default_remedy = "Start the broker (EMQX in the server's compose file), then check the connection."
    retryable = True


class ImageMissing(Refused):
    """The Docker image is not there and could not be pulled."""

    code = "image_missing"
    fix_target = "settings"
    meaning = "The Docker image is not on the server and could not be pulled."
    default_remedy = "Correct the bot's image, or pull it on the server: docker pull hummingbot/hummingbot:latest."


class DeployRefused(Refused):
    """``200`` with ``success: false`` from a deploy."""

    code = "deploy_refused"
    meaning = "The server responded, but did not create the instance."
    default_remedy = "Correct the problem that the server's message names, then deploy again."


class BotNotFound(Refused):
    """No live instance of that name."""

    code = "bot_not_found"
    meaning = "The server has no running instance with this name."
    default_remedy = "Refresh the bot. It may have crashed or been archived, or the server may have just restarted."


class CommandRefused(Refused):
    """``200`` with a failure inside, from start, stop, archive or a container command."""

    code = "command_refused"
    meaning = "The server responded, but did not execute the command."
    default_remedy = "Refresh the bot to see its state, then try again."
    retryable = True
