"""How far a run is and how long it will still take; ``--full``, for what a shorter run leaves out: what is marked
``full`` or ``one_in``, most cases of other tests with several, and two of three generated examples;
``--with-database``, for a run on another database. Who names files or tests gets all of their cases but those that are
marked.

The time left is calculated from how long each test took the last time, which pytest's cache keeps. At the end it lists
what was skipped and why.
"""

import gc
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import hypothesis
import pytest

# Until all tests are collected, and in a process that only distributes them: what is imported stays.
gc.disable()

#: Seconds between two lines.
EVERY = 10
#: Of a test with several cases, a shorter run of all tests proves one of so many.
ONE_IN = 4
TIMES = "panel/times"
#: How many tests were left out of this run, by the reason.
LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also what a shorter run proves by fewer examples")
    parser.addoption("--with-database", action="store_true", help="only what asks a database anything")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """More than there are processors: some tests wait for servers, workers and browsers most of their time."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.register_profile("full", deadline=None, max_examples=100)
    hypothesis.settings.register_profile("shorter", deadline=None, max_examples=30)
    hypothesis.settings.load_profile("full" if config.getoption("--full") else "shorter")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "progress")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if left := getattr(node, "workeroutput", {}).get("left_out"):  # a crashed one says nothing
        node.config.stash[LEFT_OUT] = Counter(left)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash.get(LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell the processes of pytest-xdist what they can't see: they are all given names of folders."""
    node.workerinput["names_tests"] = names_tests(node.config)


def names_tests(config: pytest.Config) -> bool:
    given = getattr(config, "workerinput", {}).get("names_tests")
    return config.args_source is pytest.Config.ArgsSource.ARGS if given is None else bool(given)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--with-database"):
        items[:] = [item for item in items if asks_database(item)]
    if config.getoption("--full"):
        return
    reasons = dict(left_out(items, named=names_tests(config)))
    if names_tests(config):
        for item, reason in reasons.items():
            item.add_marker(pytest.mark.skip(reason=reason))
    else:  # half of all: skipping each would take longer than it looks
        items[:] = [item for item in items if item not in reasons]
        config.stash[LEFT_OUT] = Counter(reasons.values())


def left_out(items: Iterable[pytest.Item], *, named: bool) -> Iterator[tuple[pytest.Item, str]]:
    """Yield what a run that is not full does not prove, with the reason. ``named``: somebody named files or tests."""
    unmarked: dict[str, list[pytest.Item]] = defaultdict(list)
    chosen: set[str] = set()
    cases: Counter[str] = Counter()
    for item in items:
        of = item.nodeid.partition("[")[0]
        if (mark := item.get_closest_marker("full")) is not None:
            chosen.add(of)
            yield item, f"only with --full: {mark.args[0]}"
        elif (mark := item.get_closest_marker("one_in")) is not None:
            chosen.add(of)
            number, reason = mark.args
            if cases[of] % number:
                yield item, f"only with --full: {reason}"
            cases[of] += 1
        else:
            unmarked[of].append(item)
    for of, alike in unmarked.items():
        if of not in chosen and not named:
            for number, item in enumerate(alike):
                if number % ONE_IN:
                    yield item, "only with --full: a test with several cases"


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end. It would search all modules again and again."""
    gc.freeze()
    gc.set_threshold(500_000, 20, 50)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    """Run the tests above a frame with room for all of theirs.

    CPython asks the system for memory where a call does not fit into the 16 kB that it has for frames, and gives it
    back as soon as the call returns. A loop that happens to be at such an edge spends a tenth of its time on that.
    """
    manager = session.config.pluginmanager
    others = manager.subset_hook_caller("pytest_runtestloop", [manager.get_plugin("tests.progress")])
    return _with_room(others, session=session)


def _with_room(call: Callable[..., object], **arguments: object) -> object:
    return call(**arguments)


_with_room.__code__ = _with_room.__code__.replace(co_stacksize=1 << 17)


def asks_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or not {"db", "transactional_db"}.isdisjoint(fixtures)


class Progress:
    """Counts in seconds rather than in tests: of these some take a thousand times as long as others."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._cache = getattr(config, "cache", None)
        self._before: dict[str, float] = self._cache.get(TIMES, {}) if self._cache else {}
        self._took: dict[str, float] = {}
        self._expected: dict[str, float] = {}
        self._done: set[str] = set()
        self._skipped: Counter[str] = Counter()
        self._begun = self._said = time.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._expect(ids)

    def _expect(self, ids: Iterable[str]) -> None:
        known = self._before.values()
        usual = sum(known) / len(known) if known else 1.0
        self._expected = {name: self._before.get(name, usual) for name in ids}
        self._begun = self._said = time.monotonic()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Iterator[None]:
        yield
        self._took[report.nodeid] = self._took.get(report.nodeid, 0) + report.duration
        if report.skipped and isinstance(report.longrepr, tuple):
            self._skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1
        if report.when == "teardown":
            self._done.add(report.nodeid)
            if time.monotonic() - self._said > EVERY:
                self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        gone, whole = self._said - self._begun, sum(self._expected.values())
        done = sum(self._expected.get(name, 0) for name in self._done)
        begun = done <= whole / 50  # too early to say, or nothing of it took any time before
        left = "" if begun else f", about {minutes(gone * (whole - done) / done)} left"
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"{len(self._done)} of {len(self._expected)} tests, {minutes(gone)} gone{left}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        skipped = self._skipped + self._config.stash.get(LEFT_OUT, Counter[str]())
        for reason, count in skipped.most_common():
            terminalreporter.write_line(f"Skipped {count}: {reason}")

    def pytest_sessionfinish(self) -> None:
        if self._cache and self._took:
            self._cache.set(TIMES, self._before | {name: round(took, 2) for name, took in self._took.items()})


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
