"""What can go wrong in requests to a Hummingbot API server: each error has a code and a sentence."""

from typing import ClassVar


class HummingbotAPIError(Exception):
    """A request to a Hummingbot API server failed, or the server reported a failure.

    Attributes:
        code: stable, for programs and searches. A family of errors has none of its own.
        meaning: what happened, as a sentence.
        message: the same with the server's message, never with a secret in it.
        retryable: whether the same request may succeed later without anything being changed.
        no_contact: whether the server could not be reached at all, as opposed to rejecting the request.
        may_have_acted: whether the server may have executed the request anyway. True unless the kind, or the code that
            raises it, knows better: a deploy that is wrongly considered to have failed is sent a second time.
    """

    code: ClassVar[str] = "hummingbot_api_error"
    meaning: ClassVar[str] = "A request to the Hummingbot API failed."
    retryable: ClassVar[bool] = False
    no_contact: ClassVar[bool] = False
    may_have_acted: bool = True

    def __init__(self, message: str = "") -> None:
        self.message = message or self.meaning
        super().__init__(self.message)


# --- the API was not reached ------------------------------------------------------------------------------------


class ConnectionFailed(HummingbotAPIError):
    """The API can't be reached: any other request would fail likewise."""

    no_contact = True


class ServerUnreachable(ConnectionFailed):
    """No connection, or none any more: refused, reset, no such host.

    Args:
        sent: whether the request may have reached the server before the connection was lost.
    """

    code = "server_unreachable"
    meaning = "The server can't be reached."
    retryable = True

    def __init__(self, message: str = "", *, sent: bool = True) -> None:
        super().__init__(message)
        self.may_have_acted = sent


class AddressForbidden(ServerUnreachable):
    """Link-local, a hoster's metadata service, or no single host: nothing was sent there."""

    code = "address_forbidden"
    meaning = "The base URL points to an address that the panel never connects to."
    retryable = False


class TLSFailed(ConnectionFailed):
    """The server's certificate was not accepted, so nothing was sent."""

    code = "tls_failed"
    may_have_acted = False
    meaning = "The server's TLS certificate is not valid."


class TunnelError(ConnectionFailed):
    """The tunnel in front of the server answered instead of the server. It may have passed the request on."""

    code = "tunnel_error"
    meaning = "The tunnel in front of the server returned an error."
    retryable = True


class TunnelOffline(TunnelError):
    """ngrok ``ERR_NGROK_3200``: no agent serves this address."""

    code = "tunnel_offline"
    may_have_acted = False
    meaning = "The tunnel is offline: no agent serves this address."


class TunnelBackendDown(TunnelError):
    """ngrok ``ERR_NGROK_8012``: the agent is up, nothing listens behind it."""

    code = "tunnel_backend_down"
    may_have_acted = False
    meaning = "The tunnel is up, but the Hummingbot API behind it does not respond."


class TunnelInterstitial(TunnelError):
    """The tunnel showed its warning page for browsers instead of passing the request on."""

    code = "tunnel_interstitial"
    may_have_acted = False
    meaning = "The tunnel showed its browser warning page instead of forwarding the request."
    retryable = False


# --- the API gave no usable answer ------------------------------------------------------------------------------


class Unanswered(HummingbotAPIError):
    """The server did not report what it did. This concerns the one request: it may answer the next one."""

    retryable = True


class ServerTimedOut(Unanswered):
    """No answer in time. Whether the request took effect is not known."""

    code = "server_timed_out"
    no_contact = True
    meaning = "The server did not respond in time. It is unknown whether the request took effect."


class UnexpectedAnswer(Unanswered):
    """Not JSON, cut off, or JSON of another shape than documented."""

    code = "unexpected_answer"
    no_contact = True
    meaning = "The response did not come from a Hummingbot API server."


class ServerFailed(Unanswered):
    """``5xx`` without a more precise meaning."""

    code = "server_failed"
    meaning = "The server failed to process the request."


# --- nothing was sent -------------------------------------------------------------------------------------------


class InvalidBaseURL(HummingbotAPIError):
    """Refused by the panel before anything was sent."""

    code = "invalid_base_url"
    may_have_acted = False
    meaning = "This is not a valid base URL."


class InvalidName(HummingbotAPIError):
    """Refused by the panel before anything was sent: such a name crashes the server."""

    code = "invalid_name"
    may_have_acted = False
    meaning = "This name can't be used on a Hummingbot API server."


# --- the server understood and rejected the request -------------------------------------------------------------


class Refused(HummingbotAPIError):
    """The server rejected the request, so as a rule it has not executed it."""

    may_have_acted = False


class WrongPassword(Refused):
    """``401``: the stored user name or password is not the server's."""

    code = "wrong_password"
    meaning = "The server rejected the stored username or password."


class RequestRejected(Refused):
    """``422``, or a ``4xx`` without a more precise meaning."""

    code = "request_rejected"
    meaning = "The server rejected the request."


class NotFound(Refused):
    """``404``."""

    code = "not_found"
    meaning = "The requested object does not exist on the server."


class AlreadyExists(Refused):
    """The account is there already."""

    code = "already_exists"
    meaning = "This object already exists on the server."


class ProfileMissing(Refused):
    """The credentials profile (the account directory) is not on the server."""

    code = "profile_missing"
    meaning = "The credentials profile does not exist on the server."


class UnknownConnector(Refused):
    """The server has no such connector."""

    code = "unknown_connector"
    meaning = "The server does not know this connector."


class WrongKeyField(Refused):
    """The key has a field that this connector does not have, or lacks one."""

    code = "wrong_key_field"
    meaning = "The exchange key's fields do not match the ones that this connector requires."


class KeyRefused(Refused):
    """The exchange itself rejected the key."""

    code = "key_refused"
    may_have_acted = True  # the server stores a key before it logs in to the exchange, and may leave it there
    meaning = "The exchange rejected the API key."


class ExchangeUnreachable(Refused):
    """The server could not reach the exchange, so nothing was checked there: a key, or trading rules."""

    code = "exchange_unreachable"
    may_have_acted = True  # as with a key that is refused
    meaning = "The server can't reach the exchange, so nothing was checked there."
    retryable = True


class ScriptInvalid(Refused):
    """The server can't import the script, or it has no configuration class."""

    code = "script_invalid"
    meaning = "The server can't use this script."


class ControllerInvalid(Refused):
    """The server has no such controller, or can't import it."""

    code = "controller_invalid"
    meaning = "The server can't use this controller."


class ConfigInvalid(Refused):
    """The settings were not accepted, or the server stored others than were sent."""

    code = "config_invalid"
    meaning = "The server rejected these settings."


class DockerDown(Refused):
    """The server runs, its Docker engine does not."""

    code = "docker_down"
    meaning = "Docker is not running on the server, so no bot can be started or stopped."
    retryable = True


class MqttDown(Refused):
    """The server has no connection to its MQTT broker."""

    code = "mqtt_down"
    meaning = "The server is not connected to its MQTT broker, so it can't reach any bot."
    retryable = True


class ImageMissing(Refused):
    """The Docker image is not there and could not be pulled."""

    code = "image_missing"
    meaning = "The Docker image is not on the server and could not be pulled."


class DeployRefused(Refused):
    """``200`` with ``success: false`` from a deploy."""

    code = "deploy_refused"
    meaning = "The server responded, but did not create the instance."


class BotNotFound(Refused):
    """No live instance of that name."""

    code = "bot_not_found"
    meaning = "The server has no running instance with this name."


class CommandRefused(Refused):
    """``200`` with a failure inside, from start, stop, archive or a container command."""

    code = "command_refused"
    meaning = "The server responded, but did not execute the command."
    retryable = True
