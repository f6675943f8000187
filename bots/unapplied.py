"""Which bots run by another definition than the current one, noted on their rows: a page can't compare them all.

A comparison renders a configuration, so it is Python. It is repeated for bots of which something has changed since.
"""

from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from accounts.models import ClientStatus, ExchangeKey
from bots.models import Bot
from core.rows.bulk_update import update_each

#: Bots that are compared in one run of the task.
MOST = 500
#: A page compares what was saved this lately itself: the task may not have come to it yet.
JUST_SAVED = timedelta(minutes=1)
_LIVE = Q(deployment__sent_at__isnull=False, deployment__ended_at=None)


def compare_bots() -> int:
    """Compare bots of which something has changed since they were last compared, and return how many."""
    now = timezone.now()
    newer_key = ExchangeKey.objects.filter(client=OuterRef("client"), changed_at__gt=OuterRef("compared_at"))
    since = Q(compared_at=None) | Q(Exists(newer_key))
    for changed in ("changed_at", "strategy__changed_at", "deployment__sent_at", "deployment__live_config_at"):
        since |= Q(compared_at__lt=F(changed))
    keys = Prefetch("client__keys", ExchangeKey.objects.only("client", "connector", "fingerprint"))
    bots = Bot.objects.filter(_LIVE & since).select_related("client", "strategy", "deployment").prefetch_related(keys)
    found = {
        bot.pk: (now, bot.has_unsent_changes, bot.has_newer_key) for bot in bots.order_by("compared_at", "pk")[:MOST]
    }
    update_each(Bot, found, ("compared_at", "differs", "runs_older_key"))
    return len(found)


def bots_to_renew(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Return those that run with an older key, or by another definition than the current one, as far as is noted. Those
    that were saved a moment ago, or whose client's keys were, are among them, whatever they are.
    """
    now = timezone.now()
    lately = {"changed_at__gte": now - JUST_SAVED}
    # Each of these is found by an index of its own.
    noted = (Bot.objects.filter(**found) for found in ({"differs": True}, {"runs_older_key": True}, lately))
    with_new_key = Bot.objects.filter(client__in=ExchangeKey.objects.filter(**lately).values("client"))
    first, *others = (found.order_by().values("pk") for found in (*noted, with_new_key))
    return bots.filter(_LIVE, pk__in=first.union(*others)).exclude(client__status=ClientStatus.OFFBOARDED)


def differs_now(bot: Bot) -> bool:
    """Return ``Bot.has_unsent_changes`` as it was noted, if nothing has changed since: a list has no time to compare
    each of its bots.
    """
    instance = bot.open_deployment
    if instance is None or bot.compared_at is None:
        return bot.has_unsent_changes
    changes = (bot.changed_at, bot.strategy.changed_at, instance.sent_at, instance.live_config_at)
    is_current = all(change is None or change < bot.compared_at for change in changes)
    return bot.differs if is_current else bot.has_unsent_changes
