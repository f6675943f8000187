"""What a bot's state means for whom looks after it, and what to do next."""

from dataclasses import dataclass

from bots.models import BotState


@dataclass(frozen=True)
class Advice:
    """For a state that asks for something to be done.

    Attributes:
        kinds: the operations that do it.
        alarming: money may be at risk meanwhile.
    """

    meaning: str
    remedy: str
    kinds: tuple[str, ...]
    alarming: bool = True


ADVICE = {
    BotState.CRASHED: Advice(
        "The bot's container has exited by itself, so nobody has cancelled its orders.",
        "Look for orders that it left open at the exchange. Its last log lines are kept below: correct what they name, "
        "then redeploy it. Archive it if it shall not trade any more.",
        ("redeploy", "archive"),
    ),
    BotState.MISSING: Advice(
        "The server lists the bot's container no more, and the panel did not remove it.",
        "Look for orders that it left open at the exchange, and ask who works on the server. Then redeploy the bot, or "
        "archive it if it shall not trade any more.",
        ("redeploy", "archive"),
    ),
    BotState.SILENT: Advice(
        "The bot's container is up, but the bot is not heard: it may be trading all the same.",
        "If it starts slowly, it is shown as running as soon as it is heard. Otherwise redeploy it, and look for "
        "orders that it left open at the exchange.",
        ("refresh", "redeploy"),
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
        "The strategy is stopped and its orders are cancelled; the container is still up.",
        "Start it to trade again with the same settings, or archive it if it shall not trade any more.",
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
