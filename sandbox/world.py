"""All that the sandbox's server has: accounts, scripts, configurations, containers. No HTTP here."""

import copy
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Literal

from sandbox.catalog import BUNDLED_SCRIPTS, CONNECTORS, CONTROLLERS, why_not_of_type
from sandbox.clock import Clock, utc
from sandbox.exchange import Exchange, Order, orders_of
from sandbox.instance import FAILED, RESTART_WARM_UP, WARM_UP, Instance
from sandbox.living_market.fills import Fill, LiveOrder
from sandbox.living_market.live_reports import is_reporting_script, latest_reports
from sandbox.living_market.living import LivingMarket
from sandbox.living_market.prices import walk_of
from sandbox.living_market.trader import Terms
from sandbox.living_market.wallets import Balance, Wallet
from sandbox.markets import market_of
from sandbox.reports import LOG_LENGTH, logs_of
from sandbox.scripts import UNDEFINED, config_template, why_not_startable

MASTER_ACCOUNT = "master_account"
VERSION = "1.0.1"

Values = dict[str, object]
#: Whether prices stand still and no order fills, or prices walk and orders fill.
MarketMode = Literal["still", "living"]
#: Where a configuration names an exchange that its strategy logs in to.
_MARKET_KEYS = ("connector_name", "exchange", "connector", "maker_connector", "taker_connector")


class World:
    """The state of one server, safe to read and change from any thread.

    Attributes:
        version: of the server, as reported at its root.
        controllers: the modules that it has, by type and name.
        accounts: account, then connector, then the credential's values.
        scripts: source by name, without ``.py``.
        script_configs, controller_configs: by name, without ``.yml``.
        instances: every instance ever made, by unique name, in the order of making.
        unreadable: the accounts whose keys it can't read, as after a change of its config password.
        market: what makes prices walk and orders fill; ``None`` when everything stands still.
    """

    def __init__(self, clock: Clock, state_file: Path | None = None, market: MarketMode = "still") -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.market = LivingMarket(clock, self.lock) if market == "living" else None
        self.exchange = Exchange(clock, market=self.market)
        self.version = VERSION
        self.controllers = dict(CONTROLLERS)
        self.accounts: dict[str, dict[str, Values]] = {MASTER_ACCOUNT: {}}
        self.unreadable: set[str] = set()
        self.scripts: dict[str, str] = dict(BUNDLED_SCRIPTS)
        self.script_configs: dict[str, Values] = {}
        self.controller_configs: dict[str, Values] = {}
        self.instances: dict[str, Instance] = {}
        self.born_at = clock.now()
        self._state_file = state_file
        if state_file is not None and state_file.exists():
            self._load(json.loads(state_file.read_text()))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock, and store the state on disk afterwards."""
        with self.lock:
            if self.market is not None:
                self.market.catch_up()  # what happened before must not depend on what is changed now
            yield
            if self._state_file is not None:
                self.save(self._state_file)

    # --- instances ---

    def live(self, base_name: str | None = None) -> list[Instance]:
        """Return the instances whose container runs, of one bot or of all."""
        with self.lock:
            return [i for i in self.instances.values() if i.live and base_name in (None, i.base_name)]

    def listed(self) -> list[Instance]:
        """Return the bots that the server counts as active."""
        with self.lock:
            return [instance for instance in self.instances.values() if instance.listed]

    def unique_name(self, base_name: str) -> str:
        """Return the name with the timestamp appended, which is the same for two deploys within a second."""
        return f"{base_name}-{utc(self.clock.now()):%Y%m%d-%H%M%S}"

    def deploy(
        self,
        *,
        name: str,
        base_name: str,
        profile: str,
        image: str,
        headless: bool,
        strategy_type: str,
        script: str | None,
        script_config: str | None,
        deployment: Values,
    ) -> Instance:
        """Create and start a container, with copies of the profile's credentials and of the configurations.

        A configuration that does not exist is no hindrance: the container exits a few seconds later.
        """
        with self.changing():
            found = self._script_config(script_config)
            config = found or {}
            script_file = str(config.get("script_file_name")).removesuffix(".py")
            asked = [str(c).removesuffix(".yml") for c in _list(config.get("controllers_config"))]
            controllers = [c for c in asked if c in self.controller_configs]
            configs = [self.controller_configs[c] for c in controllers]
            instance = Instance(
                clock=self.clock,
                exchange=self.exchange,
                name=name,
                base_name=base_name,
                profile=profile,
                image=image,
                headless=headless,
                strategy_type=strategy_type,
                script=script,
                script_config=script_config,
                script_file=None if found is None else script_file,
                controllers=controllers,
                connectors=copy.deepcopy(self.accounts[profile]),
                config=copy.deepcopy(configs if controllers else config),
                deployment=deployment,
                deployed_at=self.clock.now(),
            )
            for controller, settings in zip(controllers, configs, strict=True):
                instance.kill_switches.append((self.clock.now(), controller, bool(settings.get("manual_kill_switch"))))
            self.instances[name] = instance
            self._enlist(instance)
            self._start(instance, WARM_UP)
            if profile in self.unreadable:
                instance.end(0)  # “Invalid password.” is in its own log only, which no route returns
            return instance

    def restart(self, name: str) -> None:
        """Start an exited container again; one that runs is left alone, as Docker does."""
        with self.changing():
            if not self.instances[name].live:
                self._start(self.instances[name], RESTART_WARM_UP)

    def crash(self, name: str, exit_code: int = FAILED) -> None:
        """Let the container exit now, as a kill does."""
        with self.changing():
            self.instances[name].end(exit_code)

    def pause(self, name: str) -> None:
        """``docker pause``: the container does nothing, keeps its orders, and is in neither list."""
        with self.changing():
            self.instances[name].paused_at = self.clock.now()

    def unpause(self, name: str) -> None:
        with self.changing():
            self.instances[name].paused_at = None

    def silence(self, name: str) -> None:
        """Keep the container up, but no longer connected."""
        with self.changing():
            self.instances[name].unresponsive_since = self.clock.now()

    def vanish(self, name: str) -> None:
        """Remove the container by hand, its data with it."""
        with self.changing():
            self.instances[name].remove(keeps_data=False)

    def _enlist(self, instance: Instance) -> None:
        if self.market is None:
            return
        if isinstance(instance.config, list):
            defaults, publishes = self._controller_defaults(instance.market_config), False
        else:
            script = instance.script_file or ""
            source = self.scripts.get(script, "")
            defaults = {} if why_not_startable(source) else config_template(script, source)
            publishes = is_reporting_script(script, source)
        known = {name: value for name, value in defaults.items() if value not in (None, UNDEFINED)}
        self.market.enlist(instance, Terms(known, publishes))

    def _start(self, instance: Instance, warm_up: float) -> None:
        # A server drops a bot's log with the bot: half a minute after its last contact.
        instance.previous_log = (
            [log[-LOG_LENGTH:] for log in logs_of(instance)]
            if instance.started_at and instance.recently_active
            else [[], []]
        )
        problem = self._problem(instance)
        doomed = not problem and not self._needed_connectors(instance) <= set(instance.connectors)
        instance.start(problem=problem, doomed=doomed, warm_up=warm_up)

    def _script_config(self, file_name: str | None) -> Values | None:
        """Return the configuration of that file name, which only a name with ``.yml`` can be."""
        if file_name is None or not file_name.endswith(".yml"):
            return None
        return self.script_configs.get(file_name.removesuffix(".yml"))

    def _problem(self, instance: Instance) -> str:
        """Return why the instance's strategy would not start now; empty when it would."""
        if instance.script_file is None:
            return f"no configuration {instance.script_config!r}"
        source = self.scripts.get(instance.script_file)
        return f"no script {instance.script_file!r}" if source is None else why_not_startable(source)

    def _needed_connectors(self, instance: Instance) -> set[str]:
        """Return the exchanges that a startable strategy logs in to, by its configurations and their defaults."""
        if isinstance(instance.config, list):
            configs = [{**self._controller_defaults(config), **config} for config in instance.config]
        else:
            script = instance.script_file or ""
            configs = [{**config_template(script, self.scripts[script]), **instance.config}]
        needed = {str(config[key]) for config in configs for key in _MARKET_KEYS if config.get(key)}
        for config in configs:
            if isinstance(markets := config.get("markets"), dict):
                needed.update(markets)
        return {connector for connector in needed if not connector.endswith("_paper_trade")}

    def _controller_defaults(self, config: Values) -> Values:
        key = (config.get("controller_type"), config.get("controller_name"))
        return next((c.defaults for known, c in self.controllers.items() if known == key), {})

    # --- the exchanges' books ---

    def open_orders(self) -> list[Order]:
        """Return the orders on the exchanges' books now, whatever became of the bots that placed them."""
        with self.lock:
            if self.market is not None:
                return [*self.market.open_orders()]
            now = self.clock.now()
            return [o for i in self.instances.values() for o in orders_of(i) if o.is_open(now)]

    def orders(self, instance: str | None = None) -> list[LiveOrder]:
        """Return every order up to now in the order of placing, by number; or those of one instance. There are none on
        a market that stands still.
        """
        orders: Sequence[LiveOrder] = () if self.market is None else self.market.all_orders()
        return [order for order in orders if instance in (None, order.instance)]

    def fills(self, instance: str | None = None) -> list[Fill]:
        """Return every fill up to now in the order of trading, whether its bot knows of it or not, and whatever became
        of that bot; or those of one instance. There are none on a market that stands still.
        """
        fills: Sequence[Fill] = () if self.market is None else self.market.all_fills()
        return [fill for fill in fills if instance in (None, fill.instance)]

    def mid(self, trading_pair: str, moment: float | None = None) -> Decimal:
        """Return the price of a market, now unless a moment is given, in the quote asset."""
        if self.market is None:
            return Decimal(str(market_of(trading_pair).price))
        walk = walk_of(trading_pair)
        return walk.price(walk.ticks(int(self.clock.now() if moment is None else moment)))

    def balances(self, account: str, connector: str, moment: float | None = None) -> dict[str, Balance]:
        """Return what an account has on an exchange by asset, now unless a moment is given: the assets that its bots
        trade; an account without bots has what every account has.
        """
        if self.market is None:
            wallet, assets = Wallet(account, connector), []
        else:
            wallet, assets = self.market.wallet(account, connector), self.market.traded_assets(account, connector)
        return {asset: wallet.balance(asset, moment) for asset in assets or ("USDT", "BTC")}

    # --- accounts ---

    def credential_refusal(self, account: str, connector: str, values: Mapping[str, object]) -> str:
        """Return why the server itself rejects such a credential; empty when it passes it to the exchange."""
        if account not in self.accounts:
            return f"Directory 'credentials/{account}/connectors' not found"
        if account in self.unreadable:
            # The proof of its own password was created again once new accounts are good.
            return f"Failed to authenticate for {account}" if MASTER_ACCOUNT in self.unreadable else "MAC mismatch"
        if connector not in CONNECTORS:
            return repr(connector)
        fields = {field.name: field for field in CONNECTORS[connector]}
        for name, value in values.items():
            if name not in fields:
                return f"Object has no attribute {name!r}"
            if refusal := why_not_of_type(fields[name], value):
                return refusal
        return ""

    def change_config_password(self, *, proof_anew: bool = False) -> None:
        """Start with another password: no key that is stored can be read.

        Args:
            proof_anew: whether ``.password_verification`` was created again: accounts that are created from now on are
            good.
        """
        with self.changing():
            self.unreadable = set(self.accounts) - ({MASTER_ACCOUNT} if proof_anew else set())

    def restore_config_password(self) -> None:
        with self.changing():
            self.unreadable.clear()

    # --- on disk ---

    def save(self, path: Path) -> None:
        """Store the state in a file, with which another sandbox can begin."""
        state = {
            "now": self.clock.now(),
            "born_at": self.born_at,
            "exchange": self.exchange.record(),
            "accounts": self.accounts,
            "scripts": self.scripts,
            "script_configs": self.script_configs,
            "controller_configs": self.controller_configs,
            "instances": [instance.record() for instance in self.instances.values()],
            "market": None if self.market is None else self.market.record(),
        }
        draft = path.with_name(f"{path.name}.draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(state))  # many times as fast as json.dump
        draft.replace(path)

    def _load(self, state: dict) -> None:
        self.clock.advance(max(0.0, state["now"] - self.clock.now()))  # a fast run may have got ahead of us
        self.born_at = state["born_at"]
        self.exchange = Exchange.from_record(self.clock, state["exchange"])
        self.exchange.market = self.market
        self.accounts = state["accounts"]
        self.scripts = state["scripts"]
        self.script_configs = state["script_configs"]
        self.controller_configs = state["controller_configs"]
        self.instances = {
            record["name"]: Instance(self.clock, self.exchange, **record) for record in state["instances"]
        }
        if self.market is not None:
            for instance in self.instances.values():
                self._enlist(instance)
            if (market := state.get("market")) is not None:
                self.market.restore(market)
            for instance in self.live():
                # The reports of a long life take seconds: a caller would not wait for them.
                latest_reports(instance)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
