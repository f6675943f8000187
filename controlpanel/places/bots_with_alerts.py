"""Which bots Home mentions, found by queries: those of incidents, and those that something is to be done about."""

from collections import Counter
from collections.abc import Iterable

from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, Prefetch, Q

from accounts.models import ClientStatus, ExchangeKey
from bots.models import Bot
from bots.unapplied import bots_to_renew
from core.rows.capped_count import capped_count
from core.visibility import AnyUser
from notifications.kinds import IncidentKind
from notifications.models import Incident


def bots_with_alerts(user: AnyUser, incidents: Iterable[Incident], most: int) -> tuple[list[Bot], Counter[str]]:
    """Return the bots with the data for comparing them with their definitions, and how many more there are, by the
    source of their alerts. A fixed number of queries.

    Args:
        incidents: those whose bots are returned too.
        most: bots of each kind.
    """
    visible = Bot.objects.visible_to(user)
    notified = Incident.objects.open().filter(
        kind=IncidentKind.DUPLICATE_INSTANCE,
        subject_type=ContentType.objects.get_for_model(Bot),
        subject_id=OuterRef("pk"),
    )
    with_duplicates = visible.filter(pk__in=Bot.objects.filter(duplicates__isnull=False)).exclude(Exists(notified))
    left_over = visible.filter(
        client__status=ClientStatus.OFFBOARDED, deployment__sent_at__isnull=False, deployment__ended_at=None
    )
    kinds = [("bots", with_duplicates), ("offboarded", left_over), ("bots", bots_to_renew(visible))]
    wanted = Q(pk__in=[incident.subject_id for incident in incidents])
    left_out: Counter[str] = Counter()
    for source, bots in kinds:
        wanted |= Q(pk__in=bots.order_by("pk").values("pk")[:most])
        left_out[source] += max(0, capped_count(bots) - most)
    keys = ExchangeKey.objects.only("client", "connector", "fingerprint")
    found = (
        visible.filter(wanted)
        .select_related("client", "strategy", "server", "deployment")
        .defer("server__password", "server__connectors", "server__account_names", "server__instances")
        .prefetch_related(Prefetch("client__keys", keys), "duplicates")
    )
    return list(found), left_out
