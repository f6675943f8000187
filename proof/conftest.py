"""A bot container's surroundings, in `tmp_path`: its application, its `controllers` package, its config folder."""

import asyncio
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
import yaml
from hummingbot.client import settings
from hummingbot.client.hummingbot_application import HummingbotApplication
from hummingbot.connector.markets_recorder import MarketsRecorder
from hummingbot.data_feed.market_data_provider import MarketDataProvider
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase
from stage import CONTROLLERS, REAL_CONTROLLERS, START, SimulatedTime, Stage, bitmart, rendered


class Runner(StrategyV2Base):
    """Runs controllers and executors, and adds nothing: like a bot without limits of its own."""

    def create_actions_proposal(self) -> list[Any]:
        return []

    def stop_actions_proposal(self) -> list[Any]:
        return []


class Play(Stage):
    """A stage on which a controller runs as a bot loads it: from a file, by type and name."""

    @property
    def executors(self) -> list[Any]:
        return self.strategy.executor_orchestrator.active_executors.get("sharp", [])

    @property
    def closings(self) -> list[str]:
        return [executor.close_type.name for executor in self.executors if executor.close_type]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List at the end what was proven of each strategy, so that a proof that did not run is not taken for one that
    held.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            counts[Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")][outcome] += 1
    terminalreporter.section("what is proven")
    for name, count in sorted(counts.items()):
        terminalreporter.line(f"{name}: {describe(name, count)}")
    terminalreporter.line("")
    if REAL_CONTROLLERS:
        terminalreporter.line(f"The controllers are those of {REAL_CONTROLLERS}.")
        return
    terminalreporter.line(
        "NOT PROVEN is what needs a controller's own module. Hummingbot's package has none: they come"
    )
    terminalreporter.line(
        "with Hummingbot's repository and the bot's image. Where they are at hand, this proves all of it:"
    )
    terminalreporter.line("PROOF_CONTROLLERS=/path/to/controllers ./run prove")


def describe(name: str, count: Counter[str]) -> str:
    words = f"{count['passed']} of {count.total()} proofs held"
    if wrong := count["failed"] + count["error"]:
        words += f", {wrong} FAILED"
    if count["skipped"]:
        words += f", {count['skipped']} NOT PROVEN"
    is_stand_in = not REAL_CONTROLLERS and any(CONTROLLERS.glob(f"*/{name}.py"))
    return f"{words}; its own module was not there, a stand-in ran" if is_stand_in else words


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only object that a strategy looks up globally (for MQTT)."""
    app = SimpleNamespace(_mqtt=None, notify=lambda message: None)
    monkeypatch.setattr(HummingbotApplication, "main_application", classmethod(lambda cls, **_: app))
    monkeypatch.setattr(MarketsRecorder, "_shared_instance", None)


@pytest.fixture
def controllers(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """The `controllers` package as a bot container has it."""
    shutil.copytree(CONTROLLERS, tmp_path / "controllers")
    monkeypatch.syspath_prepend(tmp_path)
    forget("controllers")
    yield tmp_path / "controllers"
    forget("controllers")


def forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


@pytest.fixture
def load(controllers, tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Writes a controller's configuration as the panel renders it, and has Hummingbot read it."""
    folder = tmp_path / "conf"
    folder.mkdir()
    monkeypatch.setattr(settings, "CONTROLLERS_CONF_DIR_PATH", folder)

    def load(name: str, **changes: Any):
        (folder / "sharp.yml").write_text(yaml.dump(rendered(name, **changes)))
        return StrategyV2ConfigBase(controllers_config=["sharp.yml"])

    return load


@pytest_asyncio.fixture
async def play(load, application, monkeypatch: pytest.MonkeyPatch):
    """Makes plays. Cut off: rates from other exchanges; time is the stage's."""
    time = SimulatedTime()
    monkeypatch.setattr(asyncio, "sleep", time.sleep)
    monkeypatch.setattr(MarketDataProvider, "time", lambda self: START + time.now)
    monkeypatch.setattr(MarketDataProvider, "initialize_rate_sources", lambda self, pairs: None)
    plays = []

    def make(name: str = "", market=None, **changes: Any) -> Play:
        config = load(name, **changes) if name else StrategyV2ConfigBase()
        made = Play(market or bitmart(), time)
        monkeypatch.setattr(MarketsRecorder, "_shared_instance", made.recorder)
        Runner.init_markets(config)
        made.put_on(Runner({made.market.name: made.market}, config))
        plays.append(made)
        return made

    yield make
    for made in plays:
        for executor in [e for es in made.strategy.executor_orchestrator.active_executors.values() for e in es]:
            executor.stop()
        for controller in made.strategy.controllers.values():
            controller.stop()
        await made.until(made.now + 10)
        made.close()
