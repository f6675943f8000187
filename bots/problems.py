"""What can go wrong with bots. Part of the catalog in ``hummingbot_api.errors``."""

from core.problems import Problem


class DefinitionInvalid(Problem):
    """The bot's definition breaks a rule; it was edited, or its strategy was, since it was saved."""

    code = "definition_invalid"
    fix_target = "settings"
    meaning = "The bot's definition is not valid."
    default_remedy = "Correct the setting that the message names, save the bot, and try again."


class BotExists(Problem):
    """The client has a bot of that name, which is defined otherwise or may be live.

    Attributes:
        bot_id: its number.
    """

    code = "bot_exists"
    meaning = "This client already has a bot with that name."
    default_remedy = "Change that bot and deploy it, or choose another name."

    def __init__(self, bot_id: int, name: str) -> None:
        super().__init__(f"The client already has a bot “{name}”, number {bot_id}.")
        self.bot_id = bot_id


class AlreadyRunning(Problem):
    """An instance of the bot is alive; a second one would trade the same account."""

    code = "already_running"
    meaning = "This bot already has an instance on the server."
    default_remedy = "Use “Redeploy” to replace it or “Archive” to remove it. The panel never starts a second instance."


class PauseWouldEnd(Problem):
    """The bot is paused, and the user who redeploys it has not confirmed that the pause may end."""

    code = "pause_would_end"
    fix_target = "bot"
    meaning = "The bot is paused. A new instance would start quoting at once."
    default_remedy = (
        "To resume trading, select “Resume trading” on the bot's page and try again. In the JSON API send “resume”; "
        "in a terminal add --resume. Otherwise leave the paused instance as it is."
    )


class ClientOffboarded(Problem):
    """Nothing begins to trade with the money of a client who has left. What runs may be ended."""

    code = "client_offboarded"
    fix_target = "client"
    meaning = "The client is offboarded, so none of its bots can be deployed or started."
    default_remedy = (
        "To trade again, set the client's status to active, then try again. Bots that still run can be stopped and "
        "archived."
    )


class EmergencyStopActive(Problem):
    """Nothing begins to trade where somebody has stopped everything at once. What runs may be ended.

    Attributes:
        url: the page of the emergency stop.
    """

    code = "emergency_stop_active"
    fix_target = "emergency_stop"
    meaning = (
        "An emergency stop is in force. Until it is lifted, nothing is deployed, started, resumed or changed live."
    )
    default_remedy = (
        "Ask an administrator or an operator to lift the emergency stop on its page, then try again. An account "
        "manager can lift one that they started for an own client. JSON API: /emergency-stops/{id}/lift; terminal: "
        "“emergency_stop lift”."
    )

    def __init__(self, message: str = "", *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class InstanceNameTaken(Problem):
    """Another bot's instances have the same name on this server, so the two could be mistaken for each other."""

    code = "instance_name_taken"
    fix_target = "settings"
    meaning = "Another bot on this server uses the same instance name."
    default_remedy = "Give the bot another name."


class DeployUnconfirmed(Problem):
    """A deploy was sent, no answer came, and no instance has appeared. Sent again it might make two."""

    code = "deploy_unconfirmed"
    meaning = "The deploy was sent, but the server did not confirm it and no new instance has appeared."
    default_remedy = (
        "Retry. The panel first looks for the instance and adopts it. It sends no second deploy while one may still "
        "appear, unless you confirm on the bot's page that you checked the server's host and found nothing."
    )
    retryable = True


class ContainerExited(Problem):
    """The server created the container, and it exited on its own."""

    code = "container_exited"
    meaning = "The server reported success, but the bot's container exited."
    default_remedy = (
        "Run “docker logs” for the instance on the server's host. Common causes: the profile has no key for the "
        "connector, or the strategy fails at startup. Fix the cause, then deploy again."
    )


class BotNeverConnected(Problem):
    """The container is up, and the bot did not connect before the deadline."""

    code = "bot_never_connected"
    meaning = "The bot's container is up, but the bot has not connected."
    default_remedy = (
        "A slow bot is shown as running once it connects; “Refresh” checks now. Otherwise make sure that the bot is "
        "headless and that its container reaches the MQTT broker, then use “Redeploy”."
    )
    retryable = True


class InstanceMissing(Problem):
    """Docker has no container of the instance's name on its server, by its own word."""

    code = "instance_missing"
    meaning = "The bot's instance no longer exists on the server."
    default_remedy = "Deploy the bot again if it should trade."


class InstanceNotListed(Problem):
    """The instance is neither among the active nor among the exited containers, which does not prove its removal."""

    code = "instance_not_listed"
    fix_target = "bot"
    meaning = "The server does not list the bot's container. It is paused by Docker, restarting, or removed."
    default_remedy = (
        "Use “Recover” to ask Docker for the container. A paused or restarting container is stopped and its orders "
        "are cancelled. If the container is gone, the panel lists its last known orders."
    )


class NotDeployed(Problem):
    """The bot has no instance to act upon."""

    code = "not_deployed"
    meaning = "The bot has no instance on the server."
    default_remedy = "Deploy the bot first."


class StopNotDelivered(Problem):
    """A stop that is sent to a bot which is not connected is lost, and the server calls it a success."""

    code = "stop_not_delivered"
    fix_target = "bot"
    meaning = "The bot is not connected, so it can't receive a stop. It may still be trading."
    default_remedy = (
        "Use “Recover”. It ends the bot's container, starts it again, and stops the bot as soon as it connects."
    )
    retryable = True


class StopUnconfirmed(Problem):
    """The stop was sent, and the bot's log does not confirm that it stopped."""

    code = "stop_unconfirmed"
    meaning = "The stop was sent, but the bot has not confirmed it. It may still be trading."
    default_remedy = (
        "Retry the stop. If that fails, use “Recover”: it ends the bot's container, starts it again, and stops the "
        "bot as soon as it connects."
    )
    retryable = True


class ArchiveUnconfirmed(Problem):
    """The archive was sent, and the instance is still there."""

    code = "archive_unconfirmed"
    meaning = "The archive was started, but the instance is still on the server."
    default_remedy = "Refresh in a minute. If the instance is still there, retry."
    retryable = True


class InstanceUnknownHere(Problem):
    """The server lists the instance nowhere, not even in its history: it is not the server that it was deployed on."""

    code = "instance_unknown_here"
    fix_target = "server"
    meaning = "This server never had the bot's instance. The bot may still be trading on another server."
    default_remedy = (
        "Check whether the base URL points to a different host than before, and correct it. If it is the same host "
        "and its history was lost, check the host. Then confirm on the bot's page that the instance is gone."
    )


class OrdersMayBeOpen(Problem):
    """An instance's orders may be open: new ones on top of them could exceed what the client agreed to."""

    code = "orders_may_be_open"
    fix_target = "bot"
    meaning = (
        "Orders of this bot, or of another of the client's bots in this market, may still be open at the exchange."
    )
    default_remedy = (
        "Check the exchange and cancel any open orders. Then use “Mark orders as resolved” on the bot's page (JSON "
        "API: /bots/{id}/orphaned-orders/resolve; terminal: “bot orphaned_orders --resolve”). Until then, nothing is "
        "deployed or started in this market unless you explicitly allow it."
    )


class StrategyNotStarted(Problem):
    """The bot is connected, and its log shows that its strategy raised an error at the start."""

    code = "strategy_not_started"
    fix_target = "strategy"
    meaning = "The bot is up, but its strategy did not start."
    default_remedy = "Correct the strategy or the setting that the message names, then redeploy the bot."


class BotLive(Problem):
    """A definition was to be deleted while an instance of it may be trading."""

    code = "bot_live"
    fix_target = "bot"
    meaning = "The bot has an instance on a server, so it can't be deleted."
    default_remedy = "Archive the bot first, then delete it."


class NotLive(Problem):
    """A running bot applies changes under conditions that this one does not meet, or no longer meets."""

    code = "not_live"
    fix_target = "bot"
    meaning = "This change can't be applied to the running instance."
    default_remedy = "Redeploy the bot. The new instance uses the current settings."


class LiveUnreadable(Problem):
    """While its settings can't be read, nothing is changed in an instance."""

    code = "live_unreadable"
    meaning = "The server did not return the settings of the running instance, so nothing was changed."
    default_remedy = "Refresh the bot and retry. If the problem continues, redeploy the bot."
    retryable = True


class LiveUnconfirmed(Problem):
    """The server accepted the change, and shows other values when it is read again."""

    code = "live_unconfirmed"
    meaning = "The change was sent, but the server does not show it."
    default_remedy = "Retry. Another tool may be changing the same instance."
    retryable = True


class PauseUnconfirmed(Problem):
    """The instance's file contains the pause, and the bot's log does not confirm it."""

    code = "pause_unconfirmed"
    meaning = "The pause was sent and the server shows it, but the bot has not confirmed it. It may still be quoting."
    default_remedy = "Refresh the bot in a minute. It pauses once its exchange is ready. To be certain now, use “Stop”."
    retryable = True


class ResumeUnconfirmed(Problem):
    """The instance's file contains the end of the pause, and the bot's log does not confirm that it quotes again."""

    code = "resume_unconfirmed"
    meaning = "The resume was sent and the server shows it, but the bot has not confirmed that it is quoting again."
    default_remedy = "Refresh the bot in a minute. A bot that reached its loss limit can't be resumed: redeploy it."
    retryable = True


class TradingRuleBroken(Problem):
    """The exchange would refuse the orders that the settings lead to: the bot would run and never trade."""

    code = "trading_rule_broken"
    fix_target = "settings"
    meaning = "The bot's orders are smaller than the exchange allows."
    default_remedy = (
        "Increase the amount that the message names, or split it among fewer orders. Save the bot, then try again."
    )


class PairNotListed(Problem):
    """The server queried the exchange, which has no such pair: the bot would run and never trade."""

    code = "pair_not_listed"
    fix_target = "settings"
    meaning = "The exchange does not list the bot's trading pair, so the bot would never trade."
    default_remedy = (
        "Correct the trading pair. If the exchange listed it only recently, select “Deploy anyway” on the bot's page. "
        "In the JSON API send “unlisted”; in a terminal add --unlisted."
    )
