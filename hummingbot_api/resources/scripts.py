"""Scripts and their configurations."""

from collections.abc import Mapping
from typing import Any

from hummingbot_api import reading
from hummingbot_api.errors import ScriptInvalid
from hummingbot_api.http.urls import path
from hummingbot_api.names import check_name
from hummingbot_api.resources.base import Resource
from hummingbot_api.text import problem


class Scripts(Resource):
    """Strategies as Python source, and their configurations."""

    def get(self, name: str) -> str:
        """Return the script's source."""
        answer = self._http.get(path("scripts", check_name(name, "a script")))
        return reading.text(reading.an_object(answer.value, "the script"), "content")

    def save(self, name: str, content: str) -> None:
        """Add or replace a script. The server takes any text: prove it with ``config_template``."""
        self._http.post(path("scripts", check_name(name, "a script")), {"content": content}).check()

    def config_template(self, name: str) -> dict[str, Any]:
        """Return the script's settings with their defaults. The server imports the script for it: proof that it can.

        Raises:
            ScriptInvalid: it can't, or the script has no configuration class, or there is no such script.
        """
        answer = self._http.get(path("scripts", check_name(name, "a script"), "config", "template"))
        if answer.status == 500 and answer.plain:
            raise ScriptInvalid(f"{ScriptInvalid.meaning} It crashed while importing it, as on a syntax error.")
        if answer.status == 404:
            raise problem(ScriptInvalid, answer.words)
        return reading.an_object(answer.value, "the template")

    def save_config(self, name: str, config: Mapping[str, object]) -> None:
        """Add or replace a configuration; it must name its script in ``script_file_name``, with ``.py``."""
        self._http.post(path("scripts", "configs", check_name(name, "a configuration")), dict(config)).check()

    def get_config(self, name: str) -> dict[str, Any]:
        """Return the configuration as the server holds it."""
        answer = self._http.get(path("scripts", "configs", check_name(name, "a configuration")))
        return reading.an_object(answer.value, "the configuration")
