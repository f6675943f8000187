"""Controllers and their configurations, on the server and in instances."""

from collections.abc import Mapping
from typing import Any

from hummingbot_api import reading
from hummingbot_api.errors import BotNotFound, ConfigInvalid, ControllerInvalid
from hummingbot_api.http.transport import Answer
from hummingbot_api.http.urls import path
from hummingbot_api.names import check_name
from hummingbot_api.refusals.common import NO_BOT
from hummingbot_api.resources.base import Names, Resource
from hummingbot_api.results import ControllerSetting
from hummingbot_api.text import problem

#: What Pydantic calls the default of a setting that has none.
_UNDEFINED = "PydanticUndefined"


class Controllers(Resource):
    """Strategies that the server has, and their configurations."""

    def list(self) -> dict[str, Names]:
        """Return the names of all controllers, by type: ``generic``, ``market_making``, ``directional_trading``."""
        by_type = reading.an_object(self._http.get("/controllers/").value, "the controllers")
        return {kind: reading.texts(names, f"“{kind}”") for kind, names in by_type.items()}

    def config_template(self, type: str, name: str) -> tuple[ControllerSetting, ...]:
        """Return the controller's settings, in the server's order. The server imports the controller for it.

        Raises:
            ControllerInvalid: it can't, or there is no such controller.
        """
        answer = self._of_controller(self._http.get(path(*_controller(type, name), "config", "template")))
        template = reading.an_object(answer.value, "the template")
        return tuple(_setting(setting, reading.an_object(facts, f"“{setting}”")) for setting, facts in template.items())

    def validate(self, type: str, name: str, config: Mapping[str, object]) -> None:
        """Have the controller check a configuration; nothing is stored.

        Raises:
            ConfigInvalid: with the settings that are wrong and why.
            ControllerInvalid: the server can't import the controller, or has none of that name.
        """
        endpoint = path(*_controller(type, name), "config", "validate")
        answer = self._of_controller(self._http.post(endpoint, dict(config)))
        if answer.status in (400, 422):
            raise problem(ConfigInvalid, answer.words)
        answer.check()

    def save_config(self, id: str, config: Mapping[str, object]) -> None:
        """Add or replace a configuration; it must contain ``controller_name`` and ``controller_type``."""
        self._http.post(path("controllers", "configs", check_name(id, "a configuration")), dict(config)).check()

    def get_config(self, id: str) -> dict[str, Any]:
        """Return the configuration as the server holds it."""
        answer = self._http.get(path("controllers", "configs", check_name(id, "a configuration")))
        return reading.an_object(answer.value, "the configuration")

    def instance_configs(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the configurations of an instance's controllers as its own files contain them now, by id.

        The files may differ from what the bot has applied: see ``change_instance_config``.

        Raises:
            BotNotFound: the server has no files of such an instance.
        """
        answer = self._http.get(path("controllers", "bots", check_name(name, "an instance"), "configs"))
        if answer.status == 404:
            raise problem(BotNotFound, answer.words)
        configs = {}
        for entry in reading.a_list(answer.value, "the instance's configurations"):
            config = reading.an_object(entry, "a configuration")
            name_of_file = reading.text(config, "_config_name")  # is among the settings, and is none of them
            configs[name_of_file] = {name: value for name, value in config.items() if name != "_config_name"}
        return configs

    def change_instance_config(self, name: str, id: str, changes: Mapping[str, object]) -> None:
        """Change some settings of one of an instance's controllers; the others stay.

        The server merges the changes into the instance's own file, unchecked, and does not notify the bot (read in
        ``routers/controllers.py`` of hummingbot/hummingbot-api). The bot reads the file every 10 seconds while its
        exchange is ready, and applies the fields that its config class marks ``is_updatable``, no others; a file that
        the class rejects, as with an unknown field, is an error at each of these reads (read in
        ``StrategyV2Base.update_controllers_configs`` and ``ControllerBase.update_config`` of hummingbot 20260922). The
        whole file counts at the next start of the container. So have ``validate`` check the outcome first.

        Raises:
            BotNotFound: the server has no files of such an instance.
            NotFound: the instance has no such controller.
        """
        answer = self._http.post(
            path("controllers", "bots", check_name(name, "an instance"), check_name(id, "a configuration"), "config"),
            dict(changes),
        )
        if answer.status == 404 and NO_BOT.search(answer.raw):
            raise problem(BotNotFound, answer.words)
        answer.check()

    @staticmethod
    def _of_controller(answer: Answer) -> Answer:
        """Return what was answered about a controller that the server could import."""
        if answer.status == 500 and answer.plain:
            raise ControllerInvalid(f"{ControllerInvalid.meaning} It crashed while importing it, as on a syntax error.")
        if answer.status == 404:
            raise problem(ControllerInvalid, answer.words)
        return answer


def _controller(type: str, name: str) -> tuple[str, str, str]:
    return "controllers", check_name(type, "a controller's type"), check_name(name, "a controller")


def _setting(name: str, facts: reading.Object) -> ControllerSetting:
    default = facts.get("default")
    required = default == _UNDEFINED
    return ControllerSetting(
        name=name,
        type=reading.text(facts, "type"),
        default=None if required else default,
        required=required,
    )
