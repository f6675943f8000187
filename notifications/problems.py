"""What incidents are about beyond failed operations, and what can go wrong with telling of them.

Part of the catalog in ``hummingbot_api.errors``.
"""

from core.problems import Problem


class BotCrashed(Problem):
    """The container of a running bot has exited without a request from the panel."""

    code = "bot_crashed"
    fix_target = "bot"
    meaning = "The bot crashed and stopped trading. Its orders may still be open."
    default_remedy = (
        "Use “Recover” first: it starts the bot just long enough to cancel its orders. Then read the last lines of "
        "its log, fix the cause, and use “Redeploy” or “Archive”."
    )


class BotUnresponsive(Problem):
    """A bot that was connected before is no longer connected, and its container is up."""

    code = "bot_unresponsive"
    fix_target = "bot"
    meaning = "The bot's container is up, but the bot is not responding. It may be stuck, or still be trading."
    default_remedy = (
        "Open the bot, use “Refresh” and read its log. If the problem continues, use “Recover”: it ends the "
        "container, starts it again, and cancels the bot's orders."
    )


class RestartsExhausted(Problem):
    """A bot crashed again after it was started as often as its restart policy allows."""

    code = "restarts_exhausted"
    fix_target = "bot"
    meaning = "The bot keeps crashing. The panel has restarted it as often as its restart policy allows, and gave up."
    default_remedy = (
        "Read the bot's log and fix the cause. Then use “Start” or “Redeploy”: from then on it is restarted again "
        "after a crash."
    )


class BotStopped(Problem):
    """A bot's strategy ended without a request from the panel."""

    code = "bot_stopped"
    fix_target = "bot"
    meaning = "The bot stopped trading, and nobody stopped it in the panel."
    default_remedy = (
        "A loss limit, the strategy itself or somebody on the server's host stopped it. Read the bot's log, then use "
        "“Start” if it should trade."
    )


class BotNotQuoting(Problem):
    """A bot is up and connected, and its orders are refused, its exchange is not ready, or its balance is too low."""

    code = "bot_not_quoting"
    fix_target = "bot"
    meaning = "The bot is up, but it is not quoting."
    default_remedy = "Read the bot's log, fix the cause, and redeploy the bot."


class ObligationBroken(Problem):
    """What a client's contract promises of a market has not been quoted for longer than its limit."""

    code = "obligation_broken"
    fix_target = "bot"
    meaning = "An obligation to a client is broken."
    default_remedy = (
        "Check the client's bots in this market: whether they run, their spread and their order amount. Lower the "
        "spread or raise the amount, or deploy a bot, so that every limit of the obligation is met."
    )


class DuplicateInstance(Problem):
    """The server runs an instance with a bot's name that the panel did not deploy."""

    code = "duplicate_instance"
    fix_target = "bot"
    meaning = "The server runs another instance with this bot's name. Two bots may be trading one account."
    default_remedy = "Archive the other instance with the tool that deployed it, or on the server's host."


class UnmanagedInstanceFound(Problem):
    """The server runs a bot that the panel did not deploy, and no user has acknowledged it."""

    code = "unmanaged_instance"
    fix_target = "server"
    meaning = "The server runs a bot that this panel did not deploy, and nobody has marked it as known."
    default_remedy = (
        "Ask the server's administrators who owns it. If they know it, use “Mark as known” on the server's page. If "
        "not, stop it on the server's host: it may trade with a client's key."
    )


class LowBalance(Problem):
    """The balance at the exchange is below the minimum that was entered for its key."""

    code = "low_balance"
    fix_target = "key"
    meaning = "The balance at the exchange is below the minimum that was set for its key."
    default_remedy = "Ask the client to add funds, or change the minimum on the key's page."


class ChannelUnreachable(Problem):
    """No connection to the receiver, or no answer in time. The message may have arrived."""

    code = "channel_unreachable"
    fix_target = "channel"
    meaning = "The message could not be delivered: no connection, or no response in time."
    default_remedy = "Check the panel's internet access and the channel's address, then send a test message."
    retryable = True


class ChannelBusy(Problem):
    """The receiver requested a pause, or failed itself.

    Attributes:
        wait: seconds until the next try, as the receiver requested; 0 when it did not.
    """

    code = "channel_busy"
    fix_target = "channel"
    meaning = "The receiver could not accept the message."
    default_remedy = "The panel retries automatically. If the problem continues, check the service's status page."
    retryable = True

    def __init__(self, message: str = "", *, remedy: str = "", wait: int = 0) -> None:
        super().__init__(message, remedy=remedy)
        self.wait = wait


class ChannelRefused(Problem):
    """The receiver rejected the message: an address that was revoked, a wrong chat, a wrong token."""

    code = "channel_refused"
    fix_target = "channel"
    meaning = "The receiver rejected the message."
    default_remedy = (
        "Create a new webhook address or token there, enter it on the channel's page, and send a test message. For "
        "Telegram, also check the chat ID and that the bot is a member of the chat."
    )


class ChannelForbidden(Problem):
    """The address leads to where no message may go: the panel's own host, or its hoster's metadata service."""

    code = "channel_forbidden"
    fix_target = "channel"
    meaning = "The panel does not send messages to this address."
    default_remedy = "Enter an https address of a service on the internet or in your own network."


class ChannelUnreadable(Problem):
    """The channel's address or token was encrypted with a key that is not in ``FERNET_KEYS``."""

    code = "channel_unreadable"
    fix_target = "channel"
    meaning = "The channel's address or token can't be decrypted with the current FERNET_KEYS."
    default_remedy = "Add the old key back to FERNET_KEYS after the new one, or enter the address again."


class MailNotConfigured(Problem):
    """There is no mail server to hand e-mails to."""

    code = "mail_not_configured"
    meaning = "The panel has no mail server, so it can't send e-mail."
    default_remedy = "Set EMAIL_URL (see .env.example), restart the web and worker processes, and send a test message."


class MailFailed(Problem):
    """The mail server could not be reached, or did not take the e-mail."""

    code = "mail_failed"
    fix_target = "channel"
    meaning = "The mail server rejected the e-mail."
    default_remedy = "Check EMAIL_URL, DEFAULT_FROM_EMAIL and the channel's addresses, then send a test message."
    retryable = True


class NotificationExpired(Problem):
    """Every try to deliver a message was started, and none was completed."""

    code = "notification_expired"
    fix_target = "channel"
    meaning = "No delivery attempt was completed."
    default_remedy = "Check that the background worker is running, then send a test message on the channel's page."


class ChannelOff(Problem):
    """The channel, or its user, was disabled before the message was delivered."""

    code = "channel_off"
    fix_target = "channel"
    meaning = "The channel or its account manager was disabled, so the message was not sent."
    default_remedy = "Enable the channel, or choose another account manager for it, to receive future messages."


class IncidentNotVisible(Problem):
    """The incident concerns the channel's user, account manager or client no longer."""

    code = "incident_not_visible"
    fix_target = "channel"
    meaning = (
        "The incident no longer concerns the channel's user, account manager or client, so the message was not sent."
    )
    default_remedy = "Nothing to do. Assign the client to that account manager again if they should be notified of it."
