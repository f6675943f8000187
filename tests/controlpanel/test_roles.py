"""Every address of the project, walked by every role: found by the resolver, so that a new one is walked by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.management import call_command
from django.db.models import Model
from django.test import Client as Browser
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.models import Server
from bots.models import Strategy
from controlpanel.access.roles import ROLES, WHO_MAY, roles_update
from controlpanel.admin import NewUserForm
from controlpanel.models import RoleGrant
from json_api.models import Scope, Token, Webhook, WebhookDelivery
from notifications.models import Channel, Incident, IncidentKind
from operations import kinds
from operations.models import Operation, WorkerHeartbeat
from tests.controlpanel.conftest import BOT, make_world, operate_url, text_of, url_of

PUBLIC = {"/", "/healthz", "/readyz", "/admin/login/"}
#: What acts for the visitor alone, and would end the walk.
OWN_AFFAIRS = {"/admin/logout/", "/admin/login/", "/admin/password_change/", "/admin/second-factor/"}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")
#: What a page of the admin takes the permission for.
VERBS = {"changelist": "view", "change": "view", "history": "view", "add": "add", "delete": "delete"}
#: Models whose rows belong to no client.
OF_NOBODY = {Strategy, User, Group}
#: What stands for the parameters that name no row.
SAMPLES = {"action": "stop", "connector": "bitmart", "name": "spread", "code": "wrong_password", "file_type": "csv"}


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
    """How the address answers a role that is asked to look at it."""

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
    """With the token of a tool, and what belongs to no client and has pages all the same."""
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
    tools = {"webhook": webhook, "delivery": delivery, "token": token}
    instance = server.unmanaged_instances.create(
        name=f"hummingbot-{client}-20261122-105939", first_seen_at=timezone.now(), last_seen_at=timezone.now()
    )
    Server.objects.filter(pk=server.pk).update(instances=[instance.name], instances_at=timezone.now())
    reported["instance"] = instance
    reported["orphaned"] = world["deployment"].orphaned_orders.create(reason=f"{client} may have orders open.")
    nobodys = {"strategy": custom, "user": colleague, "group": Group.objects.get(name="Viewer")}
    return world | reported | nobodys | tools | {"operation": world["deploy"]}


@pytest.fixture
def own(users) -> dict[str, Model]:
    return complete(make_world("Own", users["M"]))


@pytest.fixture
def foreign(users) -> dict[str, Model]:
    return complete(make_world("Foreign", users["O"]))


def stored() -> str:
    """Every row that has pages, and what is known of users; not when a token was last used."""
    models = (model for model in admin.site._registry if model is not Token)
    rows = [row for model in models for row in model._default_manager.order_by("pk")]
    return serializers.serialize("json", rows)


def test_nobody_gets_in_without_signing_in(own):
    browser = Browser()
    before = stored()
    for address in addresses(own):
        for method in ("get", "post"):
            answer = getattr(browser, method)(address.url)
            if address.url in PUBLIC:
                assert answer.status_code in {200, 302, 405}, address
            else:
                assert answer.status_code in {302, 401, 403, 404, 405}, address
            assert "own bot" not in text_of(answer).lower(), address
    assert stored() == before


@pytest.mark.parametrize("letter", ROLES, ids=ROLES.get)
def test_each_role_opens_what_is_its_own_and_nothing_else(letter, users, own, browse):
    browser = browse(users[letter])
    for address in addresses(own):
        if address.url not in OWN_AFFAIRS:
            answer = browser.get(address.url)
            visible = owner_of(address.row) in {None, users[letter]}
            assert answer.status_code in expected(letter, address, visible=visible), address


def test_an_account_manager_meets_nothing_of_other_clients_anywhere(users, own, foreign, browse):
    browser = browse(users["M"])
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


def test_who_may_only_look_changes_nothing_wherever_a_form_is_sent(users, own, browse):
    browser = browse(users["V"])
    Operation.objects.update(state="failed")
    before = stored()
    for address in addresses(own):
        if address.url not in OWN_AFFAIRS:
            answer = browser.post(address.url, {"answered": "yes", "post": "yes", "name": "Stolen"})
            assert answer.status_code in {200, 302, 401, 403, 404, 405}, address
    assert stored() == before


def test_who_may_only_look_has_no_server_asked(users, own, browse):
    browser, bot = browse(users["V"]), own["bot"]
    Operation.objects.update(state="failed")
    asked_for = Operation.objects.count()
    page = text_of(browser.get(url_of(bot)))
    for kind in ("check_bot", "refresh"):
        assert browser.post(operate_url(bot, kind), {"answered": "yes"}).status_code == 403
        assert operate_url(bot, kind) not in page
    assert Operation.objects.count() == asked_for


# --- the table ---


def permissions_of(name: str) -> set[str]:
    permissions = Permission.objects.filter(group__name=name).select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


def test_the_table_decides_on_every_permission_that_means_something(db):
    models = admin.site._registry
    known = {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in Permission.objects.select_related("content_type")
        if permission.content_type.model_class() in models
    }
    # What no page does is not in the table: only the panel writes these rows.
    written_by_the_panel = {
        f"{label}.{verb}_{model}"
        for label, model in (
            ("bots", "deployment"),
            ("operations", "operation"),
            ("notifications", "incident"),
            ("json_api", "webhookdelivery"),
        )
        for verb in ("add", "change", "delete")
    }
    assert set(WHO_MAY) == known - written_by_the_panel


def test_what_a_button_takes_is_in_the_table():
    for name, _ in kinds.choices():
        kind = kinds.get(name)
        assert {kind.permission, *kind.option_permissions.values()} <= set(WHO_MAY), name


def test_a_fresh_database_has_the_roles_as_the_table_says(db):
    for letter, name in ROLES.items():
        assert permissions_of(name) == {label for label, letters in WHO_MAY.items() if letter in letters.split()}


def test_what_was_added_to_a_role_or_taken_from_it_by_hand_stays_so(db):
    viewer = Group.objects.get(name="Viewer")
    viewer.permissions.add(Permission.objects.get(codename="stop_bot"))
    viewer.permissions.remove(Permission.objects.get(codename="view_exchangekey"))
    by_hand = permissions_of("Viewer")
    call_command("migrate", verbosity=0)
    assert permissions_of("Viewer") == by_hand


def test_what_a_release_adds_is_given_to_the_roles_that_it_is_for(db, monkeypatch):
    """As if “stop” had come with this release, and the host had taken another permission away."""
    RoleGrant.objects.filter(permission="bots.stop_bot").delete()
    stop, start = (Permission.objects.get(codename=name) for name in ("stop_bot", "start_bot"))
    for group in Group.objects.all():
        group.permissions.remove(stop, start)
    roles_update()
    assert {group.name for group in stop.group_set.all()} == {"Administrator", "Operator", "Account manager"}
    assert not start.group_set.exists()


def test_nobody_in_a_group_that_has_a_roles_name_by_chance_gains_anything(db):
    RoleGrant.objects.all().delete()
    Group.objects.all().delete()
    member = User.objects.create_user("member", is_staff=True)
    member.groups.add(Group.objects.create(name="Operator"))
    roles_update()
    assert [group.name for group in member.groups.all()] == ["Operator (before roles)"]
    assert not User.objects.get(pk=member.pk).get_all_permissions()


# --- users: nobody gets or gives more than they have ---


@pytest.fixture
def administrator(users) -> User:
    return users["A"]


@pytest.fixture
def panel(administrator, browse) -> Browser:
    return browse(administrator)


def user_page(user: User, page: str = "change") -> str:
    return reverse(f"admin:auth_user_{page}", args=[user.pk])


def facts_of(user: User, **changes: Any) -> dict[str, Any]:
    facts = {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "groups": [group.pk for group in user.groups.all()],
    }
    return facts | changes


def test_a_new_user_has_a_role_and_is_let_in(panel, browse):
    page = reverse("admin:auth_user_add")
    password = {"password1": "a long enough word", "password2": "a long enough word"}
    refused = panel.post(page, {"username": "mia", **password})
    assert refused.context["adminform"].form.errors["role"] == ["This field is required."]
    role = Group.objects.get(name="Account manager")
    assert panel.post(page, {"username": "mia", "role": role.pk, **password}).status_code == 302
    mia = User.objects.get(username="mia")
    assert ([*mia.groups.all()], mia.is_staff, mia.is_superuser) == ([role], True, False)
    assert browse(mia).get(reverse(f"{BOT}_changelist")).status_code == 200
    users = text_of(panel.get(reverse("admin:auth_user_changelist")))
    assert "Account manager" in users and "Two-factor" in users and "Last login" in users


def test_which_roles_one_may_give_is_not_left_behind_for_another_request(admin_client, panel):
    admin_client.get(reverse("admin:auth_user_add"))
    assert not NewUserForm.base_fields["role"].queryset.exists()


def test_an_administrator_makes_nobody_a_superuser_and_gives_no_permission_by_hand(panel, administrator, users):
    for user in (administrator, users["V"]):
        page = text_of(panel.get(user_page(user)))
        assert "is_superuser" not in page and "user_permissions" not in page
        every = [permission.pk for permission in Permission.objects.all()]
        posted = facts_of(user, is_superuser="on", user_permissions=every, first_name="Changed")
        assert panel.post(user_page(user), posted).status_code == 302
        user.refresh_from_db()
        assert (user.first_name, user.is_superuser, user.user_permissions.count()) == ("Changed", False, 0)


def test_an_administrator_gives_no_group_that_may_more_than_they_may(panel, administrator):
    mighty = Group.objects.create(name="Mighty")
    mighty.permissions.add(Permission.objects.get(codename="change_group"))
    assert "Mighty" not in text_of(panel.get(user_page(administrator)))
    posted = facts_of(administrator, groups=[*facts_of(administrator)["groups"], mighty.pk])
    refused = panel.post(user_page(administrator), posted)
    assert "Select a valid choice" in str(refused.context["adminform"].form.errors["groups"])
    password = {"password1": "a long enough word", "password2": "a long enough word"}
    refused = panel.post(reverse("admin:auth_user_add"), {"username": "mia", "role": mighty.pk, **password})
    assert "Select a valid choice" in str(refused.context["adminform"].form.errors["role"])


@pytest.mark.parametrize("active", [True, False], ids=["active", "disabled"])
@pytest.mark.parametrize("how", ["superuser", "by hand", "by group"])
def test_nobody_changes_somebody_who_may_more(how, active, panel, make_user):
    mighty = make_user("mighty", {"auth.change_group"} if how == "by hand" else set())
    if how == "by group":
        group = Group.objects.create(name="Mighty")
        group.permissions.add(Permission.objects.get(codename="change_group"))
        mighty.groups.add(group)
    mighty.is_superuser, mighty.is_active = how == "superuser", active
    mighty.set_password("unchanged")
    mighty.save()
    before = User.objects.values().get(pk=mighty.pk)
    page = panel.get(user_page(mighty))
    assert page.status_code == 200
    assert mighty.password.rpartition("$")[2][:6] not in text_of(page)
    password = {"password1": "a long enough word", "password2": "a long enough word"}
    assert panel.post(user_page(mighty), facts_of(mighty, username="taken")).status_code == 403
    assert panel.post(user_page(mighty, "password_change"), password).status_code == 403
    users = reverse("admin:auth_user_changelist")
    for action in ("remove_second_factor", "unlock", "revoke_tokens"):
        answer = panel.post(users, {"action": action, "_selected_action": [mighty.pk]}, follow=True)
        assert "has more permissions than you" in text_of(answer)
    assert User.objects.values().get(pk=mighty.pk) == before


def test_an_administrator_changes_no_group(panel):
    group = Group.objects.get(name="Administrator")
    page = reverse("admin:auth_group_change", args=[group.pk])
    assert panel.post(page, {"name": "Administrator", "permissions": []}).status_code == 403


def test_a_role_keeps_its_name(admin_client):
    group = Group.objects.get(name="Viewer")
    page = reverse("admin:auth_group_change", args=[group.pk])
    assert admin_client.post(page, {"name": "Renamed", "permissions": []}).status_code == 302
    group.refresh_from_db()
    assert (group.name, group.permissions.count()) == ("Viewer", 0)
    assert admin_client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403


def test_a_group_is_offered_what_means_something_here_and_keeps_the_rest(admin_client, db):
    group = Group.objects.create(name="Team")
    foreign = Permission.objects.get(codename="add_session")
    group.permissions.add(foreign)
    page = reverse("admin:auth_group_change", args=[group.pk])
    offered = set(admin_client.get(page).context["adminform"].form.fields["permissions"].queryset)
    assert {f"{p.content_type.app_label}.{p.codename}" for p in offered - {foreign}} == set(WHO_MAY)
    stop = Permission.objects.get(codename="stop_bot")
    admin_client.post(page, {"name": "Team", "permissions": [foreign.pk, stop.pk]})
    assert set(group.permissions.all()) == {foreign, stop}


def test_who_may_only_look_at_a_role_reads_what_it_allows(panel):
    page = panel.get(reverse("admin:auth_group_change", args=[Group.objects.get(name="Viewer").pk]))
    assert "<li>Can view bot</li>" in page.content.decode()
