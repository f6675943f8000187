"""Instances on a server that the panel does not manage."""

from collections.abc import Mapping

from accounts.models import Server
from bots.models import Deployment, UnmanagedInstance
from bots.monitoring.guards import busy_bots
from bots.monitoring.running import unmanaged_on
from bots.monitoring.snapshot import INSTANCE_TIMESTAMP, Snapshot


def record_duplicates(server: Server, snapshot: Snapshot) -> None:
    """Record which live instances have a bot's name and are not its own: two bots on one account.

    What an operation is working on stays as it was recorded before.
    """
    own = Deployment.objects.open().filter(server=server).values_list("instance_name", flat=True)
    names = {name: INSTANCE_TIMESTAMP.sub("", name) for name in snapshot.active - set(own)}
    namesakes = Deployment.objects.filter(server=server, requested_name__in=names.values()).exclude(bot__in=busy_bots())
    bots = dict(namesakes.values_list("requested_name", "bot"))
    found = {name: bots[plain] for name, plain in names.items() if plain in bots}
    _record(server, snapshot, found)
    recorded = UnmanagedInstance.objects.filter(server=server, duplicate_of__isnull=False)
    recorded.exclude(duplicate_of__in=busy_bots()).exclude(name__in=found).delete()


def record_unmanaged(server: Server, snapshot: Snapshot) -> None:
    """Record which instances were created outside the panel. One that has a bot's name is that bot's duplicate."""
    names = {name: INSTANCE_TIMESTAMP.sub("", name) for name in unmanaged_on(server)}
    namesakes = Deployment.objects.filter(server=server, requested_name__in=names.values())
    bots_names = set(namesakes.values_list("requested_name", flat=True)) if names else ()
    _record(server, snapshot, {name: None for name, plain in names.items() if plain not in bots_names})


def _record(server: Server, snapshot: Snapshot, found: Mapping[str, int | None]) -> None:
    """Record instances by name, with the bot that each is a duplicate of."""
    seen = {"first_seen_at": snapshot.taken_at, "last_seen_at": snapshot.taken_at}
    UnmanagedInstance.objects.bulk_create(
        [
            UnmanagedInstance(server=server, name=name, duplicate_of_id=bot, **seen)
            for name, bot in sorted(found.items())
        ],
        update_conflicts=True,
        update_fields=["last_seen_at", "duplicate_of"],
        unique_fields=["server", "name"],
    )
