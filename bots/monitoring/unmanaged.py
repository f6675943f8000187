"""Instances on a server that the panel does not manage."""

from accounts.models import Server
from bots.models import Bot, Deployment, UnmanagedInstance
from bots.monitoring.guards import busy_bots
from bots.monitoring.running import running_on
from bots.monitoring.snapshot import INSTANCE_TIMESTAMP, Snapshot


def record_duplicates(server: Server, snapshot: Snapshot) -> None:
    """Write down on each bot which live instances bear its name and are not its own: two bots on one account."""
    known = Deployment.objects.open().filter(server=server).values_list("instance_name", flat=True)
    by_name: dict[str, list[str]] = {}
    for name in sorted(snapshot.active - set(known)):
        by_name.setdefault(INSTANCE_TIMESTAMP.sub("", name), []).append(name)
    namesakes = Deployment.objects.filter(server=server, requested_name__in=by_name).exclude(bot__in=busy_bots())
    duplicates = {bot: ", ".join(by_name[name]) for bot, name in namesakes.values_list("bot", "requested_name")}
    for bot, names in duplicates.items():
        Bot.objects.filter(pk=bot).update(duplicates=names)
    polled_at = Bot.objects.filter(server=server).exclude(pk__in=busy_bots())
    polled_at.exclude(duplicates="").exclude(pk__in=duplicates).update(duplicates="")


def record_unmanaged(server: Server, snapshot: Snapshot) -> None:
    """Write down which instances were made by somebody else. One that bears a bot's name is that bot's stranger."""
    names = {name: INSTANCE_TIMESTAMP.sub("", name) for name in running_on([server])[server.pk].foreign}
    namesakes = Deployment.objects.filter(server=server, requested_name__in=names.values())
    bots_names = set(namesakes.values_list("requested_name", flat=True)) if names else ()
    if foreign := [name for name, plain in names.items() if plain not in bots_names]:
        seen = {"first_seen_at": snapshot.taken_at, "last_seen_at": snapshot.taken_at}
        UnmanagedInstance.objects.bulk_create(
            [UnmanagedInstance(server=server, name=name, **seen) for name in foreign],
            update_conflicts=True,
            update_fields=["last_seen_at"],
            unique_fields=["server", "name"],
        )
