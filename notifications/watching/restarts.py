"""The incidents of bots that are not restarted any more."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from bots.models import Bot
from notifications.kinds import IncidentKind
from notifications.problems import RestartsExhausted
from notifications.watching.incidents import Verdict


def restarts(now: datetime, with_incidents: Collection[Any]) -> Iterator[Verdict]:
    """Yield the bots that the panel gave up restarting, and those of ``with_incidents`` on which somebody acted."""
    given_up = Bot.objects.filter(restarts_exhausted_at__isnull=False).select_related("client", "server", "deployment")
    bots = list(given_up)
    for bot in bots:
        times = f"{bot.max_restarts_per_hour} time{'' if bot.max_restarts_per_hour == 1 else 's'}"
        yield Verdict(
            family="restarts",
            subject=bot,
            polled_at=now,
            kind=IncidentKind.RESTARTS_EXHAUSTED,
            words=f"{bot} was restarted {times} within an hour and crashed again. The panel gave up.",
            code=RestartsExhausted.code,
            remedy=RestartsExhausted.default_remedy,
        )
    for bot in with_incidents:
        if bot is not None and bot not in bots:
            yield Verdict(family="restarts", subject=bot, polled_at=now, words="Somebody acted on the bot, or it runs.")
