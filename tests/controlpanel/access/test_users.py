"""Users: no one can get or give more permissions than they have."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client as Browser
from django.urls import reverse

from controlpanel.access.roles import WHO_MAY
from controlpanel.admin import NewUserForm
from tests.controlpanel.access.test_roles import a_worker_is_there, users
from tests.controlpanel.conftest import BOT, text_of


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


def test_a_user_with_view_permission_reads_what_a_role_allows(panel):
    page = panel.get(reverse("admin:auth_group_change", args=[Group.objects.get(name="Viewer").pk]))
    assert "<li>Can view bot</li>" in page.content.decode()
