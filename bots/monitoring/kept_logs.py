"""The bots' logs, kept: a server forgets a bot's log half a minute after its end."""

import hashlib
from collections.abc import Callable, Iterable

from django.db.models import Max

from bots.models import Deployment, LogKind, LogLine
from hummingbot_api.results import LogEntry

#: How many entries of each kind are kept of a deployment, the newest ones.
KEPT = 200
#: Characters of a message that are kept: its beginning, and its end, where a traceback names its cause.
BEGINNING, END = 2000, 6000

Clean = Callable[[LogEntry], LogEntry]


def keep_lines(deployment: Deployment, kind: LogKind, entries: Iterable[LogEntry], clean: Clean) -> None:
    """Keep what is new in a bot's log as the server told it: its last hundred entries, most of them seen before.

    What is older than the newest that is kept was there at an earlier reading. It is not looked at again, because a key
    that was deleted since then is not known any more and would not be masked.

    Args:
        clean: masks the secrets in an entry.
    """
    kept = deployment.log_lines.filter(kind=kind)
    newest = kept.aggregate(newest=Max("logged_at"))["newest"]
    seen = set(kept.filter(logged_at=newest).values_list("digest", flat=True))
    fresh = [_line(deployment, kind, clean(entry)) for entry in entries if newest is None or entry.timestamp >= newest]
    fresh = [line for line in fresh if line.logged_at != newest or line.digest not in seen]
    if fresh:
        LogLine.objects.bulk_create(fresh, ignore_conflicts=True)
        surplus = kept.values_list("pk", flat=True)[KEPT:]
        kept.filter(pk__in=[*surplus]).delete()


def _line(deployment: Deployment, kind: LogKind, entry: LogEntry) -> LogLine:
    message = truncated_trace(entry.message)
    digest = hashlib.sha256("\0".join((entry.level, entry.logger, message)).encode()).hexdigest()[:32]
    return LogLine(
        deployment=deployment,
        kind=kind,
        level=entry.level[:20],
        logger=entry.logger[:200],
        message=message,
        logged_at=entry.timestamp,
        digest=digest,
    )


def truncated_trace(message: str) -> str:
    """A message without its middle: the end of a traceback names its cause."""
    if len(message) <= BEGINNING + END:
        return message
    return f"{message[:BEGINNING]}\n[…]\n{message[-END:]}"
