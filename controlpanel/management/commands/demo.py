"""``manage.py demo``: the panel with all that belongs to it, on this machine, with a sandbox for a server."""

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from axes.utils import reset
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Server
from controlpanel.demo.clients import FIRST_SERVER, SECOND_SERVER
from controlpanel.demo.mark import LOCK, MARK
from controlpanel.demo.ports import free_port
from controlpanel.demo.reset import end_reset, is_requested
from controlpanel.environment import DATA_DIR, PRODUCTION
from controlpanel.models import SecondFactor
from controlpanel.onboarding.from_file import bot_define, read_file

#: How long a part may take to answer after its start, in seconds.
PATIENCE = 60
#: The sandbox's state, and which database has the clients that belong to it.
STATE, PREPARED = "sandbox.json", "prepared"
Part = subprocess.Popen[bytes]
#: How the web server is called among the parts.
WEB = "the web server"

#: The sample client's second bot: a controller that trades on paper.
MAKER = {
    "name": "Paper Maker",
    "strategy": "pmm_v1",
    "connector": "binance_paper_trade",
    "trading_pair": "BTC-USDT",
    "settings": {"order_amount": 0.01, "buy_spreads": [0.001], "sell_spreads": [0.001]},
}


PLAIN = (
    "  The client “Sharp” is defined but not deployed: open its bot “Sharp Spread” and press Deploy.\n"
    "  Prices walk: its first orders fill within a minute. Deploy “Paper Maker” too.\n"
    "  The dashboard shows their PnL within five minutes.\n"
)
FULL = (
    "  Three clients, two weeks of trades, and a problem of each kind: Home shows what needs attention.\n"
    "  “Reset demo”, above every page, brings all of it back.\n"
)


class Command(BaseCommand):
    help = (
        "Start a sandbox Hummingbot API server, a background worker and the web server, with three clients whose bots "
        "have traded for two weeks, and a problem of each kind. Everything is kept in DATA_DIR and reused at the next "
        "start."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="the panel's port; if it is taken, the next free one"
        )
        parser.add_argument("--sandbox-port", type=int, default=8010)
        parser.add_argument(
            "--plain",
            action="store_true",
            help="begin with one client whose bots are not deployed, and without a past, as the browser tests do",
        )
        parser.add_argument("--speed", type=float, default=1, help="how much faster the sandbox's time passes")

    def handle(self, *args: Any, **options: Any) -> None:
        if PRODUCTION:
            raise CommandError(
                "The demo creates its own users and keys. Set ENVIRONMENT=development, or use ./run demo."
            )
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # not there yet with a DATABASE_URL
        lock = (DATA_DIR / LOCK).open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("A demo is already running. Stop it first: two demos would share its data.") from None
        # Ctrl-C and a polite kill end it alike, also where a shell started it in the background, deaf to Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        end_reset()
        self.sandbox_port, self.speed = free_port(options["sandbox_port"]), options["speed"]
        port = free_port(options["port"])
        os.environ["PANEL_URL"] = f"http://127.0.0.1:{port}"
        parts: dict[str, Part] = {}
        try:
            self._say("Preparing the database ...")
            call_command("migrate", verbosity=0)
            if not options["plain"] and not Server.objects.exists():
                self._prepare()
            if self._is_prepared():
                os.environ[MARK] = str(os.getpid())
            self._say("Starting the sandbox, the worker and the web server ...")
            parts[WEB] = self._start_web(port)
            self._start_background(parts)
            password = self._make_user()
            self._wait_for(parts, f"http://127.0.0.1:{port}/healthz")
            self._say(
                f"\n  The panel      {self.style.SUCCESS(f'http://127.0.0.1:{port}/')}\n"
                f"  User           admin\n  Password       {password}   (created for this run)\n\n"
                f"{FULL if self._is_prepared() else PLAIN}"
                "  Ctrl-C stops everything."
            )
            self._watch(parts)
        except KeyboardInterrupt:
            self._say("\nStopping ...")
        finally:
            _end(parts)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _prepare(self) -> None:
        """Let the clients trade for two weeks, in a process of its own whose clock stands in the past."""
        self._say("Simulating two weeks of trades (about a minute, the first time only) ...")
        part = _manage("prepare_demo", "--state", str(DATA_DIR / STATE))
        try:
            status = part.wait()
        finally:
            _end({"the past": part})
        if status:
            raise CommandError("The demo's clients could not be prepared. See above.")
        (DATA_DIR / PREPARED).write_text(_database())

    def _is_prepared(self) -> bool:
        """Return whether the database has the demo's own clients, and nothing that was there before them."""
        file = DATA_DIR / PREPARED
        return file.exists() and file.read_text() == _database()

    def _reset(self, parts: dict[str, Part]) -> None:
        """Bring everything back to the beginning. The web server stays, and says so; so does who is signed in."""
        self._say("Resetting ...")
        _end({name: parts.pop(name) for name in ("the sandbox", "the worker")})
        password = get_user_model().objects.values_list("password", flat=True).get(username="admin")
        sessions = [*Session.objects.all()]
        call_command("flush", verbosity=0, interactive=False)
        self._prepare()
        get_user_model().objects.filter(username="admin").update(password=password)
        Session.objects.bulk_create(sessions)
        self._start_background(parts)
        end_reset()
        self._say("The demo is back at its beginning.")

    def _start_background(self, parts: dict[str, Part]) -> None:
        """Start what works behind the pages: the sandbox, and the worker that reads it."""
        parts["the sandbox"] = self._start_sandbox()
        url = f"http://127.0.0.1:{self.sandbox_port}"
        if self._is_prepared():
            Server.objects.filter(name=FIRST_SERVER).update(base_url=url)
            # Nothing runs there: this server is down.
            nowhere = f"http://127.0.0.1:{free_port(self.sandbox_port + 1)}"
            Server.objects.filter(name=SECOND_SERVER).update(base_url=nowhere)
        else:
            self._load_sample(url)
        parts["the worker"] = _manage("run_huey")

    def _start_sandbox(self) -> Part:
        part = _manage(
            *("sandbox", "--port", str(self.sandbox_port), "--speed", str(self.speed)),
            *("--state", str(DATA_DIR / STATE)),
            quiet=True,
        )
        self._wait_for({"the sandbox": part}, f"http://127.0.0.1:{self.sandbox_port}/")
        return part

    def _start_web(self, port: int) -> Part:
        return subprocess.Popen(  # noqa: S603 - arguments of our own
            [
                *(sys.executable, "-m", "gunicorn", "controlpanel.wsgi"),
                *("--bind", f"127.0.0.1:{port}", "--threads", "8", "--log-level", "warning"),
            ],
            cwd=settings.BASE_DIR,
            start_new_session=True,
        )

    def _load_sample(self, url: str) -> None:
        servers = Server.objects.all()
        server = servers.filter(base_url=url).first() or servers.filter(name="Sandbox").first()
        if server is None:
            server = Server(name="Sandbox", username="admin", password="admin")  # noqa: S106 - the sandbox's own
        server.base_url = url
        server.full_clean()
        server.save()
        if not server.clients.exists():
            facts = read_file(settings.BASE_DIR / "sample.json")
            for bot in (facts["bot"], MAKER):
                bot_define(facts=facts | {"bot": bot}, server=server)

    def _make_user(self) -> str:
        password = secrets.token_urlsafe(12)
        user, _ = get_user_model().objects.get_or_create(username="admin")
        user.is_staff = user.is_superuser = True
        user.set_password(password)
        user.save()
        # A lockout from a previous run must not last into this one.
        reset(username=user.get_username())
        SecondFactor.objects.filter(user=user).delete()
        return password

    def _wait_for(self, parts: dict[str, Part], url: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            _check_alive(parts)
            try:
                with urlopen(url, timeout=5):  # noqa: S310 - loopback
                    return
            except (URLError, OSError):
                if time.monotonic() > deadline:
                    raise CommandError(f"{url} did not respond within {PATIENCE} s.") from None
                time.sleep(0.1)

    def _watch(self, parts: dict[str, Part]) -> None:
        while True:
            _check_alive(parts)
            if is_requested():
                self._reset(parts)
            time.sleep(0.5)


def _manage(*arguments: str, quiet: bool = False) -> Part:
    # A session of its own: Ctrl-C reaches this command only, which then ends its parts in order.
    return subprocess.Popen(  # noqa: S603 - arguments of our own
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        start_new_session=True,
        env=os.environ | {"LOG_LEVEL": "WARNING"},
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )


def _check_alive(parts: dict[str, Part]) -> None:
    for name, part in parts.items():
        if part.poll() is not None:
            raise CommandError(f"{name[0].upper()}{name[1:]} exited with status {part.returncode}. See above.")


def _end(parts: dict[str, Part]) -> None:
    for name, part in reversed(parts.items()):
        if name == WEB and part.poll() is None:
            os.killpg(part.pid, signal.SIGKILL)  # it has nothing to finish, and takes seconds to end by itself
        else:
            part.terminate()
    deadline = time.monotonic() + 10
    for part in parts.values():
        try:
            part.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            part.kill()


def _database() -> str:
    return str(settings.DATABASES["default"]["NAME"])
