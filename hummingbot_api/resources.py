"""What can be asked of a server, by subject: ``api.accounts.add("client_sharp")``.

Every call may raise what ``Transport.request`` raises (no connection, no answer in time, wrong password),
``UnexpectedAnswer`` for an answer of another shape, and ``InvalidName``. A refusal that means nothing more
precise is ``NotFound`` (404), ``RequestRejected`` (other 4xx) or ``ServerFailed`` (5xx).
The docstrings name what comes on top of these.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hummingbot_api import reading
from hummingbot_api.connectors import KNOWN_CONNECTORS
from hummingbot_api.errors import (
    AlreadyExists,
    BotNotFound,
    CommandRefused,
    ConfigInvalid,
    ControllerInvalid,
    DeployRefused,
    DockerDown,
    ExchangeUnreachable,
    HummingbotAPIError,
    ImageMissing,
    KeyRefused,
    NotFound,
    ProfileMissing,
    ScriptInvalid,
    UnexpectedAnswer,
    UnknownConnector,
    WrongKeyField,
)
from hummingbot_api.names import check_name
from hummingbot_api.results import (
    BotRun,
    BotStatus,
    ConnectorField,
    Container,
    ControllerPerformance,
    ControllerSetting,
    Holding,
    Holdings,
    LogEntry,
    MqttStatus,
    PortfolioSnapshot,
    TradingRule,
)
from hummingbot_api.transport import Answer, Transport
from hummingbot_api.urls import path
from hummingbot_api.words import problem

# What the server's words mean. It has no codes for these: a refusal is mostly the text of a Python exception.
_NO_PROFILE = re.compile(r"(directory:? '|/)credentials/", re.IGNORECASE)
_NO_INSTANCE = re.compile(r"No such file or directory: '\S*instances/|No such container", re.IGNORECASE)
_NO_BOT = re.compile(r"Bot \S+ not found", re.IGNORECASE)
_NO_IMAGE = re.compile(
    r"images/create|no such image|image\S{0,200} not found|pull access denied"
    r"|manifest( for \S+)? (unknown|not found)",
    re.IGNORECASE,
)
_DOCKER_DOWN = re.compile(
    r"docker\.sock|docker daemon|docker is not running|connect to docker|fetching server API version"
    r"|Connection aborted",
    re.IGNORECASE,
)
_NO_EXCHANGE = re.compile(
    r"Cannot connect to host|Name or service not known|Temporary failure in name resolution"
    r"|Server disconnected|Connection (reset|refused|closed)|timed? ?out\b"
    r"|too many requests|service unavailable|bad gateway",
    re.IGNORECASE,
)
_WRONG_FIELD = re.compile(r"has no attribute '|Field required|Extra inputs are not permitted", re.IGNORECASE)
#: What Pydantic calls the default of a setting that has none.
_UNDEFINED = "PydanticUndefined"
#: Where an exchange sets no bound Hummingbot has 0, or 1e-56.
_NO_BOUND = 1e-18

Names = list[str]

#: The longest page of a history that the server gives.
PAGE = 1000


class _Resource:
    def __init__(self, http: Transport) -> None:
        self._http = http


class System(_Resource):
    """The server itself."""

    def version(self) -> str:
        """The server's version, ``1.0.1``. The server does not check the login for this.

        Raises:
            UnexpectedAnswer: something answers there, but not a Hummingbot API.
        """
        answer = self._http.get("/")
        if answer.status == 404:
            raise UnexpectedAnswer("What answers there is not a Hummingbot API (404).")
        about = reading.an_object(answer.value, "the answer")
        if "hummingbot" not in reading.text(about, "name").lower():
            raise UnexpectedAnswer("What answers there is not a Hummingbot API: it has another name.")
        return reading.text(about, "version")

    def resources(self) -> dict[str, Any]:
        """Load of the server's host: ``cpu``, ``memory``, ``disk``, each with ``percent``; sizes in bytes."""
        return reading.an_object(self._http.get("/system/resources").value, "the load")


class Accounts(_Resource):
    """Credentials profiles: one directory per client, with one entry per connector."""

    def list(self) -> Names:
        """The names of all accounts, ``master_account`` included."""
        return reading.texts(self._http.get("/accounts/").value, "the list of accounts")

    def add(self, name: str) -> None:
        """Make an account without any connector.

        Raises:
            AlreadyExists: the server has it.
        """
        answer = self._http.post("/accounts/add-account", params={"account_name": check_name(name, "an account")})
        if answer.status == 400 and "already exists" in answer.words:
            raise problem(AlreadyExists, answer.words)
        answer.check()

    def delete(self, name: str) -> None:
        """Delete an account and all its keys; ``master_account`` is refused.

        Raises:
            ProfileMissing: the server has no such account.
        """
        answer = self._http.post("/accounts/delete-account", params={"account_name": check_name(name, "an account")})
        if answer.status == 404:
            raise problem(ProfileMissing, answer.words)
        answer.check()

    def credentials(self, name: str) -> Names:
        """The connectors that the account has a key for. The values can't be read back.

        Raises:
            ProfileMissing: the server has no such account.
        """
        answer = self._http.get(path("accounts", check_name(name, "an account"), "credentials"))
        if answer.status == 404:
            raise problem(ProfileMissing, answer.words)
        return reading.texts(answer.value, "the list of credentials")

    def add_credential(self, name: str, connector: str, values: Mapping[str, object]) -> None:
        """Add or replace the account's key for a connector.

        The server logs in to the exchange with it and reads the balances, which takes from 2 to 90 seconds.

        Args:
            values: by the names that ``connectors.fields`` gives.

        Raises:
            KeyRefused: the exchange did not accept it.
            ExchangeUnreachable: the server could not try it.
            WrongKeyField: a value is not one that the connector asks for, or one is missing.
            ProfileMissing, UnknownConnector: the server lacks the account or the connector.
        """
        answer = self._http.post(
            path("accounts", "add-credential", check_name(name, "an account"), _connector(connector)),
            dict(values),
            long=True,
            secret=True,
        )
        if answer.status == 400:
            raise problem(_key_problem(answer.words, connector), answer.words)
        answer.check()

    def delete_credential(self, name: str, connector: str) -> None:
        """Delete the account's key for a connector; instances that were deployed with it keep their copy."""
        self._http.post(
            path("accounts", "delete-credential", check_name(name, "an account"), _connector(connector))
        ).check()


class Connectors(_Resource):
    """Exchanges as Hummingbot names them."""

    def list(self) -> Names:
        """The names of all connectors, except those for paper trade."""
        return reading.texts(self._http.get("/connectors/").value, "the list of connectors")

    def fields(self, connector: str) -> tuple[ConnectorField, ...]:
        """What the connector asks for in a key, in the server's order.

        Raises:
            UnknownConnector: the server crashes on this name, as it does on those for paper trade.
        """
        answer = self._http.get(path("connectors", _connector(connector), "config-map"))
        if answer.status == 500 and answer.plain:
            raise UnknownConnector(f"The server does not know the connector {connector}.")
        fields = answer.value
        if isinstance(fields, dict):
            return tuple(_field(name, reading.an_object(fact, f"“{name}”")) for name, fact in fields.items())
        # Older servers name the fields and say nothing else of them.
        known = {field.name: field for field in KNOWN_CONNECTORS.get(connector, ())}
        names = reading.texts(fields, "the list of fields")
        return tuple(known.get(name) or ConnectorField(name, "SecretStr", True) for name in names)

    def trading_rules(self, connector: str, trading_pairs: Sequence[str]) -> dict[str, TradingRule]:
        """Smallest orders and price steps, by trading pair. The server asks the exchange for them.

        A pair that the exchange does not list is left out: the server answers 200, with an error in the rules' place.

        Raises:
            ExchangeUnreachable: the server could not ask.
            UnknownConnector: the server has no such connector.
        """
        answer = self._http.get(
            path("connectors", _connector(connector), "trading-rules"),
            {"trading_pairs": [*trading_pairs]},
            long=True,
        )
        if answer.status == 404:
            unreachable = _NO_EXCHANGE.search(answer.words)
            raise problem(ExchangeUnreachable if unreachable else UnknownConnector, answer.words)
        rules = reading.an_object(answer.value, "the trading rules")
        told = {pair: reading.an_object(facts, f"“{pair}”") for pair, facts in rules.items()}
        return {pair: _trading_rule(facts) for pair, facts in told.items() if "error" not in facts}

    def prices(self, connector: str, trading_pairs: Sequence[str]) -> dict[str, float]:
        """The last traded prices in the quote asset, by trading pair, of those that the exchange has.

        Raises:
            ExchangeUnreachable: the server could not ask.
        """
        answer = self._http.post(
            "/market-data/prices",
            {"connector_name": _connector(connector), "trading_pairs": [*trading_pairs]},
            long=True,
        )
        if answer.status >= 500 and _NO_EXCHANGE.search(answer.words):
            raise problem(ExchangeUnreachable, answer.words)
        prices = reading.an_object(reading.an_object(answer.value, "the answer").get("prices"), "“prices”")
        return {pair: price for pair in trading_pairs if (price := reading.figure(prices, pair))}


class Scripts(_Resource):
    """Strategies as Python source, and their configurations."""

    def list(self) -> Names:
        """The names of all scripts, without ``.py``."""
        return reading.texts(self._http.get("/scripts/").value, "the list of scripts")

    def get(self, name: str) -> str:
        """The script's source."""
        answer = self._http.get(path("scripts", check_name(name, "a script")))
        return reading.text(reading.an_object(answer.value, "the script"), "content")

    def save(self, name: str, content: str) -> None:
        """Add or replace a script. The server takes any text: prove it with ``config_template``."""
        self._http.post(path("scripts", check_name(name, "a script")), {"content": content}).check()

    def delete(self, name: str) -> None:
        """Delete a script."""
        self._http.delete(path("scripts", check_name(name, "a script"))).check()

    def config_template(self, name: str) -> dict[str, Any]:
        """The script's settings with their defaults. The server imports the script for it: proof that it can.

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
        """The configuration as the server holds it."""
        answer = self._http.get(path("scripts", "configs", check_name(name, "a configuration")))
        return reading.an_object(answer.value, "the configuration")

    def delete_config(self, name: str) -> None:
        """Delete a configuration; instances that were deployed with it keep their copy."""
        self._http.delete(path("scripts", "configs", check_name(name, "a configuration"))).check()


class Controllers(_Resource):
    """Strategies that the server has, and their configurations."""

    def list(self) -> dict[str, Names]:
        """The names of all controllers, by type: ``generic``, ``market_making``, ``directional_trading``."""
        by_type = reading.an_object(self._http.get("/controllers/").value, "the controllers")
        return {kind: reading.texts(names, f"“{kind}”") for kind, names in by_type.items()}

    def config_template(self, type: str, name: str) -> tuple[ControllerSetting, ...]:
        """The controller's settings, in the server's order. The server imports the controller for it.

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
        """Add or replace a configuration; it must hold ``controller_name`` and ``controller_type``."""
        self._http.post(path("controllers", "configs", check_name(id, "a configuration")), dict(config)).check()

    def get_config(self, id: str) -> dict[str, Any]:
        """The configuration as the server holds it."""
        answer = self._http.get(path("controllers", "configs", check_name(id, "a configuration")))
        return reading.an_object(answer.value, "the configuration")

    def instance_configs(self, name: str) -> dict[str, dict[str, Any]]:
        """The configurations of an instance's controllers as its own files hold them now, by id.

        What the files hold, not what the bot has taken over: see ``change_instance_config``.

        Raises:
            BotNotFound: the server has no files of such an instance.
        """
        answer = self._http.get(path("controllers", "bots", check_name(name, "an instance"), "configs"))
        if answer.status == 404:
            raise problem(BotNotFound, answer.words)
        configs = {}
        for entry in reading.a_list(answer.value, "the instance's configurations"):
            config = reading.an_object(entry, "a configuration")
            name_of_file = reading.text(config, "_config_name")  # stands among the settings, and is none of them
            configs[name_of_file] = {name: value for name, value in config.items() if name != "_config_name"}
        return configs

    def change_instance_config(self, name: str, id: str, changes: Mapping[str, object]) -> None:
        """Set some settings of one of an instance's controllers; those that are not named stay.

        The server merges the changes into the instance's own file, unchecked, and tells the bot nothing (read in
        ``routers/controllers.py`` of hummingbot/hummingbot-api). The bot reads the file every 10 seconds while its
        exchange is ready and takes over the fields that its config class marks ``is_updatable``, no others; a file
        that the class refuses, as with an unknown field, is an error at each of these looks (read in
        ``StrategyV2Base.update_controllers_configs`` and ``ControllerBase.update_config`` of hummingbot 20260922).
        The whole file counts at the next start of the container. So have ``validate`` check the outcome first.

        Raises:
            BotNotFound: the server has no files of such an instance.
            NotFound: the instance has no such controller.
        """
        answer = self._http.post(
            path("controllers", "bots", check_name(name, "an instance"), check_name(id, "a configuration"), "config"),
            dict(changes),
        )
        if answer.status == 404 and _NO_BOT.search(answer.words):
            raise problem(BotNotFound, answer.words)
        answer.check()

    @staticmethod
    def _of_controller(answer: Answer) -> Answer:
        """What was answered about a controller that the server could import."""
        if answer.status == 500 and answer.plain:
            raise ControllerInvalid(f"{ControllerInvalid.meaning} It crashed while importing it, as on a syntax error.")
        if answer.status == 404:
            raise problem(ControllerInvalid, answer.words)
        return answer


class Bots(_Resource):
    """Instances: deploy, watch, stop, archive.

    There is no ``start``: the server's ``start-bot`` says success and does nothing, because Hummingbot
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

        The name is ``instance_name`` with a timestamp. Success means that a container was made, not that it
        trades. Sent twice it makes two bots on the same account: when no answer came, look before repeating.

        Args:
            config_name: without ``.yml``. One that does not exist goes unnoticed: the bot comes up idle.
            headless: needed for a bot without a terminal to be heard.

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
        if answer.status >= 500 and (kind := _deploy_problem(answer.words)):
            raise problem(kind, answer.words)
        made = reading.an_object(answer.value, "the answer")
        if made.get("success") is not True:
            words = answer.clean(made.get("message"))
            raise problem(_deploy_problem(words) or DeployRefused, words)
        return reading.text(made, "unique_instance_name")

    def status(self, name: str) -> BotStatus:
        """One live bot's state, with its logs.

        Raises:
            BotNotFound: it is gone, or exited, or the server was restarted a moment ago.
        """
        answer = self._http.get(path("bot-orchestration", check_name(name, "an instance"), "status"))
        data = _data(answer)
        if isinstance(data, dict) and data.get("status") == "not_found":
            raise BotNotFound(f"The server has no live instance {name}.")
        return _bot_status(data)

    def statuses(self) -> dict[str, BotStatus]:
        """All live bots' states by name, with every log: hundreds of kB. ``mqtt`` is lighter to poll."""
        data = reading.an_object(_data(self._http.get("/bot-orchestration/status")), "the bots")
        return {name: _bot_status(status) for name, status in data.items()}

    def mqtt(self) -> MqttStatus:
        """Which bots were heard within 30 s, and whether the server can hear any."""
        data = reading.an_object(_data(self._http.get("/bot-orchestration/mqtt")), "the MQTT state")
        return MqttStatus(
            connected=reading.flag(data.get("mqtt_connected"), "“mqtt_connected”"),
            discovered_bots=frozenset(reading.texts(data.get("discovered_bots"), "“discovered_bots”")),
        )

    def performance(self) -> list[ControllerPerformance]:
        """The latest snapshot of each controller, up to five minutes old."""
        answer = self._http.get("/bot-orchestration/controller-performance-latest")
        return [_performance(entry) for entry in reading.a_list(_data(answer), "the performance")]

    def performance_history(self, since: datetime, pages: int = 50) -> list[ControllerPerformance]:
        """Every controller's snapshots since then, newest first; of a very long time the newest ``pages`` thousand.

        Pages are cut by time and not by the server's cursor. All controllers' snapshots of one moment bear the same
        timestamp: when they fall on two pages the cursor leaves the rest of them out.
        """
        found: dict[tuple[str, str, datetime], ControllerPerformance] = {}
        params = {"start_time": since.isoformat(), "limit": PAGE}
        for _ in range(pages):
            answer = self._http.get("/bot-orchestration/controller-performance-history", params)
            page = [_performance(entry) for entry in reading.a_list(_data(answer), "the performance history")]
            found |= {(entry.bot_name, entry.controller_id, entry.timestamp): entry for entry in page}
            if len(page) < PAGE or page[-1].timestamp == page[0].timestamp:
                break
            params["end_time"] = page[-1].timestamp.isoformat()
        return list(found.values())

    def stop(self, name: str, skip_order_cancellation: bool = False) -> None:
        """Tell the bot to stop its strategy; its container stays up, and nothing waits for the bot to obey.

        Raises:
            BotNotFound: it is not live.
            CommandRefused: the server did not pass the command on, as without its MQTT broker.
        """
        answer = self._http.post(
            "/bot-orchestration/stop-bot",
            {"bot_name": check_name(name, "an instance"), "skip_order_cancellation": skip_order_cancellation},
        )
        response = reading.an_object(reading.an_object(answer.value, "the answer").get("response"), "“response”")
        if response.get("success") is not True:
            raise _command_problem(answer.clean(response.get("message")))

    def archive(self, name: str, skip_order_cancellation: bool = False) -> None:
        """Begin to stop the bot, remove its container and archive its data: 20 to 60 s, after the answer.

        Raises:
            BotNotFound: it is not live; ``docker.remove`` archives it then.
            CommandRefused: the server did not begin for another reason.
        """
        answer = self._http.post(
            path("bot-orchestration", "stop-and-archive-bot", check_name(name, "an instance")),
            # Always sent: here the server's own default is to leave the orders open.
            params={"skip_order_cancellation": str(skip_order_cancellation).lower()},
        )
        result = reading.an_object(answer.value, "the answer")
        if result.get("status") != "success":
            raise _command_problem(answer.clean(result.get("message")))

    def runs(self, bot_name: str | None = None, limit: int = 20) -> list[BotRun]:
        """The latest deployments, newest first. Each brings its final logs along: hundreds of kB in all."""
        params = {"bot_name": bot_name, "limit": limit}
        answer = self._http.get("/bot-orchestration/bot-runs", params)
        return [_bot_run(entry) for entry in reading.a_list(_data(answer), "the history")]


class Portfolio(_Resource):
    """What accounts hold at their exchanges, as the server last read it there; it does so every five minutes."""

    def state(self, accounts: Sequence[str]) -> dict[str, Holdings]:
        """What each of these accounts holds now. No exchange is asked for it.

        A connector that could not be read has no holdings, as has one without money: the server makes no difference.
        """
        if not accounts:
            return {}  # for no names the server tells of every account
        body = {"account_names": [check_name(name, "an account") for name in accounts], "skip_gateway": True}
        state = reading.an_object(self._http.post("/portfolio/state", body).value, "the portfolio")
        return {name: _holdings(state[name]) for name in accounts if name in state}

    def history(self, account: str, since: datetime) -> list[PortfolioSnapshot]:
        """What the account held since then, once an hour, newest first, for a month at most.

        The oldest snapshot is left out: the server cuts its answer off anywhere, and some of the account's connectors
        may be missing from it. With an account's name there is no second page, whatever the server says.
        """
        body = {
            "account_names": [check_name(account, "an account")],
            "start_time": int(since.timestamp() * 1000),
            "interval": "1h",
            "limit": 31 * 24,
        }
        answer = reading.an_object(self._http.post("/portfolio/history", body).value, "the answer")
        entries = [
            reading.an_object(entry, "a snapshot") for entry in reading.a_list(answer.get("data"), "the history")
        ]
        return [
            PortfolioSnapshot(
                taken_at=reading.moment(entry, "timestamp"),
                holdings=_holdings(reading.an_object(entry.get("state"), "“state”").get(account) or {}),
            )
            for entry in entries[:-1]
        ]


class Docker(_Resource):
    """The containers on the server's host. An instance's container has its unique name."""

    def is_running(self) -> bool:
        """Whether the Docker engine answers the server."""
        return reading.flag(self._http.get("/docker/running").value, "the answer")

    def active(self, name_filter: str = "") -> list[Container]:
        """The running containers whose name contains ``name_filter``.

        Raises:
            DockerDown: the server can't ask the engine.
        """
        return self._containers("/docker/active-containers", name_filter)

    def exited(self, name_filter: str = "") -> list[Container]:
        """The stopped and crashed containers whose name contains ``name_filter``.

        Raises:
            DockerDown: the server can't ask the engine.
        """
        return self._containers("/docker/exited-containers", name_filter)

    def start(self, name: str) -> None:
        """Start a container; a bot begins its strategy again and is heard 5 to 10 s later.

        Raises:
            NotFound, DockerDown: the container, or the engine, is not there.
            CommandRefused: the engine refused for another reason.
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
        if answer.status == 500 and (kind := _container_problem(answer.words)):
            raise problem(kind, answer.words)
        result = answer.value
        if isinstance(result, dict) and result.get("success") is False:
            words = answer.clean(result.get("message"))
            raise problem(_container_problem(words) or CommandRefused, words)

    def _containers(self, endpoint: str, name_filter: str) -> list[Container]:
        answer = self._http.get(endpoint, {"name_filter": name_filter} if name_filter else None)
        if _DOCKER_DOWN.search(answer.words):
            raise problem(DockerDown, answer.words)
        return [_container(entry) for entry in reading.a_list(answer.value, "the list of containers")]

    def _command(self, command: str, name: str) -> None:
        answer = self._http.post(path("docker", command, check_name(name, "an instance")), long=True)
        refusal = answer.value
        if refusal is not None:  # the server answers null when it worked, and the engine's words when not
            words = answer.clean(refusal)
            raise problem(_container_problem(words) or CommandRefused, words)


def _connector(name: str) -> str:
    return check_name(name, "a connector")


def _controller(type: str, name: str) -> tuple[str, str, str]:
    return "controllers", check_name(type, "a controller's type"), check_name(name, "a controller")


def _key_problem(words: str, connector: str) -> type[HummingbotAPIError]:
    if _NO_PROFILE.search(words):
        return ProfileMissing
    if _WRONG_FIELD.search(words):
        return WrongKeyField
    if words == repr(connector):  # the text of a KeyError
        return UnknownConnector
    return ExchangeUnreachable if _NO_EXCHANGE.search(words) else KeyRefused


def _deploy_problem(words: str) -> type[HummingbotAPIError] | None:
    if _NO_PROFILE.search(words):
        return ProfileMissing
    if _DOCKER_DOWN.search(words):
        return DockerDown
    return ImageMissing if _NO_IMAGE.search(words) else None


def _command_problem(words: str) -> HummingbotAPIError:
    return problem(BotNotFound if _NO_BOT.search(words) else CommandRefused, words)


def _container_problem(words: str) -> type[HummingbotAPIError] | None:
    if _NO_INSTANCE.search(words):
        return NotFound
    return DockerDown if _DOCKER_DOWN.search(words) else None


def _data(answer: Answer) -> Any:
    return reading.an_object(answer.value, "the answer").get("data")


def _field(name: str, fact: reading.Object) -> ConnectorField:
    return ConnectorField(
        name=name,
        type=reading.text(fact, "type"),
        required=reading.flag(fact.get("required", True), "“required”"),
        allowed_values=tuple(map(str, reading.a_list(fact.get("allowed_values") or [], "“allowed_values”"))),
    )


def _setting(name: str, facts: reading.Object) -> ControllerSetting:
    default = facts.get("default")
    required = default == _UNDEFINED
    return ControllerSetting(
        name=name,
        type=reading.text(facts, "type"),
        default=None if required else default,
        required=required,
    )


def _trading_rule(facts: reading.Object) -> TradingRule:
    def bound(name: str) -> float | None:
        told = reading.figure(facts, name)
        return told if told and told > _NO_BOUND else None

    return TradingRule(
        min_order_size=bound("min_order_size"),
        min_notional_size=bound("min_notional_size"),
        min_price_increment=bound("min_price_increment"),
    )


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
    entries = (reading.an_object(entry, "a log entry") for entry in reading.a_list(data.get(key) or [], f"“{key}”"))
    return tuple(
        LogEntry(
            level=reading.optional_text(entry, "level_name"),
            logger=reading.optional_text(entry, "logger_name"),
            message=reading.optional_text(entry, "msg"),
            timestamp=reading.moment(entry, "timestamp"),
        )
        for entry in entries
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


def _holdings(value: object) -> Holdings:
    connectors = reading.an_object(value, "an account's holdings")
    return {
        connector: tuple(map(_holding, reading.a_list(tokens, f"“{connector}”")))
        for connector, tokens in connectors.items()
    }


def _holding(value: object) -> Holding:
    entry = reading.an_object(value, "a token")
    return Holding(
        token=reading.text(entry, "token"),
        units=reading.figure(entry, "units") or 0.0,
        available_units=reading.figure(entry, "available_units") or 0.0,
        price=reading.figure(entry, "price") or 0.0,
        value=reading.figure(entry, "value") or 0.0,
    )


def _bot_run(value: object) -> BotRun:
    entry = reading.an_object(value, "a run")
    return BotRun(
        id=reading.whole_number(entry, "id"),
        bot_name=reading.text(entry, "bot_name"),
        instance_name=reading.text(entry, "instance_name"),
        account_name=reading.optional_text(entry, "account_name"),
        config_name=reading.optional_text(entry, "config_name"),
        image=reading.optional_text(entry, "image_version"),
        deployed_at=reading.moment(entry, "deployed_at"),
        stopped_at=reading.moment(entry, "stopped_at") if entry.get("stopped_at") else None,
        deployment_status=reading.optional_text(entry, "deployment_status"),
        run_status=reading.optional_text(entry, "run_status"),
        error_message=reading.optional_text(entry, "error_message"),
    )


def _container(value: object) -> Container:
    entry = reading.an_object(value, "a container")
    return Container(
        id=reading.text(entry, "id"),
        name=reading.text(entry, "name"),
        status=reading.text(entry, "status"),
        image=reading.optional_text(entry, "image"),
    )
