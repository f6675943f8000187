"""Containers."""

import re

from hummingbot_api import reading
from hummingbot_api.errors import CommandRefused, DockerDown, HummingbotAPIError, NotFound
from hummingbot_api.http.urls import path
from hummingbot_api.names import check_name
from hummingbot_api.refusals.common import DOCKER_DOWN
from hummingbot_api.resources.base import Resource
from hummingbot_api.results import Container
from hummingbot_api.text import problem

_NO_INSTANCE = re.compile(r"No such file or directory: '\S*instances/|No such container", re.IGNORECASE)


class Docker(Resource):
    """The containers on the server's host. An instance's container has its unique name."""

    def is_running(self) -> bool:
        """Return whether the Docker engine answers the server."""
        return reading.flag(self._http.get("/docker/running").value, "the answer")

    def active(self, name_filter: str = "") -> list[Container]:
        """Return the running containers whose name contains ``name_filter``.

        Raises:
            DockerDown: the server can't reach the engine.
        """
        return self._containers("/docker/active-containers", name_filter)

    def exited(self, name_filter: str = "") -> list[Container]:
        """Return the stopped and crashed containers whose name contains ``name_filter``.

        Raises:
            DockerDown: the server can't reach the engine.
        """
        return self._containers("/docker/exited-containers", name_filter)

    def start(self, name: str) -> None:
        """Start a container; a bot starts its strategy again and connects 5 to 10 s later.

        Raises:
            NotFound, DockerDown: the container, or the engine, is not there.
            CommandRefused: the engine rejected it for another reason.
        """
        self._command("start-container", name)

    def stop(self, name: str) -> None:
        """Stop a container, which takes about 10 s.

        Raises:
            NotFound, DockerDown: the container, or the engine, is not there.
            CommandRefused: the engine refused for another reason.
        """
        self._command("stop-container", name)

    def remove(self, name: str) -> None:
        """Remove a container by force and archive its data. A running bot is killed and its orders stay open.

        Raises:
            NotFound: no such container or instance directory.
            RequestRejected: the name does not begin with ``hummingbot-``.
            DockerDown, CommandRefused: the engine is not there, or refused.
        """
        answer = self._http.post(path("docker", "remove-container", check_name(name, "an instance")), long=True)
        if answer.status == 500 and (kind := _container_problem(answer.raw)):
            raise problem(kind, answer.words)
        result = answer.value
        if isinstance(result, dict) and result.get("success") is False:
            raise answer.refusal(_command_problem, result.get("message"))

    def _containers(self, endpoint: str, name_filter: str) -> list[Container]:
        answer = self._http.get(endpoint, {"name_filter": name_filter} if name_filter else None)
        if DOCKER_DOWN.search(answer.raw):
            raise problem(DockerDown, answer.words)
        return [_container(entry) for entry in reading.a_list(answer.value, "the list of containers")]

    def _command(self, command: str, name: str) -> None:
        answer = self._http.post(path("docker", command, check_name(name, "an instance")), long=True)
        refusal = answer.value
        if refusal is not None:  # the server answers null when it worked, and the engine's message when not
            raise answer.refusal(_command_problem, refusal)


def _container_problem(words: str) -> type[HummingbotAPIError] | None:
    if _NO_INSTANCE.search(words):
        return NotFound
    return DockerDown if DOCKER_DOWN.search(words) else None


def _command_problem(words: str) -> type[HummingbotAPIError]:
    return _container_problem(words) or CommandRefused


def _container(value: object) -> Container:
    entry = reading.an_object(value, "a container")
    return Container(reading.text(entry, "name"), reading.optional_text(entry, "image"))
