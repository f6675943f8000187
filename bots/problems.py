"""What can go wrong with bots. Part of the catalog in ``hummingbot_api.errors``."""

from hummingbot_api.errors import Problem


class DefinitionInvalid(Problem):
    """The bot's definition breaks a rule; it was edited, or its strategy was, since it was saved."""

    code = "definition_invalid"
    fix_target = "settings"
    meaning = "The bot's definition is not valid."
    default_remedy = "Open the bot's settings, correct what the message names, save, and try again."


class AlreadyRunning(Problem):
    """An instance of the bot is alive; a second one would trade the same account."""

    code = "already_running"
    meaning = "An instance of this bot is on the server already."
    default_remedy = "Use “Redeploy” to replace it, or “Archive” to end it. A second one is never started."


class PauseWouldEnd(Problem):
    """Somebody has paused the bot, and whoever deploys it anew has not said that the pause may end."""

    code = "pause_would_end"
    fix_target = "bot"
    meaning = "The bot is paused, and a new instance would quote at once."
    default_remedy = (
        "If it shall quote again, ask once more and say so: tick “Let it quote again” on the bot's page, send "
        "“resume” to the JSON API, or add --resume in a terminal. If not, leave its instance as it is."
    )


class ClientOffboarded(Problem):
    """Nothing begins to trade with the money of a client who has left. What runs may be ended."""

    code = "client_offboarded"
    fix_target = "client"
    meaning = "The client is offboarded: none of their bots is deployed or started."
    default_remedy = (
        "If the bot shall trade, set the client's status to active again and ask once more. What still runs can be "
        "stopped and archived as it is."
    )


class InstanceNameTaken(Problem):
    """Another bot's instances have the same name on this server, so the two could be mistaken for each other."""

    code = "instance_name_taken"
    fix_target = "settings"
    meaning = "Another bot uses the same instance name on this server."
    default_remedy = "Give the bot another name."


class DeployUnconfirmed(Problem):
    """A deploy was sent, no answer came, and no instance has appeared. Sent again it might make two."""

    code = "deploy_unconfirmed"
    meaning = "The deploy was sent, but the server did not confirm it and no new instance has appeared."
    default_remedy = (
        "Retry: the panel looks for the instance first and adopts it. While one may still appear, no second deploy is "
        "sent, unless you say on the bot's page that you have looked on the server's host and nothing is there."
    )
    retryable = True


class ContainerExited(Problem):
    """The server made the container, and it ended by itself."""

    code = "container_exited"
    meaning = "The server said success, but the bot's container exited."
    default_remedy = (
        "Look at “docker logs” of the instance on the server's host. The usual causes: the profile has no key for the "
        "connector, or the strategy raises an error when it starts. Then deploy again."
    )


class BotNeverConnected(Problem):
    """The container is up, and nothing was heard of the bot by the deadline."""

    code = "bot_never_connected"
    meaning = "The bot's container is up, but the bot was not heard."
    default_remedy = (
        "If it starts slowly, “Refresh” shows it as running as soon as it is heard. Otherwise check that the bot is "
        "defined as headless and that its container reaches the MQTT broker, then “Redeploy”."
    )
    retryable = True


class InstanceMissing(Problem):
    """Docker has no container of the instance's name on its server, by its own word."""

    code = "instance_missing"
    meaning = "The bot's instance is gone from the server."
    default_remedy = "Deploy the bot again if it should trade."


class InstanceNotListed(Problem):
    """The instance is neither among the active nor among the exited containers, which does not mean that it is gone."""

    code = "instance_not_listed"
    fix_target = "bot"
    meaning = "The server does not list the bot's container: it is paused by Docker, restarting, or removed."
    default_remedy = (
        "Press “Recover”: Docker is asked for the bot's container. One that is paused or restarting is stopped, with "
        "its orders cancelled; of one that is gone, the last known orders are named."
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
    meaning = "The bot is not connected, so no stop could reach it: it may still be trading."
    default_remedy = (
        "Press “Recover”: the bot's container is ended and started again, and it is stopped as soon as it is connected."
    )
    retryable = True


class StopUnconfirmed(Problem):
    """The stop was sent, and the bot's log does not say that it stopped."""

    code = "stop_unconfirmed"
    meaning = "The stop was sent, but the bot has not confirmed that it stopped: it may still be trading."
    default_remedy = (
        "Retry the stop. If that does not help, press “Recover”: its container is ended and started again, and the "
        "bot is stopped as soon as it is connected."
    )
    retryable = True


class ArchiveUnconfirmed(Problem):
    """The archive was sent, and the instance is still there."""

    code = "archive_unconfirmed"
    meaning = "The archive was begun, but the instance is still on the server."
    default_remedy = "Refresh in a minute; if the instance is still there, retry."
    retryable = True


class InstanceUnknownHere(Problem):
    """The server lists the instance nowhere, not even in its history: it is not the server that it was deployed on."""

    code = "instance_unknown_here"
    fix_target = "server"
    meaning = "This server never had the bot's instance, so it may still be trading on another one."
    default_remedy = (
        "Check whether the base URL leads to another host than before, and correct it. If it is the same host and its "
        "history was lost, look there, and say on the bot's page that the instance is gone."
    )


class OrdersMayBeOpen(Problem):
    """Nobody has seen orders of an instance end: new ones on top of them could outgrow what the client agreed to."""

    code = "orders_may_be_open"
    fix_target = "bot"
    meaning = "Orders of this bot, or of another one of the client in this market, may still be open at the exchange."
    default_remedy = (
        "Look for them at the exchange and cancel what is open. Then press “Orders dealt with” on the bot's page (in "
        "the JSON API /bots/{id}/orders/resolve, in a terminal “bot orders --resolve”). Until then nothing is deployed "
        "or started on top of them, unless you say so."
    )


class StrategyNotStarted(Problem):
    """The bot lives and is heard, and its log says that its strategy raised an error at the start."""

    code = "strategy_not_started"
    fix_target = "strategy"
    meaning = "The bot is up, but its strategy did not start."
    default_remedy = "Correct the strategy or the setting that the message names, then redeploy the bot."


class BotLive(Problem):
    """A definition was to be deleted while an instance of it may be trading."""

    code = "bot_live"
    fix_target = "bot"
    meaning = "The bot has an instance on a server: its definition can't be deleted."
    default_remedy = "Archive the bot first, then delete it."


class NotLive(Problem):
    """A running bot takes changes over under conditions that this one does not meet, or not any more."""

    code = "not_live"
    fix_target = "bot"
    meaning = "The running instance can't be changed live."
    default_remedy = "Redeploy the bot: the new instance has today's definition."


class LiveUnreadable(Problem):
    """Without knowing what an instance goes by, nothing is changed in it."""

    code = "live_unreadable"
    meaning = "The server did not show the settings of the running instance, so nothing was changed."
    default_remedy = "Refresh the bot and retry. If it stays like this, redeploy the bot."
    retryable = True


class LiveUnconfirmed(Problem):
    """The server took the change and, asked again, shows other values."""

    code = "live_unconfirmed"
    meaning = "The change was sent, but the server does not show it."
    default_remedy = "Retry. Another tool may be changing the same instance."
    retryable = True


class PauseUnconfirmed(Problem):
    """The instance's file says paused, and the bot's log does not say that it obeyed."""

    code = "pause_unconfirmed"
    meaning = "The pause was sent and the server shows it, but the bot has not confirmed it: it may still be quoting."
    default_remedy = "Refresh the bot in a minute: it obeys when its exchange is ready. To be sure at once, “Stop” it."
    retryable = True


class ResumeUnconfirmed(Problem):
    """The instance's file says that the pause is over, and the bot's log does not say that it quotes again."""

    code = "resume_unconfirmed"
    meaning = "The pause was ended and the server shows it, but the bot has not confirmed that it quotes again."
    default_remedy = (
        "Refresh the bot in a minute. A bot that reached its loss limit does not go on by a resume: redeploy it then."
    )
    retryable = True


class TradingRuleBroken(Problem):
    """The exchange would refuse the orders that the settings lead to: the bot would run and never trade."""

    code = "trading_rule_broken"
    fix_target = "settings"
    meaning = "The exchange would refuse the bot's orders: they are too small."
    default_remedy = (
        "Raise the amount that the message names, or divide it among fewer orders, save the bot, and try again."
    )


class PairNotListed(Problem):
    """The server asked the exchange, which has no such pair: the bot would run and never trade."""

    code = "pair_not_listed"
    fix_target = "settings"
    meaning = "The exchange does not list the bot's trading pair, so the bot would never trade."
    default_remedy = (
        "Check how the pair is written, and correct the bot. If the server's list is not up to date, deploy once more "
        "and say so: tick “Deploy anyway” on the bot's page, send “unlisted” to the JSON API, or add --unlisted "
        "in a terminal."
    )
