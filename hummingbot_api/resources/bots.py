"""Instances."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hummingbot_api import reading
from hummingbot_api.errors import (
    BotNotFound,
    CommandRefused,
    DeployRefused,
    DockerDown,
    HummingbotAPIError,
    ImageMissing,
    ProfileMissing,
    ServerFailed,
)
from hummingbot_api.http.transport import Answer
from hummingbot_api.http.urls import path
from hummingbot_api.names import check_name
from hummingbot_api.refusals.common import DOCKER_DOWN, NO_BOT, NO_PROFILE
from hummingbot_api.resources.base import Resource
from hummingbot_api.resources.fills import live_fill
from hummingbot_api.results import BotRun, BotStatus, ControllerPerformance, Fill, LogEntry, MqttStatus
from hummingbot_api.text import problem, strip_invisible

#: The longest page of a history that the server gives.
PAGE = 1000
#: How a bot marks an answer that is what was asked for.
HTTP_OK = 200

#: Docker was there and ended the connection before it answered: it may have made the container.
_HUNG_UP = re.compile(r"RemoteDisconnected|ConnectionResetError|BrokenPipeError|Read timed out", re.IGNORECASE)
_NO_IMAGE = re.compile(
    r"images/create|no such image|image\S{0,200} not found|pull access denied"
    r"|manifest( for \S+)? (unknown|not found)",
    re.IGNORECASE,
)


class Bots(Resource):
    """Instances: deploy, watch, stop, archive.

    There is no ``start``: the server's ``start-bot`` reports success and does nothing, because Hummingbot
    rejects its arguments. A stopped bot is started by ``docker.stop`` and then ``docker.start``.
    """

    def deploy_script(
        self,
        *,
        instance_name: str,
        credentials_profile: str,
        config_name: str,
        image: str,
        headless: bool = True,
    ) -> str:
        """Create an instance that runs a script's configuration, and return its unique name.

        The name is ``instance_name`` with a timestamp. Success means that a container was created, not that it trades.
        Sent twice, it creates two bots on the same account: when no answer came, check before repeating.

        Args:
            config_name: without ``.yml``. One that does not exist goes unnoticed: the container exits after seconds.
            headless: needed for a bot without a terminal to connect.

        Raises:
            ProfileMissing, ImageMissing, DockerDown: what the server lacks.
            DeployRefused: it did not create the instance for another reason.
        """
        return self._deploy(
            "/bot-orchestration/deploy-v2-script",
            {
                "instance_name": check_name(instance_name, "an instance"),
                "credentials_profile": check_name(credentials_profile, "an account"),
                "image": image,
                "script_config": f"{check_name(config_name, 'a configuration')}.yml",
                "headless": headless,
            },
        )

    def deploy_controllers(
        self,
        *,
        instance_name: str,
        credentials_profile: str,
        controllers: Sequence[str],
        image: str,
        headless: bool = True,
        max_global_drawdown_quote: float | None = None,
        max_controller_drawdown_quote: float | None = None,
    ) -> str:
        """Create an instance that runs controllers' configurations; otherwise like ``deploy_script``.

        Args:
            controllers: the ids of their configurations.
            max_global_drawdown_quote: loss at which the bot stops, in the quote asset.
            max_controller_drawdown_quote: loss at which a controller stops, in the quote asset.
        """
        return self._deploy(
            "/bot-orchestration/deploy-v2-controllers",
            {
                "instance_name": check_name(instance_name, "an instance"),
                "credentials_profile": check_name(credentials_profile, "an account"),
                "controllers_config": [check_name(id, "a configuration") for id in controllers],
                "max_global_drawdown_quote": max_global_drawdown_quote,
                "max_controller_drawdown_quote": max_controller_drawdown_quote,
                "image": image,
                "headless": headless,
            },
        )

    def _deploy(self, endpoint: str, order: dict[str, Any]) -> str:
        answer = self._http.post(endpoint, order, long=True)
        if answer.status >= 500 and (kind := _deploy_problem(answer.raw)):
            raise problem(kind, answer.words)
        made = reading.an_object(answer.value, "the answer")
        if made.get("success") is not True:
            raise answer.refusal(lambda words: _deploy_problem(words) or DeployRefused, made.get("message"))
        return reading.text(made, "unique_instance_name")

    def status(self, name: str) -> BotStatus:
        """Return one live bot's state, with its logs.

        Raises:
            BotNotFound: it is gone, or exited, or the server was restarted a moment ago.
        """
        answer = self._http.get(path("bot-orchestration", check_name(name, "an instance"), "status"))
        data = _data(answer)
        if isinstance(data, dict) and data.get("status") == "not_found":
            raise BotNotFound(f"The server has no running instance {name}.")
        return _bot_status(data)

    def mqtt(self) -> MqttStatus:
        """Return which bots were connected within 30 s, and whether the server can receive any messages."""
        data = reading.an_object(_data(self._http.get("/bot-orchestration/mqtt")), "the MQTT state")
        return MqttStatus(
            connected=reading.flag(data.get("mqtt_connected"), "“mqtt_connected”"),
            discovered_bots=frozenset(reading.texts(data.get("discovered_bots"), "“discovered_bots”")),
        )

    def performance(self) -> list[ControllerPerformance]:
        """Return the latest snapshot of each controller, up to five minutes old."""
        answer = self._http.get("/bot-orchestration/controller-performance-latest")
        return reading.readable(reading.a_list(_data(answer), "the performance"), _performance)

    def performance_history(self, since: datetime, pages: int = 50) -> list[ControllerPerformance]:
        """Return every controller's snapshots since then, newest first; of a very long time the newest ``pages``
        thousand.

        Pages are cut by time and not by the server's cursor. All controllers' snapshots of one moment share one
        timestamp:
        when they fall on two pages, the cursor skips the rest of them.
        """
        found: dict[tuple[str, str, datetime], ControllerPerformance] = {}
        params = {"start_time": since.isoformat(), "limit": PAGE}
        for _ in range(pages):
            answer = self._http.get("/bot-orchestration/controller-performance-history", params)
            entries = reading.a_list(_data(answer), "the performance history")
            page = reading.readable(entries, _performance)
            found |= {(entry.bot_name, entry.controller_id, entry.timestamp): entry for entry in page}
            if len(entries) < PAGE or not page or page[-1].timestamp == page[0].timestamp:
                break
            params["end_time"] = page[-1].timestamp.isoformat()
        return list(found.values())

    def fills(self, name: str, days: int, *, timeout: float = 5.0) -> list[Fill]:
        """Return the fills of a live bot, of any strategy, newest first. The server asks the bot itself.

        Args:
            days: how many days back, of 24 hours each on the bot's clock; 0 for all since its first deploy.
            timeout: seconds that the server waits for the bot. One that does not answer takes all of it.

        Raises:
            BotNotFound: it is not live.
            CommandRefused: the bot did not answer, or the server or the bot refused for another reason.
        """
        endpoint = path("bot-orchestration", check_name(name, "an instance"), "history")
        answer = self._http.get(endpoint, {"days": days, "timeout": timeout})
        response = reading.an_object(reading.an_object(answer.value, "the answer").get("response"), "“response”")
        if response.get("success") is not True:
            if response.get("timeout") is True:
                raise CommandRefused(f"{name} did not answer the server within {timeout:g} seconds.")
            raise answer.refusal(_command_problem, response.get("message"))
        envelope = reading.an_object(response.get("data"), "the bot's answer")
        data = reading.an_object(envelope.get("data"), "the bot's answer")
        if data.get("status") != HTTP_OK:  # the bot's own words, such as a traceback
            raise answer.refusal(lambda words: CommandRefused, data.get("msg"))
        return reading.readable(reading.a_list(data.get("trades") or [], "“trades”"), live_fill)

    def stop(self, name: str) -> None:
        """Request the bot to stop its strategy and to cancel its orders; its container stays up, and the call does not
        wait for the bot to obey.

        Raises:
            BotNotFound: it is not live.
            CommandRefused: the server did not pass the command on, as without its MQTT broker.
        """
        answer = self._http.post(
            "/bot-orchestration/stop-bot",
            {"bot_name": check_name(name, "an instance"), "skip_order_cancellation": False},
        )
        response = reading.an_object(reading.an_object(answer.value, "the answer").get("response"), "“response”")
        if response.get("success") is not True:
            raise answer.refusal(_command_problem, response.get("message"))

    def archive(self, name: str) -> None:
        """Begin to stop the bot, cancel its orders, remove its container and archive its data: 20 to 60 s, after the
        answer.

        Raises:
            BotNotFound: it is not live; ``docker.remove`` archives it then.
            CommandRefused: the server did not begin for another reason.
        """
        answer = self._http.post(
            path("bot-orchestration", "stop-and-archive-bot", check_name(name, "an instance")),
            # The server's own default is to leave the orders open.
            params={"skip_order_cancellation": "false"},
        )
        result = reading.an_object(answer.value, "the answer")
        if result.get("status") != "success":
            raise answer.refusal(_command_problem, result.get("message"))

    def runs(self, bot_name: str | None = None, limit: int = 20) -> list[BotRun]:
        """Return the latest deployments, newest first. Each includes its final logs: hundreds of kB in all."""
        params = {"bot_name": bot_name, "limit": limit}
        answer = self._http.get("/bot-orchestration/bot-runs", params)
        return reading.readable(reading.a_list(_data(answer), "the history"), _bot_run)


def _deploy_problem(words: str) -> type[HummingbotAPIError] | None:
    if NO_PROFILE.search(words):
        return ProfileMissing
    if _HUNG_UP.search(words):
        return ServerFailed
    if DOCKER_DOWN.search(words):
        return DockerDown
    return ImageMissing if _NO_IMAGE.search(words) else None


def _command_problem(words: str) -> type[HummingbotAPIError]:
    return BotNotFound if NO_BOT.search(words) else CommandRefused


def _data(answer: Answer) -> Any:
    return reading.an_object(answer.value, "the answer").get("data")


def _bot_status(value: object) -> BotStatus:
    data = reading.an_object(value, "a bot's state")
    return BotStatus(
        status=reading.text(data, "status"),
        recently_active=reading.flag(data.get("recently_active", False), "“recently_active”"),
        performance=reading.an_object(data.get("performance") or {}, "“performance”"),
        error_logs=_logs(data, "error_logs"),
        general_logs=_logs(data, "general_logs"),
    )


def _logs(data: reading.Object, key: str) -> tuple[LogEntry, ...]:
    return tuple(reading.readable(reading.a_list(data.get(key) or [], f"“{key}”"), _log_entry))


def _log_entry(value: object) -> LogEntry:
    entry = reading.an_object(value, "a log entry")
    return LogEntry(
        level=reading.optional_text(entry, "level_name"),
        # Here, before secrets are masked: one with an escape code in its midst would be put together later.
        logger=strip_invisible(reading.optional_text(entry, "logger_name")),
        message=strip_invisible(reading.optional_text(entry, "msg")),
        timestamp=reading.moment(entry, "timestamp"),
    )


def _performance(value: object) -> ControllerPerformance:
    entry = reading.an_object(value, "a controller's performance")
    return ControllerPerformance(
        bot_name=reading.text(entry, "bot_name"),
        controller_id=reading.text(entry, "controller_id"),
        timestamp=reading.moment(entry, "timestamp"),
        status=reading.optional_text(entry, "status"),
        performance=reading.an_object(entry.get("performance") or {}, "“performance”"),
    )


def _bot_run(value: object) -> BotRun:
    entry = reading.an_object(value, "a run")
    return BotRun(reading.text(entry, "bot_name"), reading.optional_text(entry, "deployment_status"))
