"""The demo itself, as the README starts it, and a real Chromium to use it with."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, StorageStateCookie, sync_playwright

from tests.browser.manager import ROOT, Manager
from tests.databases import new_database, url_of
from tests.sharing import APART

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: The module whose demo makes its database itself, as at the first start; the others begin with a migrated one.
BEGINS_EMPTY = "test_home"
FLAGS = [
    "--no-sandbox",  # CI runs as root, where Chromium's own sandbox refuses to
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Demo:
    """A running demo: its address, the password made for it, and all that it printed.

    Attributes:
        session: the cookies of the user ``admin``, once a test has signed in.
    """

    url: str
    password: str
    output: list[str]
    manager: Manager
    session: list[StorageStateCookie] = field(default_factory=list)

    def manage(self, *arguments: str) -> str:
        """What ``manage.py`` prints, with the demo's database and keys."""
        return self.manager.run(*arguments)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_demo(data: Path, template: str, *options: str, within: float = 90) -> Iterator[Demo]:
    """The demo on a database of the kind that the tests run on, with all else in the folder ``data``.

    Args:
        options: without any, it begins with one client whose bots are not deployed.
        within: seconds until it is ready.
    """
    with new_database(data, template) as database:
        yield from _run_demo(data, url_of(database), options or ("--plain", "--speed", "40"), within)


def _run_demo(data: Path, database_url: str, options: Sequence[str], within: float) -> Iterator[Demo]:
    environment = os.environ | {
        "ENVIRONMENT": "development",
        "SECRET_KEY": "only-for-tests",
        "FERNET_KEYS": "only-for-tests",
        "DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "tests.demo_settings",
        "QUEUE_URL": "",
        "DATABASE_URL": database_url,
        "ALLOWED_HOSTS": "",
    }
    command = [sys.executable, "manage.py", "demo", *options]
    ports = ["--port", str(free_port()), "--sandbox-port", str(free_port())]
    process = subprocess.Popen(
        command + ports, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line)
            if "Ctrl-C" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(within), "".join(lines)
    output = "".join(lines)
    url, password = re.search(r"http://\S+(?=/)", output), re.search(r"Password\s+(\S+)", output)
    assert url and password, output
    with Manager(environment) as manager:
        yield Demo(url[0], password[1], lines, manager)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0, "".join(lines)


@pytest.fixture(scope="package")
def shared_demo(tmp_path_factory: pytest.TempPathFactory, migrated_file: str) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), migrated_file) as demo:
        yield demo


@pytest.fixture(scope="module")
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated_file: str
) -> Iterator[Demo]:
    """The demo of all modules, or one of the module's own. Later tests see what a test creates there, in other modules
    too. So each test creates its objects under names of its own, or restores what it changes.
    """
    if request.path.stem not in APART:
        yield request.getfixturevalue("shared_demo")
        return
    template = "" if request.path.stem == BEGINS_EMPTY else migrated_file
    with running_demo(tmp_path_factory.mktemp("demo"), template) as demo:
        yield demo


@pytest.fixture(scope="package")
def browser(migrated_file: str) -> Iterator[Browser]:
    """A Chromium for all modules here. While Playwright's event loop runs, Django refuses to use the database of the
    tests' own process, so what the demos need of it is made before.
    """
    if CHROMIUM is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="module")
def profile(browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    """A browser that has loaded the panel's styles and scripts before: loading them takes longer than most tests do."""
    context = new_profile(browser, demo)
    yield context
    context.close()


def new_profile(browser: Browser, demo: Demo) -> BrowserContext:
    return browser.new_context(base_url=demo.url, viewport={"width": 1400, "height": 900})


def empty_page(profile: BrowserContext, demo: Demo) -> Page:
    """A page of a browser that has forgotten, and has closed, all but what it has loaded."""
    for page in profile.pages:
        page.close()
    profile.clear_permissions()
    profile.clear_cookies()
    page = profile.new_page()
    session = profile.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": demo.url, "storageTypes": "all"})
    session.detach()
    return page


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a test that failed, or of what it begins with, what its page showed: elsewhere nobody can look at it."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when != "teardown" and report.failed and isinstance(page, Page) and not page.is_closed():
        report.sections.append((f"shown at {page.url}", page.locator("body").inner_text(timeout=5_000)))
    return report


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, demo: Demo) -> Iterator[Page]:
    """A page of a browser that nobody has used; anything that goes wrong in it, and is not shown, fails the test."""
    own = "clock" in request.fixturenames
    profile = new_profile(browser, demo) if own else request.getfixturevalue("profile")
    page = empty_page(profile, demo)
    page.set_default_timeout(15_000)
    troubles: list[str] = []

    def note_response(response: Response) -> None:
        if response.status >= 400:
            troubles.append(f"{response.status} {response.url}")

    page.on("response", note_response)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    if own:
        profile.close()
    assert not troubles


@pytest.fixture
def clock(page: Page) -> None:
    """Let the page's time be put forward. This goes for a whole browser, so the page has one of its own."""
    page.clock.install()


@pytest.fixture
def shoot(page: Page) -> Callable[[str], None]:
    """Keep a picture of the page, wide and light, narrow and dark, when ``SCREENSHOTS`` names a folder for them."""
    folder = os.environ.get("SCREENSHOTS")

    def shoot(name: str) -> None:
        if not folder:
            return
        size = page.viewport_size
        for width, scheme in ((1400, "light"), (390, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark")
            page.wait_for_timeout(300)
            page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=width < 1000)
        page.evaluate("document.documentElement.classList.remove('dark')")
        page.set_viewport_size(size or {"width": 1400, "height": 900})

    return shoot
