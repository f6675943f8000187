"""Which bots run by another definition than the current one, noted on their rows: a page can't compare them all.

A comparison renders a configuration, so it is Python. It is repeated for bots of which something has changed since.
"""

from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import ClientStatus, ExchangeKey
from bots.models import Bot, BotState, shown_state
from core.bulk_update import update_each

#: Bots that are compared in one run of the task.
MOST = 500
#: A page compares what was saved this lately itself: the task may not have come to it yet.
JUST_SAVED = timedelta(minutes=1)
#: Of a bot in one of these states nothing reaches the exchange: its page shows what to do before it is started.
_ENDED = (BotState.STOPPED, BotState.CRASHED, BotState.NOT_LISTED)


def compare_bots() -> int:
    """Compare bots of which something has changed since they were last compared, and return how many."""
    now = timezone.now()
    since = Q(compared_at=None)
    for changed in ("changed_at", "strategy__changed_at", "deployment__sent_at", "deployment__live_config_at"):
        since |= Q(compared_at__lt=F(changed))
    live = Q(deployment__sent_at__isnull=False, deployment__ended_at=None)
    bots = Bot.objects.filter(live & since).select_related("client", "strategy", "deployment").order_by("compared_at")
    found = {bot.pk: (now, bot.has_unsent_changes) for bot in bots[:MOST]}
    update_each(Bot, found, ("compared_at", "differs"))
    return len(found)


def bots_to_renew(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Return those that run with an older key, or by another definition than the current one, as far as is noted. Those
    that were saved a moment ago are among them, whatever they are.
    """
    now = timezone.now()
    newer_key = ExchangeKey.objects.filter(
        client=OuterRef("client"), connector=OuterRef("deployment__connector")
    ).exclude(fingerprint=OuterRef("deployment__key_fingerprint"))
    live = bots.filter(deployment__sent_at__isnull=False, deployment__ended_at=None)
    live = live.alias(shown=shown_state(now, "deployment__"))
    differs = (Q(differs=True) | Q(changed_at__gte=now - JUST_SAVED)) & ~Q(shown__in=_ENDED)
    older_key = ~Q(deployment__key_fingerprint="") & Exists(newer_key)
    return live.filter(differs | older_key).exclude(client__status=ClientStatus.OFFBOARDED)
