"""What a bot's state means for its operators, and what to do next."""

from dataclasses import dataclass, replace

from bots.models import Bot, BotState, Deployment, Trouble
from hummingbot_api.connectors import AccountType, market_of


@dataclass(frozen=True)
class Advice:
    """Advice for a state that requires action.

    Attributes:
        kinds: the operations that help, the best one first.
        alarming: money may be at risk meanwhile.
        paper_remedy: the remedy for paper trading, where it differs: no exchange has such a bot's orders.
    """

    meaning: str
    remedy: str
    kinds: tuple[str, ...]
    alarming: bool = True
    paper_remedy: str = ""


ADVICE = {
    BotState.CRASHED: Advice(
        "The bot crashed. Its orders were not cancelled.",
        "Recover it first: this starts the bot just long enough to cancel its orders. Then read the last lines of its "
        "log, fix the cause, and redeploy it. Archive it if you no longer need it.",
        ("recover", "redeploy", "archive"),
        paper_remedy="Read the last lines of its log, fix the cause, and redeploy it. Archive it if you no "
        "longer need it.",
    ),
    BotState.NOT_LISTED: Advice(
        "The server does not list the bot's container. It is paused by Docker, restarting, or removed.",
        "Recover it: the panel asks Docker for its container. A paused or restarting container is stopped and its "
        "orders are cancelled. If the container is gone, the panel lists its last known orders. Ask the server's "
        "administrator about the cause.",
        ("recover", "archive"),
        paper_remedy="Recover it: the panel asks Docker for its container, and stops one that is paused or "
        "restarting. Ask the server's administrator about the cause.",
    ),
    BotState.UNRESPONSIVE: Advice(
        "The bot's container is up, but the bot is not responding. It may still be trading.",
        "A slow bot is shown as running once it connects. Otherwise recover it: its container is ended and started "
        "again, and its orders are cancelled.",
        ("recover", "refresh", "redeploy"),
        paper_remedy="A slow bot is shown as running once it connects. Otherwise redeploy it.",
    ),
    BotState.UNCONFIRMED: Advice(
        "The deploy was sent, but the server did not confirm it. An instance may appear and trade.",
        "Refresh looks for the instance and adopts it. The panel also does this automatically.",
        ("refresh",),
    ),
    BotState.UNKNOWN: Advice(
        "The server has not reported on the bot recently. It may still be trading.",
        "Open the server's page and check its connection.",
        ("refresh",),
    ),
    BotState.STOPPED: Advice(
        "The bot is stopped, and it has no known open orders. Its container is still up.",
        "Start it to trade again with the same settings. Archive it if you no longer need it.",
        ("start", "archive"),
        alarming=False,
    ),
    BotState.PAUSED: Advice(
        "The controller is paused. The bot is up and places no orders.",
        "Resume it to trade again.",
        ("resume",),
        alarming=False,
    ),
}


#: For a bot that is stopped and may still have orders.
NOT_SEEN_CANCELLED = Advice(
    "The bot is stopped, but its orders are not confirmed as cancelled.",
    "Recover it: the bot tries again to cancel them. If that fails, cancel them at the exchange.",
    ("recover", "archive"),
)

#: For one whose container exited without orders at an exchange.
WITHOUT_ORDERS = Advice(
    "The bot crashed. It left no orders at an exchange.",
    ADVICE[BotState.CRASHED].paper_remedy,
    ("redeploy", "archive"),
)


#: For a bot that is up and does not quote.
TROUBLE_ADVICE = {
    Trouble.ORDERS_REJECTED: Advice(
        "The bot is up, but its orders are rejected.",
        "Check the API key at the exchange: it must be active, allow trading, and allow the server's IP address. "
        "Correct it there, or enter a new key with “Rotate” and redeploy the bot.",
        ("check_bot", "redeploy", "stop"),
    ),
    Trouble.NOT_READY: Advice(
        "The bot is up, but its exchange is not ready, so it is not quoting.",
        "Check that the exchange lists the bot's trading pair and that the server can reach the exchange. “Check” on "
        "the bot's page tests both.",
        ("check_bot", "redeploy", "stop"),
    ),
    Trouble.NO_BALANCE: Advice(
        "The bot is up, but its balance is too low to quote.",
        "Ask the client to add funds, or lower the bot's order amount and redeploy it.",
        ("redeploy", "stop"),
    ),
}


def advice_for(bot: Bot) -> Advice | None:
    """Return the advice for the bot's newest deployment, given its state, its account type and its definition."""
    deployment = bot.deployment
    if deployment is None:
        return None
    if trouble := deployment.shown_trouble:
        return TROUBLE_ADVICE[trouble]
    advice = ADVICE.get(deployment.state)
    if advice is None:
        return None
    if deployment.state == BotState.STOPPED and deployment.exposed_since is not None:
        return NOT_SEEN_CANCELLED
    if bot.client.is_offboarded and not advice.alarming:
        return replace(
            advice,
            remedy="The client is offboarded: archive the bot. To trade again, set the client to active first.",
            kinds=("archive",),
        )
    if deployment.state == BotState.STOPPED and bot.has_unsent_changes:
        return replace(
            advice,
            remedy="The saved settings differ from the deployed ones. “Start” uses the deployed settings, “Redeploy” "
            "uses the saved ones. Archive the bot if you no longer need it.",
            kinds=("start", "redeploy", "archive"),
        )
    if deployment.state == BotState.CRASHED and deployment.exposed_since is None:
        return WITHOUT_ORDERS
    return replace(advice, remedy=paper) if (paper := paper_remedy(deployment)) else advice


def paper_remedy(deployment: Deployment) -> str:
    """Return the remedy for its state in paper trading; empty for other bots, or where it is no different."""
    advice = ADVICE.get(deployment.state)
    simulated = market_of(deployment.connector).account_type is AccountType.PAPER
    return advice.paper_remedy if advice and simulated else ""
