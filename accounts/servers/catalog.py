"""What a server offers, stored so that forms need no request to it: its connectors and its controllers."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from accounts.models import Controller, Server
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import ConnectionFailed, HummingbotAPIError, ServerTimedOut, WrongPassword
from operations.kinds import NotDone

#: The server is gone, rejects the login, or hangs: requests for further controllers are useless. Any other error, such
#: as an answer that can't be read, is about the requested controller.
FATAL_ERRORS = (ConnectionFailed, WrongPassword, ServerTimedOut)


def controllers_learn(*, api: HummingbotAPI, server: Server, force: bool = False) -> str:
    """Read the settings of each controller that the server lists, once for each version of the server.

    A controller that the server can't describe is stored with the reason, and read again the next time.

    Args:
        force: include those that were read from this version.

    Raises:
        ConnectionFailed, WrongPassword, ServerTimedOut: the list could not be read.
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
    # Those that failed before come last: one on which the server hangs must not come before the others each time.
    wanted.sort(key=lambda key: key in known and bool(known[key].problem))
    silence = _read(api, server, wanted)
    unusable = server.controllers.exclude(problem="").values_list("name", flat=True)
    output = f"{len(listed)} controllers."
    if unusable:
        output += f" The server can't report the settings of {', '.join(unusable)}."
    return NotDone(f"{output} Some were not read. Check again: {silence}") if silence else output


def _read(api: HummingbotAPI, server: Server, wanted: Iterable[tuple[str, str]]) -> str:
    """Store the server's report of each; return the message with which it stopped answering, or nothing."""
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


def connectors_learn(*, api: HummingbotAPI, server: Server) -> str:
    """Store each connector's fields. A connector is read again only when the server's version has changed.

    A connector that the server can't describe, or not in a readable way, is left out and named.

    Raises:
        ConnectionFailed, WrongPassword, ServerTimedOut
    """
    known = server.connectors if server.connectors_version == server.version else {}
    fields: dict[str, Any] = {}
    left_out = []
    for name in api.connectors.list():
        try:
            fields[name] = known.get(name) or _fields_as_json(api, name)
        except FATAL_ERRORS:
            raise
        except HummingbotAPIError:
            left_out.append(name)
    server.contact_succeeded(connectors=fields, connectors_version=server.version)
    learnt = f"{len(fields)} connectors."
    if not left_out:
        return learnt
    return NotDone(f"{learnt} Left out, because the server does not report their fields: {', '.join(left_out)}.")


def _fields_as_json(api: HummingbotAPI, connector: str) -> list[dict[str, Any]]:
    return [
        {"name": f.name, "type": f.type, "required": f.required, "allowed_values": list(f.allowed_values)}
        for f in api.connectors.fields(connector)
    ]
