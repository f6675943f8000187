"""Users: no one can get or give more permissions than they have."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from client_reports.models import ShareLink
from controlpanel.access.roles import CAPABILITIES, DESCRIPTIONS, ROLES, WHO_MAY, role_table
from controlpanel.access.sessions import live_sessions
from controlpanel.admin.users import NewUserForm
from tests.controlpanel.access.test_roles import a_worker_is_there, users
from tests.controlpanel.conftest import BOT, MANAGER_PERMISSIONS, make_world, text_of


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


def test_which_roles_one_may_grant_does_not_leak_into_another_request(admin_client, panel):
    admin_client.get(reverse("admin:auth_user_add"))
    assert not NewUserForm.base_fields["role"].queryset.exists()


def test_an_administrator_grants_neither_superuser_nor_single_permissions(panel, administrator, users):
    for user in (administrator, users["V"]):
        page = text_of(panel.get(user_page(user)))
        assert "is_superuser" not in page and "user_permissions" not in page
        every = [permission.pk for permission in Permission.objects.all()]
        posted = facts_of(user, is_superuser="on", user_permissions=every, first_name="Changed")
        assert panel.post(user_page(user), posted).status_code == 302
        user.refresh_from_db()
        assert (user.first_name, user.is_superuser, user.user_permissions.count()) == ("Changed", False, 0)


def test_an_administrator_changes_no_own_roles(panel, administrator):
    """Not even to others with the same permissions: some roles may require a second factor, and some may not."""
    twin = Group.objects.create(name="Twin")
    twin.permissions.set(administrator.groups.get().permissions.all())
    page = text_of(panel.get(user_page(administrator)))
    assert "changed by another administrator only" in page and 'name="groups"' not in page
    for groups in ([twin.pk], [*facts_of(administrator)["groups"], twin.pk], []):
        posted = facts_of(administrator, groups=groups, first_name="Changed")
        assert panel.post(user_page(administrator), posted).status_code == 302
        administrator.refresh_from_db()
        assert administrator.first_name == "Changed"
        assert [group.name for group in administrator.groups.all()] == ["Administrator"]


@pytest.mark.parametrize("granted", ["add", "change", "delete"])
def test_what_a_group_may_is_changed_by_superusers_alone(granted, browse, make_user, admin_client):
    """Also where somebody was given the permission for it by hand: it would be all permissions."""
    viewer = Group.objects.get(name="Viewer")
    own = Group.objects.create(name="Our own")
    mia = browse(make_user("mia", {f"auth.{granted}_group", "auth.view_group"}))
    every = {"name": "Any", "permissions": [permission.pk for permission in Permission.objects.all()]}
    pages = [
        reverse("admin:auth_group_add"),
        *(
            reverse(f"admin:auth_group_{act}", args=[group.pk])
            for act in ("change", "delete")
            for group in (viewer, own)
        ),
    ]
    before = list(Group.objects.order_by("pk").values("name", "permissions"))
    for page in pages:
        assert mia.post(page, every | {"post": "yes"}).status_code == 403, page
    assert list(Group.objects.order_by("pk").values("name", "permissions")) == before
    assert admin_client.post(reverse("admin:auth_group_delete", args=[own.pk]), {"post": "yes"}).status_code == 302


def test_an_administrator_gives_no_group_that_may_more_than_they_may(panel, users):
    mighty = Group.objects.create(name="Mighty")
    mighty.permissions.add(Permission.objects.get(codename="change_group"))
    user = users["V"]
    assert "Mighty" not in text_of(panel.get(user_page(user)))
    refused = panel.post(user_page(user), facts_of(user, groups=[*facts_of(user)["groups"], mighty.pk]))
    assert "Select a valid choice" in str(refused.context["adminform"].form.errors["groups"])
    password = {"password1": "a long enough word", "password2": "a long enough word"}
    refused = panel.post(reverse("admin:auth_user_add"), {"username": "mia", "role": mighty.pk, **password})
    assert "Select a valid choice" in str(refused.context["adminform"].form.errors["role"])


@pytest.mark.parametrize("active", [True, False], ids=["active", "disabled"])
@pytest.mark.parametrize("how", ["superuser", "by hand", "by group"])
def test_no_user_changes_one_with_more_permissions(how, active, panel, make_user):
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
        assert "has permissions or clients that you don't have" in text_of(answer)
    assert User.objects.values().get(pk=mighty.pk) == before


def test_no_user_takes_over_one_with_clients_that_are_not_their_own(make_user, browse, client_sharp):
    """What an account manager has besides permissions."""
    other = make_user("other")
    client_sharp.account_manager = other
    client_sharp.save()
    lead = make_user("lead", {*MANAGER_PERMISSIONS, "auth.view_user", "auth.change_user"})
    password = {"password1": "a long enough word", "password2": "a long enough word"}
    page = user_page(other, "password_change")
    assert browse(lead).post(page, password).status_code == 403
    client_sharp.account_manager = lead
    client_sharp.save()
    assert browse(lead).post(page, password).status_code == 302


def test_a_role_that_was_taken_away_is_not_given_back_by_a_page_that_was_open(panel, admin_client, users):
    viewer, page = users["V"], user_page(users["V"])
    (opened,) = re.findall(r'name="opened_with" value="([^"]+)"', text_of(panel.get(page)))
    operator = Group.objects.get(name="Operator")
    assert admin_client.post(page, facts_of(viewer, groups=[operator.pk])).status_code == 302
    late = panel.post(page, facts_of(viewer, first_name="Vera", groups=[], opened_with=opened))
    assert "changed meanwhile" in text_of(late)
    assert [*viewer.groups.all()] == [operator]


# --- suspending, signing out, deleting ---


def test_a_suspended_user_is_signed_out_and_can_be_restored(panel, users, browse):
    operator = users["O"]
    inside = browse(operator)
    assert panel.post(user_page(operator, "suspend")).status_code == 302
    assert inside.get(reverse("admin:index")).status_code == 302 and not live_sessions(operator)
    assert "suspended" in text_of(panel.get(user_page(operator)))
    panel.post(user_page(operator, "restore"))
    operator.refresh_from_db()
    assert operator.is_active
    words = LogEntry.objects.filter(object_id=operator.pk).values_list("change_message", flat=True)
    assert [*words.order_by("pk")] == ["Suspended.", "Restored."]


def test_who_suspends_a_user_is_led_to_the_links_to_reports_that_the_user_made(panel, administrator, users):
    manager, today = users["M"], timezone.now().date()
    sharp, blunt, gone = (make_world(name, manager)["client"] for name in ("Sharp", "Blunt", "Gone"))
    for client in (sharp, sharp, gone):
        ShareLink.make(client, today, today, manager)
    ShareLink.make(blunt, today, today, administrator)
    ShareLink.objects.filter(client=gone).update(revoked_at=timezone.now())
    page = text_of(panel.post(user_page(manager, "suspend"), follow=True))
    named = f'<a class="panel-link" href="{reverse("client_report_links", args=[sharp.pk])}">Sharp</a>'
    assert f"Links to reports that {manager} made still work, until they expire or are revoked: {named}." in page


@pytest.mark.parametrize("ends", ["revoked_at", "expires_at"])
def test_who_suspends_a_user_without_such_links_reads_of_none(panel, users, ends):
    link, _ = ShareLink.make(make_world("Sharp", users["M"])["client"], timezone.now(), timezone.now(), users["M"])
    ShareLink.objects.filter(pk=link.pk).update(**{ends: timezone.now()})
    page = text_of(panel.post(user_page(users["M"], "suspend"), follow=True))
    assert "is suspended" in page and "Links to reports" not in page


def test_restoring_who_was_not_suspended_does_nothing(panel, users, browse):
    inside = browse(users["O"])
    assert panel.post(user_page(users["O"], "restore")).status_code == 302
    assert inside.get(reverse("admin:index")).status_code == 200


def test_nobody_suspends_themselves(panel, administrator):
    assert "Suspend" not in buttons(panel.get(user_page(administrator)))
    panel.post(user_page(administrator, "suspend"))
    administrator.refresh_from_db()
    assert administrator.is_active


def test_signing_out_everywhere_ends_all_sessions_but_ones_own(panel, administrator, users, browse):
    tablet, phone, other = browse(users["O"]), browse(users["O"]), browse(administrator)
    assert facts(panel.get(user_page(users["O"])))["Active sessions"] == "2"
    panel.post(user_page(users["O"], "sign-out"))
    assert {browser.get(reverse("admin:index")).status_code for browser in (tablet, phone)} == {302}
    panel.post(user_page(administrator, "sign-out"))
    assert other.get(reverse("admin:index")).status_code == 302
    assert panel.get(reverse("admin:index")).status_code == 200


@pytest.mark.parametrize("act", ["suspend", "restore", "sign-out"])
@pytest.mark.parametrize("letter", ["O", "M", "V"])
def test_only_administrators_act_on_users(act, letter, users, browse):
    assert browse(users[letter]).post(user_page(users["A"], act)).status_code == 403


def test_an_administrator_does_not_act_on_a_superuser(panel, admin_user):
    for act in ("suspend", "restore", "sign-out"):
        assert panel.post(user_page(admin_user, act)).status_code == 403
    admin_user.refresh_from_db()
    assert admin_user.is_active


def test_a_user_with_a_history_is_never_deleted_not_even_by_a_superuser(admin_client, users, browse):
    new, known = users["V"], users["O"]
    User.objects.filter(pk=known.pk).update(last_login=timezone.now())
    assert admin_client.post(user_page(known, "delete"), {"post": "yes"}).status_code == 403
    assert "Delete" not in buttons(admin_client.get(user_page(known)))
    marked = {"action": "delete_selected", "_selected_action": [known.pk], "post": "yes"}
    admin_client.post(reverse("admin:auth_user_changelist"), marked)
    assert User.objects.filter(pk=known.pk).exists()
    assert admin_client.post(user_page(new, "delete"), {"post": "yes"}).status_code == 302


# --- the page ---


def test_a_users_page_begins_with_who_they_are_and_hides_permissions(admin_client, users):
    User.objects.filter(pk=users["O"].pk).update(first_name="Olivia", last_name="Reed", email="olivia@example.com")
    page = admin_client.get(user_page(users["O"]))
    assert facts(page) | {"Added": ""} == {
        "E-mail": "olivia@example.com",
        "Role": "Operator",
        "Last sign-in": "never",
        "Two-factor authentication": "off",
        "Active sessions": "0",
        "Active API tokens": "0",
        "Added": "",
    }
    folded = re.search(r"<details>\s*<summary>.*?</summary>(.*?)</details>", text_of(page), re.S)[1]  # type: ignore[index]
    assert "user_permissions" in folded and "is_superuser" in folded
    assert 'name="is_active"' not in text_of(page)


def test_errors_in_a_password_stand_at_the_password(panel, administrator):
    role = Group.objects.get(name="Viewer").pk
    short = {"password1": "short", "password2": "short"}
    new = panel.post(reverse("admin:auth_user_add"), {"username": "mia", "role": role, **short})
    assert list(new.context["adminform"].form.errors) == ["password1"]
    other = User.objects.create_user("max", is_staff=True)
    others = panel.post(user_page(other, "password_change"), short)
    assert list(others.context["form"].errors) == ["password1"]
    administrator.set_password("the old one, long enough")
    administrator.save()
    panel.force_login(administrator)
    own = {"old_password": "the old one, long enough", "new_password1": "short", "new_password2": "short"}
    assert list(panel.post(reverse("admin:password_change"), own).context["form"].errors) == ["new_password1"]


@pytest.mark.parametrize("action", ["unlock", "remove_second_factor", "revoke_tokens"])
def test_an_action_on_a_user_with_more_permissions_is_refused_and_in_the_trail(panel, administrator, action):
    chief = User.objects.create_superuser("chief")
    panel.post(reverse("admin:auth_user_changelist"), {"action": action, "_selected_action": [chief.pk]})
    event = AuditEvent.objects.get(verb="was refused")
    assert (event.user, event.subject_label, event.outcome) == (administrator, "chief", "failed")


def facts(response: Any) -> dict[str, str]:
    """Return what the page says of the user, by its label."""
    rows = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text_of(response), re.S)
    return {label: re.sub(r"<[^>]*>", "", value).strip() for label, value in rows}


def buttons(response: Any) -> str:
    """Return the buttons and links of the page's content, as text."""
    main = text_of(response).partition("<main")[2]
    return " ".join(re.findall(r"<(?:button|a)\b[^>]*>(.*?)</(?:button|a)>", main, re.S))


# --- roles ---


def answers(capability: str) -> dict[str, str]:
    table = role_table()
    names = [group.name for group, _ in table.roles]
    return dict(zip(names, dict(table.rows)[capability], strict=True))


def test_the_list_of_roles_answers_what_each_may_do(panel):
    page = text_of(panel.get(reverse("admin:auth_group_changelist")))
    assert answers("Deploy, stop and archive bots") == {
        "Administrator": "yes",
        "Operator": "yes",
        "Account manager": "own clients",
        "Viewer": "no",
    }
    assert "Deploy, stop and archive bots" in page and "own clients" in page
    for description in DESCRIPTIONS.values():
        assert description.may in page and description.may_not in page
    assert reverse("admin:auth_group_changelist") in text_of(
        panel.get(user_page(User.objects.get(username="walker-v")))
    )


def test_the_table_of_roles_follows_what_was_changed_by_hand(db):
    Group.objects.get(name="Viewer").permissions.add(Permission.objects.get(codename="deploy_bot"))
    Group.objects.create(name="Night desk")
    may = answers("Deploy, stop and archive bots")
    assert (may["Viewer"], may["Night desk"]) == ("yes", "no")


def test_every_role_is_described_by_permissions_that_exist():
    assert set(DESCRIPTIONS) == set(ROLES.values())
    assert {permission for _, permission, _ in CAPABILITIES} <= set(WHO_MAY)


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


def test_a_user_with_view_permission_reads_what_a_role_allows(panel):
    page = panel.get(reverse("admin:auth_group_change", args=[Group.objects.get(name="Viewer").pk]))
    assert "<li>Can view bot</li>" in page.content.decode()
