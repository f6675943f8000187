"""Keeping what a server tells of its controllers, so that forms can be made of it without asking."""

from collections.abc import Iterable
from dataclasses import asdict

from django.utils import timezone

from accounts.models import Controller, Server
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import ConnectionFailed, HummingbotAPIError, ServerTimedOut, WrongPassword
from operations.kinds import NotDone

#: The server is gone, lets nobody in, or hangs: there is no use in asking for the next controller. Any other error, an
#: answer that can't be read among them, is about the one that was asked for.
FATAL_ERRORS = (ConnectionFailed, WrongPassword, ServerTimedOut)


def controllers_learn(*, api: HummingbotAPI, server: Server, force: bool = False) -> str:
    """Read the settings of each controller that the server lists, once for each version of the server.

    One that the server can't tell them of is kept with the reason, and asked for again the next time.

    Args:
        force: also those that were read from this version.

    Raises:
        ConnectionFailed, WrongPassword, ServerTimedOut: the list could not be had.
    """
    try:
        listed = [(kind, name) for kind, names in api.controllers.list().items() for name in names]
    except FATAL_ERRORS:
        raise
    except HummingbotAPIError as problem:
        return NotDone(f"The server did not list its controllers. ({problem.message})")
    known = {(c.controller_type, c.name): c for c in server.controllers.all()}
    Controller.objects.filter(pk__in=[c.pk for key, c in known.items() if key not in listed]).delete()
    wanted = [key for key in listed if force or key not in known or known[key].is_outdated(server.version)]
    # Those that failed before come last: one on which the server hangs must not stand before the others each time.
    wanted.sort(key=lambda key: key in known and bool(known[key].problem))
    silence = _read(api, server, wanted)
    unusable = server.controllers.exclude(problem="").values_list("name", flat=True)
    output = f"{len(listed)} controllers."
    if unusable:
        output += f" The server can't report the settings of {', '.join(unusable)}."
    return NotDone(f"{output} Some were not read. Check again: {silence}") if silence else output


def _read(api: HummingbotAPI, server: Server, wanted: Iterable[tuple[str, str]]) -> str:
    """Keep what the server tells of each; what it said when it stopped answering, or nothing."""
    for kind, name in wanted:
        found: dict[str, object] = {"settings": [], "problem": ""}
        silence = ""
        try:
            found["settings"] = [asdict(setting) for setting in api.controllers.config_template(kind, name)]
        except HummingbotAPIError as problem:
            found["problem"] = problem.message
            silence = problem.message if isinstance(problem, FATAL_ERRORS) else ""
        Controller.objects.update_or_create(
            server=server,
            controller_type=kind,
            name=name,
            defaults=found | {"version": server.version, "read_at": timezone.now()},
        )
        if silence:
            return silence
    return ""
