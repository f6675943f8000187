"""Instances on a server that the panel does not manage."""

from accounts.models import Server
from bots.models import Bot, Deployment, ForeignInstance
from bots.monitoring.guards import attended
from bots.monitoring.running import running_on
from bots.monitoring.snapshot import INSTANCE_TIMESTAMP, Snapshot


def _note_strangers(server: Server, snapshot: Snapshot) -> None:
    """Write down on each bot which live instances bear its name and are not its own: two bots on one account."""
    known = Deployment.objects.open().filter(server=server).values_list("instance_name", flat=True)
    by_name: dict[str, list[str]] = {}
    for name in sorted(snapshot.active - set(known)):
        by_name.setdefault(INSTANCE_TIMESTAMP.sub("", name), []).append(name)
    namesakes = Deployment.objects.filter(server=server, requested_name__in=by_name).exclude(bot__in=attended())
    strangers = {bot: ", ".join(by_name[name]) for bot, name in namesakes.values_list("bot", "requested_name")}
    for bot, names in strangers.items():
        Bot.objects.filter(pk=bot).update(strangers=names)
    looked_at = Bot.objects.filter(server=server).exclude(pk__in=attended())
    looked_at.exclude(strangers="").exclude(pk__in=strangers).update(strangers="")


def _note_foreign(server: Server, snapshot: Snapshot) -> None:
    """Write down which instances were made by somebody else. One that bears a bot's name is that bot's stranger."""
    names = {name: INSTANCE_TIMESTAMP.sub("", name) for name in running_on([server])[server.pk].foreign}
    namesakes = Deployment.objects.filter(server=server, requested_name__in=names.values())
    bots_names = set(namesakes.values_list("requested_name", flat=True)) if names else ()
    if foreign := [name for name, plain in names.items() if plain not in bots_names]:
        seen = {"first_seen_at": snapshot.taken_at, "last_seen_at": snapshot.taken_at}
        ForeignInstance.objects.bulk_create(
            [ForeignInstance(server=server, name=name, **seen) for name in foreign],
            update_conflicts=True,
            update_fields=["last_seen_at"],
            unique_fields=["server", "name"],
        )
