"""Reaching a server: connecting, signing in, and checking what its host runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from accounts.models import VERSION_LENGTH, Server
from core.problems.server import FAILURES
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import DockerDown, MqttDown, UnexpectedAnswer, WrongPassword
from hummingbot_api.server_faults import NotSupportedByServer
from operations.kinds import NotDone
from operations.run import hold_lease


@contextmanager
def talking_to(server: Server, **options: Any) -> Iterator[HummingbotAPI]:
    """Yield a client for the server, and record what it shows of the server's health on the server's row. A server that
    answers again is polled soon.

    Raises:
        LeaseLost: from what writes to the server, see ``hold_lease``.
    """
    try:
        with server.api(before_write=hold_lease, **options) as api:
            yield api
        if server.failed_polls:
            server.try_soon()
    except FAILURES as error:
        if error.no_contact or isinstance(error, WrongPassword):
            server.contact_failed(error, reachable=not error.no_contact)
        raise


def reach(server: Server) -> str:
    """Check that a Hummingbot API answers, with the lightest request, timed."""
    with talking_to(server) as api:
        begun = time.monotonic()
        version = api.system.version()[:VERSION_LENGTH]
        latency_ms = round((time.monotonic() - begun) * 1000)
    server.contact_succeeded(version=version, latency_ms=latency_ms)
    return f"Hummingbot API {version} responded in {latency_ms} ms."


def sign_in(server: Server) -> str:
    """Check that it accepts the stored login. Stores the list of profiles for users who choose one."""
    with talking_to(server) as api:
        names = api.accounts.list()
    server.contact_succeeded(account_names=names)
    return f"Signed in. The server has {len(names)} profile{'' if len(names) == 1 else 's'}."


def check_engines(server: Server) -> str:
    """Can it start bots, and hear them?

    Raises:
        DockerDown, MqttDown
    """
    with talking_to(server) as api:
        docker, mqtt = api.docker.is_running(), api.bots.mqtt().connected
    server.contact_succeeded(docker_running=docker, mqtt_connected=mqtt)
    if not docker:
        raise DockerDown
    if not mqtt:
        raise MqttDown
    return "Docker is running and MQTT is connected."


def check_routes(*, api: HummingbotAPI, server: Server) -> str:
    """Check that it has the routes that the panel calls. One that lists none may have them all.

    Raises:
        NotSupportedByServer
    """
    try:
        missing = api.system.missing_routes()
    except (NotSupportedByServer, UnexpectedAnswer):
        return NotDone("The server does not list its calls.")
    if missing:
        raise NotSupportedByServer(
            f"Hummingbot API {server.version} lacks calls that the panel needs: {', '.join(missing)}."
        )
    return "The server supports every call that the panel makes."


def ask(server: Server, question: Callable[..., str], **options: Any) -> str:
    with talking_to(server) as api:
        return question(api=api, server=server, **options)
