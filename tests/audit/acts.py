"""How each page that writes is used with success: for the walk in ``test_walk.py``.

An act gets a superuser's browser and a world with a row of each model. What it returns is the last answer.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot, OrphanedOrders, Strategy
from bots.reporting.checklist import Checklist
from client_reports.models import ShareLink
from controlpanel.access.invitations import invite
from controlpanel.models import SecondFactor
from json_api.models import Token
from notifications.models import Channel
from operations.models import Operation
from tests.conftest import PLANTED
from tests.controlpanel.access.single_sign_on.provider import running
from tests.controlpanel.access.single_sign_on.test_single_sign_on import of_provider, sign_in
from tests.controlpanel.access.test_invitations import PASSWORD, accept, link_in
from tests.controlpanel.access.test_sign_in import app_code
from tests.controlpanel.conftest import operate_url, prefilled, text_of, url_of

#: What a server reports of a controller.
REPORTED = [{"name": "total_amount_quote", "type": "<class 'decimal.Decimal'>", "default": "100", "required": False}]
World = Mapping[str, Any]
Act = Callable[[Browser, World], Any]

#: What is typed into each model's empty form.
NEW: dict[str, Callable[[World], dict[str, Any]]] = {
    "accounts.server": lambda w: {"name": "New", "base_url": "http://10.0.0.9", "username": "a", "password": "b"},
    "accounts.client": lambda w: {"name": "New", "server": w["server"].pk, "status": "active"},
    "accounts.exchangekey": lambda w: {
        "client": w["client"].pk,
        "connector": "kraken",
        "kraken_api_key": "a-key-of-kraken",
        "kraken_secret_key": "c2VjcmV0LW9mLWtyYWtlbg==",
    },
    "bots.strategy": lambda w: {"name": "new", "kind": "controller", "controller_type": "generic"},
    "bots.bot": lambda w: bot_facts(w, name="New"),
    "markets.obligation": lambda w: {
        "client": w["client"].pk,
        "connector": "bitmart",
        "trading_pair": "NEW-USDT",
        "max_spread_percent": "1",
        "depth_within_percent": "2",
        "uptime_period": "month",
        "alert_after_minutes": "5",
        "active": "on",
    },
    "notifications.channel": lambda w: {"name": "new", "kind": "email", "email_recipient": "a@x.io", "active": "on"},
    "client_reports.subscription": lambda w: {"client": w["other"].pk, "addresses": "a@example.com", "active": "on"},
    "json_api.token": lambda w: {"name": "new", "scopes": ["read"]},
    "json_api.webhook": lambda w: {"name": "new", "address": "https://new.example.com/hook", "active": "on"},
    "auth.group": lambda w: {"name": "New", "permissions": []},
    "auth.user": lambda w: {
        "username": "new",
        "role": Group.objects.get(name="Viewer").pk,
        "password1": PASSWORD,
        "password2": PASSWORD,
    },
}
#: A field of each model's form, with another value.
CHANGED: dict[str, dict[str, Any]] = {
    "accounts.server": {"name": "Renamed"},
    "accounts.client": {"notes": "Calls on Mondays."},
    "accounts.exchangekey": {"expires_on": "2031-01-01"},
    "bots.strategy": {"description": "Another one"},
    "bots.bot": {"trading_pair": "OTHER-USDT"},
    "markets.obligation": {"max_spread_percent": "2"},
    "notifications.channel": {"name": "renamed"},
    "client_reports.subscription": {"addresses": "b@example.com"},
    "json_api.token": {"name": "renamed"},
    "json_api.webhook": {"name": "renamed"},
    "auth.group": {"permissions": []},
    "auth.user": {"first_name": "Ada"},
}


def bot_facts(world: World, **changes: Any) -> dict[str, Any]:
    spread = Strategy.objects.get(name="spread")
    facts = {
        "client": world["client"].pk,
        "name": "Walked",
        "connector": "bitmart",
        "trading_pair": "SHARP-USDT",
        "strategy": spread.pk,
        "image": "hummingbot/hummingbot:latest",
        "headless": "on",
        "restart_policy": "never",
        "max_restarts_per_hour": "3",
    }
    return facts | prefilled(spread, order_amount="1600") | changes


def save(browser: Browser, row: Any, **changes: Any) -> Any:
    """Save the form of a row as a browser does, with these changes."""
    form = browser.get(url_of(row)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return browser.post(url_of(row), {k: v for k, v in values.items() if v not in (None, False)} | changes)


def operate(browser: Browser, row: Any, kind: str) -> Any:
    return browser.post(operate_url(row, kind), {"answered": "yes"})


def at(name: str, *path: str, **facts: Any) -> Act:
    """Post these facts to a page whose address has these rows of the world in it."""

    def act(browser: Browser, world: World) -> Any:
        args = [world[part].pk if part in world else part for part in path]
        return browser.post(reverse(name, args=args), facts)

    return act


def look(name: str, *path: str) -> Act:
    def act(browser: Browser, world: World) -> Any:
        return browser.get(reverse(name, args=[world[part].pk if part in world else part for part in path]))

    return act


def imported(name: str, *lines: str) -> Act:
    def act(browser: Browser, world: World) -> Any:
        def send(**more: str) -> Any:
            file = SimpleUploadedFile("table.csv", "\n".join(lines).encode())
            return browser.post(reverse(f"admin:{name}_import"), {"file": file, **more})

        return send(seal=send().context["result"].seal)

    return act


def finished(page: str, **changes: Any) -> Act:
    """A page of the onboarding."""

    def act(browser: Browser, world: World) -> Any:
        return browser.post(reverse(f"onboard_{page}", args=[world["client"].pk]), changes)

    return act


def joins(browser: Browser, world: World) -> Any:
    root = User.objects.get(username="root")
    role = Group.objects.get(name="Viewer")
    link = browser.post(reverse("admin:auth_user_invite"), {"email": "new@example.com", "role": role.pk})
    assert root.pk
    return accept(link_in(text_of(link)))[1]


def of_invited(act: str) -> Act:
    def do(browser: Browser, world: World) -> Any:
        root = User.objects.get(username="root")
        viewer = Group.objects.get(name="Viewer")
        invitation = invite(email="new@example.com", role=viewer, inviter=root, origin="http://testserver")
        return browser.post(reverse(f"admin:auth_user_{act}", args=[invitation.user_id]))

    return do


def sets_up_second_factor(browser: Browser, world: World) -> Any:
    browser.post(reverse("second_factor"), {"act": "begin"})
    return browser.post(reverse("second_factor"), {"act": "confirm", "code": app_code(SecondFactor.objects.get())})


def tests_own_channel(browser: Browser, world: World) -> Any:
    root = User.objects.get(username="root")
    Channel.objects.create(user=root, kind="email", name="own", recipient="a@example.com")
    return browser.post(reverse("test_my_notifications", args=["email"]))


def retries(browser: Browser, world: World) -> Any:
    Operation.objects.update(state="failed", finished_at=timezone.now())
    return browser.post(url_of(Operation.objects.filter(lock=world["check"].lock).latest("pk"), "retry"))


def retries_batch(browser: Browser, world: World) -> Any:
    Operation.objects.update(state="failed", finished_at=timezone.now())
    batch = world["batch"]
    Operation.objects.filter(pk=Operation.objects.filter(subject_id=world["bot"].pk).latest("pk").pk).update(
        batch=batch
    )
    return browser.post(url_of(batch, "retry"))


def cancels_batch(browser: Browser, world: World) -> Any:
    Operation.objects.filter(pk=world["check"].pk).update(batch=world["batch"])
    return browser.post(url_of(world["batch"], "cancel"))


def restores(browser: Browser, world: World) -> Any:
    User.objects.filter(pk=world["user"].pk).update(is_active=False)
    return browser.post(url_of(world["user"], "restore"))


def withdraws(browser: Browser, world: World) -> Any:
    world["instance"].acknowledge(User.objects.get(username="root"))
    return browser.post(reverse("withdraw_instance_acknowledgement", args=[world["instance"].pk]))


def opens_shared_report(browser: Browser, world: World) -> Any:
    root = User.objects.get(username="root")
    today = timezone.now().date()
    _, token = ShareLink.make(world["client"], today - timedelta(days=2), today, root)
    return Browser().get(reverse("shared_report", args=[token]))


def resolves(browser: Browser, world: World) -> Any:
    orders = world["orphaned"]
    return browser.post(reverse("orders_resolve", args=[orders.pk]), {"version": orders.version})


def updates_strategy(browser: Browser, world: World) -> Any:
    controller = world["controller"]
    controller.settings = REPORTED
    controller.save()
    strategy = Strategy.objects.create(name="pmm", kind="controller", controller_type="generic")
    return browser.post(reverse("admin:bots_strategy_update", args=[strategy.pk, controller.pk]))


def strategy_from_server(browser: Browser, world: World) -> Any:
    controller = world["controller"]
    controller.settings = REPORTED
    controller.save()
    return browser.post(reverse("admin:bots_strategy_from_server"), {"controller": controller.pk})


def signs_in(browser: Browser, world: World) -> Any:
    User.objects.create_superuser("mara", password=PASSWORD)
    return Browser().post(reverse("admin:login"), {"username": "mara", "password": PASSWORD, "code": ""})


def changes_own_password(browser: Browser, world: World) -> Any:
    new = f"another-{PASSWORD}"
    facts = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    return browser.post(reverse("admin:password_change"), facts)


def runs(world: World) -> None:
    now = timezone.now()
    world["deployment"].update(sent_at=now, instance_name="x", observed_state="running", observed_at=now)
    Bot.objects.filter(pk=world["bot"].pk).update(deployment=world["deployment"])
    Operation.objects.update(state="failed", finished_at=now)


def stops_all(browser: Browser, world: World) -> Any:
    runs(world)
    facts = {"name": world["client"].name, "answered": "yes"}
    return browser.post(reverse("act_on_all_bots", args=[world["client"].pk, "stop"]), facts)


def launches(browser: Browser, world: World) -> Any:
    world["stop"].lift(None, "")
    OrphanedOrders.objects.update(resolved_at=timezone.now())
    Operation.objects.update(state="failed", finished_at=timezone.now())
    return browser.post(reverse("onboard_review", args=[world["client"].pk]), {"confirmed": "yes"})


def finishes(browser: Browser, world: World) -> Any:
    with patch.object(Checklist, "next", None):
        return browser.post(reverse("onboard_finish", args=[world["client"].pk]))


def waiting(act: Act) -> Act:
    """Once no operation is active: each client's and each bot's may be only one."""

    def do(browser: Browser, world: World) -> Any:
        Operation.objects.update(state="failed", finished_at=timezone.now())
        return act(browser, world)

    return do


def signs_in_at_provider(browser: Browser, world: World) -> Any:
    User.objects.filter(username="root").update(email="mia@example.com")
    browser.logout()
    with running() as provider, override_settings(**of_provider(provider)):
        return sign_in(provider, browser)[1]


def ends_sessions(browser: Browser, world: World) -> Any:
    Browser().force_login(User.objects.get(username="root"))
    return browser.post(reverse("my_sessions"))


MY_NOTIFICATIONS = {"email_severity": "critical", "email_recipient": "mara@example.com", "time_zone": "UTC"}
INVITED = {"email": "new@example.com"}

#: Each page that writes, but for the forms, deletions, operations and actions of the admin, which are walked by model.
ACTS: dict[str, Act] = {
    "second_factor": sets_up_second_factor,
    "single_sign_on_callback": signs_in_at_provider,
    "my_sessions": ends_sessions,
    "accept_invitation": joins,
    "my_notifications": at("my_notifications", **MY_NOTIFICATIONS, quiet="on", quiet_from="22:00", quiet_to="07:00"),
    "test_my_notifications": tests_own_channel,
    "onboard": lambda b, w: b.post(reverse("onboard"), {"name": "Keen", "server": w["server"].pk}),
    "onboard_client": lambda b, w: finished("client", name="Keen", server=w["server"].pk, account_name="keen")(b, w),
    "onboard_key": lambda b, w: finished("key", **NEW["accounts.exchangekey"](w))(b, w),
    "onboard_test_key": waiting(at("onboard_test_key", "client", "key")),
    "onboard_bot": lambda b, w: finished("bot", **bot_facts(w))(b, w),
    "onboard_market": waiting(finished("market", connector="bitmart", trading_pair="")),
    "onboard_review": launches,
    "onboard_check": waiting(finished("check")),
    "onboard_finish": finishes,
    "orders_resolve": resolves,
    "act_on_all_bots": stops_all,
    "acknowledge_unmanaged_instance": at("acknowledge_unmanaged_instance", "instance"),
    "withdraw_instance_acknowledgement": withdraws,
    "client_report_links": at("client_report_links", "client", days=3),
    "client_report_revoke": at("client_report_revoke", "link"),
    "client_report_json": look("client_report_json", "client"),
    "client_report_xlsx": look("client_report_xlsx", "client"),
    "shared_report": opens_shared_report,
    "login": signs_in,
    "logout": at("admin:logout"),
    "password_change": changes_own_password,
    "operations_batch_retry": retries_batch,
    "operations_batch_cancel": cancels_batch,
    "operations_operation_retry": retries,
    "operations_operation_cancel": at("admin:operations_operation_cancel", "check"),
    "accounts_exchangekey_rotate": at(
        "admin:accounts_exchangekey_rotate", "key", **{name: f"{value}-2" for name, value in PLANTED.items()}
    ),
    "accounts_exchangekey_import": imported(
        "accounts_exchangekey", "client,connector,kraken_api_key,kraken_secret_key", "Own,kraken,a,b"
    ),
    "accounts_client_import": imported("accounts_client", "name,server", "Keen,Own server"),
    "bots_bot_import": imported(
        "bots_bot",
        "client,name,strategy,connector,trading_pair,bid_spread,ask_spread,order_amount",
        "Own,Keen,spread,bitmart,sharp/usdt,0.003,0.004,1600",
    ),
    **{
        f"{name}_export": look(f"admin:{name}_export", "csv")
        for name in ("accounts_exchangekey", "accounts_client", "bots_bot", "markets_trade", "audit_auditevent")
    },
    "markets_bot_trades_export": look("admin:markets_bot_trades_export", "bot", "csv"),
    "bots_strategy_from_server": strategy_from_server,
    "bots_strategy_update": updates_strategy,
    "bots_emergencystop_start": at("admin:bots_emergencystop_start", reason="Key leaked"),
    "bots_emergencystop_lift": at("admin:bots_emergencystop_lift", "stop"),
    "notifications_incident_acknowledge": at("admin:notifications_incident_acknowledge", "incident"),
    "json_api_token_revoke": at("admin:json_api_token_revoke", "token"),
    "json_api_webhook_renew": at("admin:json_api_webhook_renew", "webhook"),
    "auth_user_suspend": at("admin:auth_user_suspend", "user"),
    "auth_user_restore": restores,
    "auth_user_sign-out": at("admin:auth_user_sign-out", "user"),
    "auth_user_invite": lambda b, w: at("admin:auth_user_invite", **INVITED, role=Group.objects.get(name="Viewer").pk)(
        b, w
    ),
    "auth_user_resend": of_invited("resend"),
    "auth_user_revoke": of_invited("revoke"),
    "auth_user_password_change": at("admin:auth_user_password_change", "user", password1=PASSWORD, password2=PASSWORD),
}

#: What each action of a list needs to find something to do.
BEFORE_ACTION: dict[str, Callable[[World], Any]] = {
    "revoke_tokens": lambda w: Token.objects.update(user=w["user"]),
    "remove_second_factor": lambda w: SecondFactor.objects.create(user=w["user"], confirmed=True),
    "send_again": lambda w: type(w["delivery"]).objects.update(state="failed"),
    "retry_selected": lambda w: Operation.objects.update(state="failed"),
    "delete_selected": lambda w: None,
}
