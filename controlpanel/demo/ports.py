"""Ports of this machine for what the panel starts on it."""

import socket

from django.core.management.base import CommandError


def free_port(wanted: int) -> int:
    """Return ``wanted``, or the first free port above it.

    Raises:
        CommandError: the next fifty are taken.
    """
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
            return port
    raise CommandError(f"No free port between {wanted} and {wanted + 49}.")
