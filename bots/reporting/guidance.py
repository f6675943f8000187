"""What a bot's state means for whom looks after it, and what to do next."""

from dataclasses import dataclass, replace

from bots.models import Bot, BotState, Deployment, Trouble
from hummingbot_api.connectors import AccountType, market_of


@dataclass(frozen=True)
class Advice:
    """For a state that asks for something to be done.

    Attributes:
        kinds: the operations that do it, the best one first.
        alarming: money may be at risk meanwhile.
        paper_remedy: where the money is simulated and it says something else: no exchange has such a bot's orders.
    """

    meaning: str
    remedy: str
    kinds: tuple[str, ...]
    alarming: bool = True
    paper_remedy: str = ""


ADVICE = {
    BotState.CRASHED: Advice(
        "The bot's container has exited by itself, so nobody has cancelled its orders.",
        "Recover it first: that brings it up just long enough to cancel them. Then read the last lines of its log, "
        "correct what they name, and redeploy it, or archive it if it is not to trade any more.",
        ("recover", "redeploy", "archive"),
        paper_remedy="Read the last lines of its log and correct what they name, then redeploy it. Archive it if it "
        "is not to trade any more.",
    ),
    BotState.NOT_LISTED: Advice(
        "The server does not list the bot's container: it is paused by Docker, restarting, or removed.",
        "Recover it: Docker is asked for its container. One that is paused or restarting is stopped, with its orders "
        "cancelled; of one that is gone, the last known orders are named. Ask who works on the server.",
        ("recover", "archive"),
        paper_remedy="Recover it: Docker is asked for its container, and one that is paused or restarting is stopped. "
        "Ask who works on the server.",
    ),
    BotState.UNRESPONSIVE: Advice(
        "The bot's container is up, but the bot is not heard: it may be trading all the same.",
        "If it starts slowly, it is shown as running as soon as it is heard. Otherwise recover it: its container is "
        "ended and brought up again, and its orders are cancelled.",
        ("recover", "refresh", "redeploy"),
        paper_remedy="If it starts slowly, it is shown as running as soon as it is heard. Otherwise redeploy it.",
    ),
    BotState.UNCONFIRMED: Advice(
        "The deploy was sent, but the server did not confirm it: an instance may appear, and trade.",
        "Refresh looks for it and adopts it. The panel also does so by itself.",
        ("refresh",),
    ),
    BotState.UNKNOWN: Advice(
        "The server could not tell of the bot lately: it may be trading all the same.",
        "Open the server's page and check its connection.",
        ("refresh",),
    ),
    BotState.STOPPED: Advice(
        "The bot is stopped, and the panel knows of no open orders of it. Its container is still up.",
        "Start it to trade again with the same settings, or archive it if it is not to trade any more.",
        ("start", "archive"),
        alarming=False,
    ),
    BotState.PAUSED: Advice(
        "The controller is paused: the bot is up and places no orders.",
        "Resume it to trade again.",
        ("resume",),
        alarming=False,
    ),
}


#: For a bot that is stopped and may still have orders.
NOT_SEEN_CANCELLED = Advice(
    "The bot is stopped, and nobody has seen all its orders cancelled.",
    "Recover it: the bot tries to cancel them once more. If that does not help, cancel them at the exchange.",
    ("recover", "archive"),
)

#: For one whose container exited without orders at an exchange.
WITHOUT_ORDERS = Advice(
    "The bot's container has exited by itself. It left no orders at an exchange.",
    ADVICE[BotState.CRASHED].paper_remedy,
    ("redeploy", "archive"),
)


#: For a bot that is up and does not quote.
TROUBLE_ADVICE = {
    Trouble.ORDERS_REJECTED: Advice(
        "The bot is up, and its orders are rejected.",
        "Check the API key at the exchange: is it active, may it trade, does its IP allowlist name the server? Correct "
        "it there, or enter a new key with “Rotate” and redeploy the bot.",
        ("check_bot", "redeploy", "stop"),
    ),
    Trouble.NOT_READY: Advice(
        "The bot is up, and its exchange is not ready, so it does not quote.",
        "Check that the exchange lists the bot's trading pair, and that the server reaches the exchange. “Check” on "
        "the bot's page asks for both.",
        ("check_bot", "redeploy", "stop"),
    ),
    Trouble.NO_BALANCE: Advice(
        "The bot is up, and its balance is too low to quote.",
        "Ask the client to send funds, or lower the bot's order amount and redeploy it.",
        ("redeploy", "stop"),
    ),
}


def advice_for(bot: Bot) -> Advice | None:
    """What the state of the bot's newest deployment asks for, with its money and its definition in mind."""
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
            remedy="Its client is offboarded: archive it. If it shall trade again, set the client active first.",
            kinds=("archive",),
        )
    if deployment.state == BotState.STOPPED and bot.has_unsent_changes:
        return replace(
            advice,
            remedy="The saved settings are not those that it was deployed with: “Start” goes on with the deployed "
            "ones, “Redeploy” trades with the saved ones. Archive it if it is not to trade any more.",
            kinds=("start", "redeploy", "archive"),
        )
    if deployment.state == BotState.CRASHED and deployment.exposed_since is None:
        return WITHOUT_ORDERS
    return replace(advice, remedy=paper) if (paper := paper_remedy(deployment)) else advice


def paper_remedy(deployment: Deployment) -> str:
    """What there is to do in its state when its money is simulated; empty when that is not so, or no different."""
    advice = ADVICE.get(deployment.state)
    simulated = market_of(deployment.connector).account_type is AccountType.PAPER
    return advice.paper_remedy if advice and simulated else ""
