"""Keeping what a server's connectors ask for, so that forms can be made of it without asking."""

from typing import Any

from accounts.controllers import FATAL_ERRORS
from accounts.models import Server
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import HummingbotAPIError
from operations.kinds import NotDone


def connectors_learn(*, api: HummingbotAPI, server: Server) -> str:
    """Keep what each connector asks for. A connector is asked again only when the server's version has changed.

    One that the server can't describe, or describes so that nobody can read it, is left out and named.

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
