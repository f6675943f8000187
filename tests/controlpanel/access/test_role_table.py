"""The table of roles, and what a database has of it."""

# ruff: noqa: F401 - fixtures are imported, and then named as parameters

from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from controlpanel.access.roles import ROLES, WHO_MAY, roles_update
from controlpanel.models import RoleGrant
from operations import kinds
from tests.controlpanel.access.test_roles import a_worker_is_there


def permissions_of(name: str) -> set[str]:
    permissions = Permission.objects.filter(group__name=name).select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


def test_the_table_decides_on_every_permission_that_means_something(db):
    models = {*admin.site._registry, RoleGrant}  # whose permission is for the page of the system
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


def test_a_group_with_a_roles_name_by_chance_gains_no_permissions(db):
    RoleGrant.objects.all().delete()
    Group.objects.all().delete()
    member = User.objects.create_user("member", is_staff=True)
    member.groups.add(Group.objects.create(name="Operator"))
    roles_update()
    assert [group.name for group in member.groups.all()] == ["Operator (before roles)"]
    assert not User.objects.get(pk=member.pk).get_all_permissions()


def test_what_reaches_others_keys_or_the_panel_itself_is_for_administrators_alone():
    """By hand: every other test takes the table's word."""
    alone = {permission for permission, letters in WHO_MAY.items() if letters == "A"}
    assert alone == {
        *(f"bots.{verb}_strategy" for verb in ("add", "change", "delete")),
        "bots.write_script",
        "accounts.delete_client",
        "accounts.delete_server",
        *(f"auth.{verb}_user" for verb in ("view", "add", "change")),
        "auth.view_group",
        "controlpanel.view_system",
    }
    nobody = {permission for permission, letters in WHO_MAY.items() if not letters}
    assert nobody == {"auth.delete_user", "auth.add_group", "auth.change_group", "auth.delete_group"}


def test_a_viewer_changes_nothing_but_own_tokens():
    may = {permission for permission, letters in WHO_MAY.items() if "V" in letters.split()}
    beyond = {permission for permission in may if not permission.partition(".")[2].startswith("view_")}
    assert beyond == {f"json_api.{verb}_token" for verb in ("add", "change", "delete")}
