"""Every address of the project, walked by every role: found by the resolver, so that a new one is included."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.db.models import Model
from django.test import Client as Browser
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from accounts.models import Server
from audit.models import AuditEvent
from bots.models import EmergencyStop, StopScope, Strategy
from client_reports.models import ShareLink, Subscription
from controlpanel.access.roles import ROLES, WHO_MAY
from json_api.models import Scope, Token, Webhook, WebhookDelivery
from markets.models import Trade
from notifications.kinds import IncidentKind
from notifications.models import Channel, Incident
from operations import kinds
from operations.batches import batch_request
from operations.models import Operation, WorkerHeartbeat
from tests.controlpanel.conftest import make_world, operate_url, text_of, url_of

#: The bell answers with nothing, so that a page whose session has ended keeps what is typed into it.
PUBLIC = {"/", "/healthz", "/readyz", "/admin/login/", "/admin/whats-new/bell/"}

#: What acts for the visitor alone, and would end the walk.
OWN_AFFAIRS = {"/admin/logout/", "/admin/login/", "/admin/password_change/", "/admin/second-factor/"}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")

#: What a page of the admin takes the permission for.
VERBS = {"changelist": "view", "change": "view", "history": "view", "add": "add", "delete": "delete"}

#: Models whose rows belong to no client.
OF_NOBODY = {Strategy, User, Group}

#: The values of the parameters that name no row.
SAMPLES = {
    "action": "stop",
    "connector": "bitmart",
    "name": "spread",
    "code": "wrong_password",
    "file_type": "csv",
    "kind": "stop",
    "uidb64": "MQ",
    "mistyped": "MQ",
}


@dataclass(frozen=True)
class Address:
    url: str
    page: str  # the name of the pattern
    row: Model | None = None
    kind: str = ""


def routes(resolver: Any, prefix: str = "/") -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        else:
            yield route, pattern.name or ""


def addresses(world: dict[str, Model]) -> Iterator[Address]:
    """Each address with each object of the world that it can be about."""
    for route, page in routes(get_resolver()):
        for row, values in fillings(route, world):
            url = PARAMETER.sub(lambda match, values=values: str(values[match[1] or match[2]]), route)
            yield Address(re.sub(r"[\^$]|\\Z", "", url), page, row, str(values.get("kind", "")))


def fillings(route: str, world: dict[str, Model]) -> Iterator[tuple[Model | None, dict[str, Any]]]:
    names = {match[1] or match[2] for match in PARAMETER.finditer(route)}
    model = model_of(route)
    match sorted(names):
        case []:
            yield None, {}
        case ["app_label"]:
            yield from ((None, {"app_label": label}) for label in {m._meta.app_label for m in admin.site._registry})
        case ["url"]:
            yield None, {"url": "leads/nowhere"}
        case ["content_type_id", "object_id"]:
            for row in world.values():
                yield row, {"content_type_id": ContentType.objects.get_for_model(row).pk, "object_id": row.pk}
        case ["kind", "object_id"] if model:
            for row in rows_of(model, world):
                for kind in admin.site._registry[model].operation_kinds:  # type: ignore[attr-defined]
                    yield row, {"object_id": row.pk, "kind": kind}
        case ["object_id"] | ["pk"] | ["id"] if model:
            for row in rows_of(model, world):
                yield row, {"object_id": row.pk, "pk": row.pk, "id": row.pk}
        case _:
            rows = {name: world[key] for name in names if (key := re.sub("_(id|pk)$", "", name)) in world}
            if model and "pk" in names:
                rows["pk"] = rows_of(model, world)[0]
            if unknown := names - set(rows) - set(SAMPLES):
                pytest.fail(
                    f"{route} was added: say in SAMPLES what {', '.join(unknown)} may be, so that it is walked."
                )
            yield next(iter(rows.values()), None), SAMPLES | {name: row.pk for name, row in rows.items()}


def model_of(route: str) -> type[Model] | None:
    """Whose pages begin like this."""
    models = (m for m in admin.site._registry if route.startswith(f"/admin/{m._meta.app_label}/{m._meta.model_name}/"))
    return next(models, None)


def rows_of(model: type[Model], world: dict[str, Model]) -> list[Model]:
    rows = [row for row in world.values() if type(row) is model]
    if not rows:
        pytest.fail(f"{model._meta.label} has pages of its own: add one to “make_world”, so that they are walked.")
    return rows


def expected(letter: str, address: Address, *, visible: bool) -> set[int]:
    """Return how the address answers a GET of a role."""

    def may(permission: str) -> bool:
        return letter in WHO_MAY.get(permission, "").split()

    model = model_of(address.url)
    if model is None:
        return {200, 302, 401, 403, 404, 405}
    name = f"{model._meta.app_label}_{model._meta.model_name}_"
    page = address.page.removeprefix(name)
    label, model_name = model._meta.app_label, model._meta.model_name
    if page in VERBS:
        allowed = may(f"{label}.{VERBS[page]}_{model_name}")
        if not visible:
            return {302, 403, 404}
        return {200} if allowed else {403}
    if page == "operate":
        allowed = may(f"{label}.view_{model_name}") and may(kinds.get(address.kind).permission)
        return ({200} if allowed else {403}) if visible else {404}
    if page in {"import", "template"}:
        return {200} if may(f"{label}.add_{model_name}") or may(f"{label}.change_{model_name}") else {403}
    if page == "password_change":
        return {200} if may("auth.change_user") else {403}
    if page in {"retry", "cancel"}:
        return {405}
    if page == "live":
        return {200} if visible else {404}
    return {200, 302, 403, 404, 405} if visible else {302, 403, 404, 405}


def owner_of(row: Any) -> User | None:
    """Whose alone it is, whatever else others may see."""
    if isinstance(row, WebhookDelivery):
        return row.webhook.user
    return row.user if isinstance(row, Token | Webhook) else None


@pytest.fixture(autouse=True)
def a_worker_is_there(db) -> None:
    """Or else ``/readyz`` answers that it is not."""
    WorkerHeartbeat.objects.create(worker="w", last_seen_at=timezone.now())


@pytest.fixture
def users(make_user) -> dict[str, User]:
    """One of each role, by its letter."""
    made = {letter: make_user(f"walker-{letter.lower()}", set()) for letter in ROLES}
    for letter, name in ROLES.items():
        made[letter].groups.add(Group.objects.get(name=name))
    return made


def complete(world: dict[str, Model]) -> dict[str, Model]:
    """Add the token of a tool, and what belongs to no client and has pages anyway."""
    custom, _ = Strategy.objects.get_or_create(name="custom", kind="controller", controller_type="generic")
    colleague, _ = User.objects.get_or_create(username="somebody")
    client: Any = world["client"]
    token: Any = Token(user=client.account_manager, name=f"{client} tool", scopes=[str(scope) for scope in Scope])
    token.secret = token.renew()
    token.save()
    server: Any = world["server"]
    incident = Incident.objects.create(
        kind=IncidentKind.BOT_CRASHED,
        subject=world["bot"],
        subject_label=str(world["bot"]),
        client=client,
        server=server,
        sentence=f"{client} bot has crashed.",
        seen_at=timezone.now(),
        opened_at=timezone.now(),
    )
    reported = {
        "incident": incident,
        "channel": Channel.objects.create(name=f"{client} channel", kind="webhook", client=client),
        "controller": server.controllers.create(controller_type="generic", name="pmm", read_at=timezone.now()),
    }
    webhook = Webhook(user=client.account_manager, name=f"{client} hook", address=f"https://{client}.example.com/hook")
    webhook.renew_secret()
    webhook.save()
    delivery = webhook.deliveries.create(
        event_id="evt_1", type="bot.state_changed", about=f"{client} bot", occurred_at=timezone.now(), body="{}"
    )
    tools = {"webhook": webhook, "delivery": delivery, "token": token, "batch": batch_of(client, world["bot"])}
    instance = server.unmanaged_instances.create(
        name=f"hummingbot-{client}-20261122-105939", first_seen_at=timezone.now(), last_seen_at=timezone.now()
    )
    Server.objects.filter(pk=server.pk).update(instances=[instance.name], instances_at=timezone.now())
    reported["instance"] = instance
    reported["orphaned"] = world["deployment"].orphaned_orders.create(reason=f"{client} may have orders open.")
    reported |= market_rows(client, world["deployment"])
    reported["stop"], _ = EmergencyStop.objects.declare(
        scope=StopScope.CLIENT, client=client, requested_by=client.account_manager, reason=f"{client} wants it."
    )
    nobodys = {"strategy": custom, "user": colleague, "group": Group.objects.get(name="Viewer")}
    return world | reported | nobodys | tools | {"operation": world["deploy"]}


def batch_of(client: Any, bot: Any) -> Model:
    """A batch that the client's account manager requested, and that could not be started."""
    return batch_request(
        kind="apply_settings", subjects=[bot], requested_by=client.account_manager, reason=f"{client} has changed."
    )


def market_rows(client: Any, deployment: Any) -> dict[str, Model]:
    trade = Trade.objects.create(
        client=client,
        deployment=deployment,
        bot_number=deployment.bot_id,
        bot_name=f"{client} bot",
        connector="bitmart",
        trading_pair="SHARP-USDT",
        exchange_trade_id="1",
        side="BUY",
        price=1,
        amount=1,
        traded_at=timezone.now(),
    )
    obligation = client.obligations.create(connector="bitmart", trading_pair="SHARP-USDT", max_spread_percent=1)
    subscription = Subscription.objects.create(client=client, addresses=f"{client}@example.com")
    link, _ = ShareLink.make(client, timezone.now().date(), timezone.now().date(), client.account_manager)
    event = AuditEvent.objects.create(actor=str(client.account_manager), verb="changed", client=client, door="pages")
    return {"trade": trade, "obligation": obligation, "subscription": subscription, "link": link, "event": event}


def act_before_the_handover(user: User, world: dict[str, Model]) -> AuditEvent:
    """What the user requested for a client that was the user's then, under the name that it had. It failed since."""
    operation: Any = world["deploy"]
    Operation.objects.filter(pk=operation.pk).update(state="failed", error_message=f"{world['client']} has no key.")
    facts = {"user": user, "actor": str(user), "verb": "deploy", "door": "pages", "subject_label": "What it was called"}
    facts |= {"client": world["client"], "client_label": "Its name before", "subject_id": str(operation.subject_id)}
    facts |= {"subject_type": ContentType.objects.get_for_model(world["bot"]), "outcome": "requested"}
    return AuditEvent.objects.create(operation=operation, **facts)


@pytest.fixture
def own(users) -> dict[str, Model]:
    return complete(make_world("Own", users["M"]))


@pytest.fixture
def foreign(users) -> dict[str, Model]:
    return complete(make_world("Foreign", users["O"]))


def stored() -> str:
    """Every row that has pages, and what is known of users; not when a token was last used, and not the trail, which
    notes that lists were exported.
    """
    models = (model for model in admin.site._registry if model not in {Token, AuditEvent})
    rows = [row for model in models for row in model._default_manager.order_by("pk")]
    return serializers.serialize("json", rows)


def test_no_page_opens_without_signing_in(own):
    browser = Browser()
    before = stored()
    for address in addresses(own):
        for method in ("get", "post"):
            answer = getattr(browser, method)(address.url)
            if address.url in PUBLIC:
                assert answer.status_code in {200, 204, 302, 405}, address
            else:
                assert answer.status_code in {302, 401, 403, 404, 405}, address
            assert "own bot" not in text_of(answer).lower(), address
    assert stored() == before


@pytest.mark.full("every form from another site: for an administrator in a shorter run")
def test_no_form_of_another_site_does_anything(own):
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("root"))
    before = stored()
    for address in addresses(own):
        answer = browser.post(address.url, {"answered": "yes", "post": "yes", "name": "Stolen"})
        assert answer.status_code in {401, 403, 404, 405}, address
    assert stored() == before


#: What is closed to the others is closed to viewers too, and what is open to administrators is opened by other walks.
OTHERS = pytest.mark.full("each page with each role: with a viewer and an account manager in a shorter run")


# Account managers have a walk of their own, below: through what is theirs and what is not.
@pytest.mark.parametrize(
    "letter",
    [pytest.param(letter, marks=() if letter == "V" else OTHERS) for letter in ROLES if letter != "M"],
    ids=ROLES.get,
)
def test_each_role_opens_what_is_its_own_and_nothing_else(letter, users, own, browse):
    browser = browse(users[letter])
    for address in addresses(own):
        if address.url not in OWN_AFFAIRS:
            answer = browser.get(address.url)
            visible = owner_of(address.row) in {None, users[letter]}
            assert answer.status_code in expected(letter, address, visible=visible), address


@pytest.mark.full("every address as an account manager: own pages and guessed ones in a shorter run")
def test_an_account_manager_meets_nothing_of_other_clients_anywhere(users, own, foreign, browse):
    browser = browse(users["M"])
    own |= {"act": act_before_the_handover(users["M"], foreign)}
    before = stored()
    for world in (own, foreign):
        for address in addresses(world):
            if address.url in OWN_AFFAIRS:
                continue
            visible = world is own or address.row is None or type(address.row) in OF_NOBODY
            answer = browser.get(address.url)
            assert answer.status_code in expected("M", address, visible=visible), address
            page = text_of(answer)
            assert "foreign" not in page.lower(), address
            assert f"…{foreign['key'].hint}" not in page, address  # type: ignore[attr-defined]
            if not visible:
                answer = browser.post(address.url, {"answered": "yes", "post": "yes", "name": "Stolen"})
                assert answer.status_code in {302, 401, 403, 404, 405}, address
                assert "foreign" not in text_of(answer).lower(), address
    assert stored() == before


def test_the_token_of_an_account_manager_meets_nothing_of_other_clients_either(own, foreign):
    tool = Browser(headers={"Authorization": f"Bearer {own['token'].secret}"})  # type: ignore[attr-defined]
    before, opened = stored(), 0
    for world in (own, foreign):
        for address in addresses(world):
            if address.url.startswith("/admin/"):
                continue
            answers = [tool.get(address.url)]
            if world is foreign and address.row is not None:
                answers.append(tool.post(address.url, {}, content_type="application/json"))
                assert {answer.status_code for answer in answers} <= {403, 404, 405, 422}, address
            opened += answers[0].status_code == 200
            assert not any("foreign" in text_of(answer).lower() for answer in answers), address
    assert opened > 10
    assert stored() == before


@pytest.mark.full("every form as a viewer: what each role may open in a shorter run")
def test_a_user_with_view_permission_changes_nothing_with_any_form(users, own, browse):
    browser = browse(users["V"])
    Operation.objects.update(state="failed")
    before = stored()
    for address in addresses(own):
        if address.url not in OWN_AFFAIRS:
            answer = browser.post(address.url, {"answered": "yes", "post": "yes", "name": "Stolen"})
            assert answer.status_code in {200, 302, 401, 403, 404, 405}, address
    assert stored() == before


def test_a_user_with_view_permission_causes_no_server_requests(users, own, browse):
    browser, bot = browse(users["V"]), own["bot"]
    Operation.objects.update(state="failed")
    asked_for = Operation.objects.count()
    page = text_of(browser.get(url_of(bot)))
    for kind in ("check_bot", "refresh"):
        assert browser.post(operate_url(bot, kind), {"answered": "yes"}).status_code == 403
        assert operate_url(bot, kind) not in page
    assert Operation.objects.count() == asked_for
