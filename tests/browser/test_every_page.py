"""Every page that links lead to: no error, no blocked resource, nothing cut off, accessible to everyone.

The pages are found by following links from the start page, so a new page is included as soon as one links to it; the
admin's addresses show whether any is without a link. Pictures of all of them, in both widths and both themes:
``SCREENSHOTS_ALL=/tmp/pictures ./run test --full tests/browser/test_every_page.py``.
"""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.conftest import Demo
from tests.browser.steps import click_through, sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.full("each page in a browser: without one, each is opened with each role"),
]

#: Width and theme.
VARIANTS = [(1400, "light"), (1400, "dark"), (390, "dark"), (390, "light")]
#: Those that axe checks. What the others have in neither of them is the wide menu in the dark and the narrow one in the
#: light, which every page has alike: they are checked on the first one.
BY_AXE = [VARIANTS[0], VARIANTS[2]]
FIRST = "index"
#: Pages that are checked for two objects: they differ with the object's state.
LOOKED_AT_TWICE = {
    "bots_bot_now",
    "bots_bot_change",
    "bots_bot_logs",
    "bots_bot_performance",
    "bots_bot_runs",
    "bots_strategy_change",
    "client",
    "client_keys",
    "operations_operation_change",
}
#: Pages without a link: where the browser is redirected, and histories of objects that no one edits.
UNLINKED = {
    "onboard_launch",
    "login",
    "password_change_done",
    "operations_operation_history",
    "notifications_incident_history",
    "operations_batch_history",
    "bots_emergencystop_history",
}
#: Pages that are the answer to a list's form: what is chosen in which list, for all of its rows.
ASKED_OF_LISTS = {
    "bots/bot": ("delete_selected", "deploy", "stop", "bulk_edit"),
    "accounts/client": ("delete_selected", "push_profile"),
    "accounts/exchangekey": ("delete_selected",),
}
#: What there is to see besides the demo's own client and bots: a day of each list, chart and log.
WORLD = """
from datetime import timedelta
from decimal import Decimal
from math import sin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from accounts.models import Balance, Client, CredentialsProfile, Server
from accounts.balances.portfolio import read_balances
from bots.monitoring.poll import poll_server
from bots.models import Bot, LogKind, LogLine, PerformanceSample, StopScope
from bots.operations.emergency import emergency_stop
from client_reports.models import Subscription
from controlpanel.access.invitations import invite
from hummingbot_api.results import Fill
from json_api.models import Token, Webhook, WebhookDelivery
from markets.models import Obligation, QuoteSample
from markets.reading.poll import read_markets
from markets.reading.trades import record_fills
from notifications.kinds import IncidentKind
from notifications.models import Channel, ChannelKind, Delivery, Event, Incident
from notifications.sending.outbox import DeliveryState
from operations.batches import batch_request
from operations.models import Operation

server, _ = Server.objects.get_or_create(
    name="Out of reach", defaults={"base_url": "http://127.0.0.1:9", "username": "admin", "password": "x"}
)
Client.objects.get_or_create(name="Fresh", defaults={"server": server})
now = timezone.now()
incident, _ = Incident.objects.get_or_create(
    kind=IncidentKind.SERVER_DOWN, subject_type=ContentType.objects.get_for_model(Server), subject_id=server.pk,
    resolved_at=None, defaults={
        "server": server, "subject_label": str(server), "seen_at": now, "opened_at": now, "code": "unreachable",
        "sentence": "The server does not answer.", "remedy": "Start it.",
    },
)
Channel.objects.get_or_create(name="Desk", kind=ChannelKind.EMAIL, recipient="desk@example.com")
sharp = Bot.objects.get(name="Walked").client
deployment = Bot.objects.get(name="Walked").deployment
record_fills(deployment, [
    Fill(
        exchange_trade_id=str(number), connector="bitmart", trading_pair="SHARP-USDT", side=("BUY", "SELL")[number % 2],
        price=Decimal("0.0125") + number % 3 * Decimal("0.0001"), amount=Decimal(1600), fees={"USDT": Decimal("0.05")},
        filled_at=now - timedelta(minutes=20 * number),
    )
    for number in range(1, 40)
])
for number in range(120):
    moment = now - timedelta(minutes=10 * number + 1)
    seconds = 100_000 - 600 * number
    QuoteSample.objects.create(
        deployment=deployment, taken_at=moment, run_started_at=now - timedelta(seconds=100_000),
        mid_price=Decimal("0.0125"), running=seconds, connected=seconds, quoting=0.9 * seconds, spread=0.6 * seconds,
        bid_depth={"0.5": 20 * seconds, "1": 40 * seconds, "2": 40 * seconds},
        ask_depth={"0.5": 20 * seconds, "1": 30 * seconds, "2": 30 * seconds},
    )
obligation = Obligation.objects.create(
    client=sharp, connector="bitmart", trading_pair="SHARP-USDT", max_spread_percent=1, min_depth_quote=30,
    min_uptime_percent=95, broken_since=now - timedelta(minutes=20), judged_until=now,
    reason="Both sides were quoted 40% of the time.",
)
for days in range(9):
    obligation.days.create(day=now.date() - timedelta(days=days), met=80000 - 2000 * days, broken=2000 * days)
read_markets(deployment.server)
Subscription.objects.create(client=sharp, addresses="reports@example.com")
user, _ = User.objects.get_or_create(username="walker", defaults={"is_staff": True})
user.groups.add(Group.objects.get(name="Account manager"))
token = Token(name="curl", user=user, scopes=["read"])
token.renew()
token.save()

maker = Bot.objects.get(name="Paper Maker").deployment
with maker.server.api() as api:
    api.bots.deploy_controllers(**maker.order() | {"instance_name": "hummingbot-somebody-elses"})
poll_server(maker.server)
hours = [now - timedelta(hours=hour) for hour in range(24)]
PerformanceSample.objects.bulk_create(
    PerformanceSample(
        deployment=maker, controller_id=maker.config_name, taken_at=moment, volume_quote=200 * (24 - hour),
        realized_pnl_quote=3 * sin(hour / 3), unrealized_pnl_quote=1.5, global_pnl_quote=3 * sin(hour / 3) + 1.5,
    )
    for hour, moment in enumerate(hours)
)
profile = CredentialsProfile.objects.get()
Balance.objects.bulk_create(
    Balance(profile=profile, taken_at=moment.replace(second=0, microsecond=0), value=1000 + 40 * sin(hour / 4))
    for hour, moment in enumerate(hours[1:])
)
read_balances(profile.server)
LINES = [
    ("INFO", "hummingbot.strategy", "(SHARP-USDT) Creating 1 bid orders at ['0.01246 USDT, 1600 SHARP']"),
    ("WARNING", "hummingbot.connector", "Order book data is stale. Waiting for the next snapshot."),
    ("ERROR", "hummingbot.client", "Unexpected error.\\nTraceback (most recent call last):\\n  File \\"bitmart.py\\""
     "\\n    raise IOError(answer)\\nOSError: Error executing request POST /spot/v2/submit_order. HTTP status is 400."),
]
LogLine.objects.bulk_create(
    LogLine(
        deployment=maker, kind=LogKind.ERROR if level == "ERROR" else LogKind.GENERAL, level=level, logger=logger,
        message=message, logged_at=moment, digest=f"{level}{hour}",
    )
    for hour, moment in enumerate(hours[:8])
    for level, logger, message in LINES
)
Delivery.objects.get_or_create(
    incident=incident, channel=Channel.objects.get(name="Desk"), event=Event.OPENED,
    defaults={"state": DeliveryState.SENT, "attempts": 1, "sent_at": now},
)
admin = User.objects.get(username="admin")
Channel.objects.create(user=admin, name="own", kind=ChannelKind.EMAIL, recipient="admin@example.com", severity="info")
invite(email="new@example.com", role=Group.objects.get(name="Viewer"), inviter=admin, origin="https://panel.example.com")
webhook = Webhook(user=admin, name="billing", address="https://billing.example.com/hook", active=False)
webhook.renew_secret()
webhook.save()
WebhookDelivery.objects.create(
    webhook=webhook, event_id="operation.1.succeeded", type="operation.succeeded", about="Deploy Sharp · Walked",
    occurred_at=now, body="{}", state=DeliveryState.FAILED, attempts=8, error_code="webhook_refused",
    last_error="The address answered 500.",
)
again = batch_request(kind="archive", subjects=Bot.objects.filter(deployment=None), requested_by=admin)
batch = batch_request(kind="check_bot", subjects=Bot.objects.all(), requested_by=admin)
Operation.objects.filter(pk=batch.operations.first().pk).update(
    state="failed", error_code="tunnel_offline", error_message="No tunnel.", error_remedy="Start it.", finished_at=now,
)
stop = emergency_stop(
    scope=StopScope.CLIENT, client=Client.objects.get(name="Fresh"), requested_by=admin, reason="Key leaked"
)
stop.bots.add(*Bot.objects.all())
"""
BOT = {
    "name": "Walked",
    "account": "client_sharp",
    "connector": "bitmart",
    "pair": "SHARP/USDT",
    "strategy": "spread",
    "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
}


@pytest.fixture
def world(demo: Demo, tmp_path: Path) -> None:
    """A bot that runs, a server that is down, and one of all that can be entered."""
    (tmp_path / "bot.json").write_text(json.dumps(BOT))
    demo.manage("bot", "create", "--file", str(tmp_path / "bot.json"))
    demo.manage("bot", "deploy", "Paper Maker")
    demo.manage("server", "check", "Sandbox")
    demo.manage("shell", "--no-imports", "-c", WORLD)
    with pytest.raises(subprocess.CalledProcessError):
        demo.manage("server", "check", "Out of reach")


class Walk:
    """Goes from page to page and records what is wrong with each, in every variant."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self.lists: dict[str, str] = {}
        self.folder = os.environ.get("SCREENSHOTS_ALL")

    def everywhere(self, start: str) -> None:
        """To all that links lead to, beginning at ``start``; of each kind of page to some."""
        led_here = {start: ""}
        waiting = [start]
        while waiting:
            path = waiting.pop(0)
            if (name := page_name(path)) is None or self.seen[name] > (name in LOOKED_AT_TWICE):
                continue
            self.seen[name] += 1
            if name.endswith("_changelist"):
                self.lists[name] = path
            response = self.page.goto(path)
            if response is None or not response.ok:
                self.wrong.append(f"{path}, linked from {led_here[path]}, answers {response and response.status}")
                continue
            self.look_at(name if self.seen[name] == 1 else f"{name}-{self.seen[name]}")
            links = self.page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
            here = self.page.url.partition("/admin/")[0]
            found = {urlsplit(link).path for link in links if link.startswith(here)} - set(led_here)
            led_here |= dict.fromkeys(found, path)
            waiting += sorted(found)

    def look_at(self, name: str, *, examined: bool = True) -> None:
        """What is on the page now, in each width and theme; ``examined`` by axe too."""
        self.page.wait_for_load_state()
        if examined:
            self.page.evaluate(Axe().axe_script)
        by_axe = VARIANTS if name == FIRST else BY_AXE
        # A color on its way from one theme to the other is neither's.
        self.page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
        for width, theme in VARIANTS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
            variant = f"{name} at {width} px, {theme}"
            try:
                # A chart follows the window's width a moment later.
                fits = "width => document.documentElement.scrollWidth <= width"
                self.page.wait_for_function(fits, arg=width, timeout=5_000)
            except PlaywrightTimeoutError:
                wide = self.page.evaluate("document.documentElement.scrollWidth")
                self.wrong.append(f"{variant}: is {wide} px wide")
            if self.folder:
                # A bar at the window's lower edge belongs below all of the page.
                high = self.page.evaluate("document.documentElement.scrollHeight")
                self.page.set_viewport_size({"width": width, "height": max(900, high)})
                self.page.screenshot(path=Path(self.folder) / f"{name}-{width}-{theme}.png")
            if not examined or (width, theme) not in by_axe:
                continue
            # Loading all styles again takes a quarter of the time, for rules on sound, video and orientation alone.
            found = self.page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
            for violation in found["violations"]:
                places = " ".join(node["html"][:160] for node in violation["nodes"])
                self.wrong.append(f"{variant}: {violation['id']} ({violation['impact']}): {places}")
        self.page.set_viewport_size({"width": 1400, "height": 900})


def page_name(path: str) -> str | None:
    """Return the kind of page: its address's name and parameters. None for a page outside of the admin."""
    try:
        match = resolve(path)
    except Resolver404:
        return None
    # What ends like a file is one to keep, not a page.
    if not path.startswith("/admin/") or "." in path or match.url_name in {None, "logout", "jsi18n"}:
        return None
    return "-".join([str(match.url_name), *([match.kwargs["kind"]] if "kind" in match.kwargs else [])])


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, str]]:
    """The name of every address under ``patterns``, and its path with 1 for whatever object it is about."""
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        elif pattern.name:
            yield pattern.name, re.sub("<[^>]*>", "1", path)


def is_page(page: Page, path: str) -> bool:
    answer = page.request.get(f"/{path}", max_redirects=0)
    return answer.ok and "<!DOCTYPE html>" in answer.text()


@pytest.mark.usefixtures("world")
def test_every_page_works_fits_and_can_be_read_by_everybody(page: Page, demo: Demo) -> None:
    walk = Walk(page)
    page.goto("/admin/login/")
    walk.look_at("login")
    sign_in(page, demo)
    walk.everywhere("/admin/")

    for number, (name, path) in enumerate(walk.lists.items()):
        page.goto(f"{path}?q=nothing-is-called-so")
        walk.look_at(f"{name}-empty", examined=number == 0)
    for model, actions in ASKED_OF_LISTS.items():
        for action in actions:
            page.goto(f"/admin/{model}/")
            page.evaluate(
                """action => {
                    document.querySelectorAll("[name=_selected_action]").forEach(box => box.checked = true);
                    document.querySelector("[name=action]").value = action;
                }""",
                action,
            )
            with page.expect_navigation():
                page.evaluate("document.querySelector('#changelist-form').requestSubmit()")
            walk.look_at(f"{model.replace('/', '_')}_asked-{action}")
    page.goto("/admin/json_api/token/add/")
    page.locator("[name=name]").fill("Walked")
    click_through(page, page.get_by_role("button", name="Save", exact=True))
    walk.look_at("json_api_token_made")
    reached = UNLINKED | {name.partition("-")[0] for name in walk.seen}
    unlinked = [
        path
        for name, path in addresses(get_resolver().url_patterns)
        if path.startswith("admin/") and name not in reached and is_page(page, path)
    ]
    assert not walk.wrong, "\n".join(walk.wrong)
    assert not unlinked
