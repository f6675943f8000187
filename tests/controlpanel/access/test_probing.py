"""The address of a list filters it. Letter by letter, that would read columns and rows that the list doesn't show."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.urls import reverse

from accounts.admin.servers import FILTERED_BY_ALL
from accounts.models import Client, Server
from operations.models import State
from tests.conftest import stored_key, valid_client
from tests.controlpanel.conftest import make_world, text_of

SERVERS = "/admin/accounts/server/"


@pytest.fixture
def manager(make_user, browse, server):
    """An account manager whose client shares a server with another manager's."""
    user = make_user("mia")
    own, foreign = valid_client("Own", server), valid_client("Foreign", server)
    own.account_manager, foreign.account_manager = user, User.objects.create(username="other")
    own.save()
    foreign.save()
    Server.objects.update(account_names=["own", "foreign"], instances=["hummingbot-foreign-1"])
    return browse(user)


@pytest.mark.parametrize("field", [field.name for field in Server._meta.concrete_fields])
def test_of_a_server_that_is_shared_no_hidden_column_can_be_guessed(field, manager):
    statuses = {manager.get(SERVERS, {f"{field}{how}": "foreign"}).status_code for how in ("", "__icontains", "__gt")}
    assert field in FILTERED_BY_ALL or statuses == {400}


@pytest.mark.parametrize("unread", [{"foreign"}, {"own", "foreign"}], ids=["the other's", "both"])
def test_what_was_found_on_a_shared_server_names_no_other_managers_client(unread, manager, perform, sandbox):
    for client in Client.objects.all():
        stored_key(client)
        assert perform("push_profile", client).state == State.SUCCEEDED
    sandbox.world.unreadable = {client.account_name for client in Client.objects.all() if str(client).lower() in unread}
    check = perform("check_server", Server.objects.get())
    assert "has no portfolio" in check.summary + check.error_message
    seen = [manager.get(address) for address in (check.get_absolute_url(), check.subject.get_absolute_url(), "/admin/")]
    seen.append(manager.get("/admin/operations/operation/"))
    assert {answer.status_code for answer in seen} == {200}
    # The sidebar and the sandbox's own list have neither.
    assert [text_of(answer) for answer in seen if "client_foreign" in text_of(answer)] == []


def test_what_everybody_sees_of_a_server_filters_for_everybody(manager, admin_client):
    assert "Sandbox" in text_of(manager.get(SERVERS, {"name__icontains": "sand"}))
    assert "Sandbox" not in text_of(manager.get(SERVERS, {"name__icontains": "other"}))
    assert admin_client.get(SERVERS, {"account_names__icontains": "own"}).status_code == 200


def relations_elsewhere() -> list[tuple[type[models.Model], str]]:
    """Every relation from and to a model with a list, but those that a row has in a column, and the list's filters."""
    return [
        (model, relation.name)
        for model, page in admin.site._registry.items()
        for relation in [*page.opts.related_objects, *page.opts.many_to_many]
        if relation.name not in page.list_filter
    ]


@pytest.mark.parametrize(("model", "relation"), relations_elsewhere(), ids=str)
def test_no_list_says_whether_a_row_of_another_table_leads_to_it(model, relation, rf, make_user):
    request = rf.get("/")
    request.user = make_user("mia")
    page = admin.site._registry[model]
    lookups = ("", "__pk", "__id__gt", "__gte", "__in", "__isnull")
    assert not any(page.lookup_allowed(f"{relation}{how}", "1", request) for how in lookups)


def test_an_administrator_can_not_spell_out_the_key_of_a_session(browse, make_user, admin_client, admin_user):
    boss = make_user("boss")
    boss.groups.add(Group.objects.get(name="Administrator"))
    browser, asked = browse(boss), {"id": str(admin_user.pk)}
    assert admin_user.signed_in_sessions.exists()
    assert "admin" in text_of(browser.get("/admin/auth/user/", asked))
    for how in ("", "__gte", "__in", "__lt", "__startswith", "__pk__gte", "__session__gte", "__session_key__gte"):
        answer = browser.get("/admin/auth/user/", asked | {f"signed_in_sessions{how}": "m"})
        assert answer.status_code == 400, how


@pytest.mark.django_db
def test_no_number_of_a_row_leads_to_its_page(make_user, browse, admin_client):
    """By Django's own address for that, which asks nobody whose the row is."""
    world = make_world("Foreign", User.objects.create(username="other"))
    for browser in (browse(make_user("mia")), admin_client):
        for row in world.values():
            kind = ContentType.objects.get_for_model(row).pk
            assert browser.get(f"/admin/r/{kind}/{row.pk}/").status_code == 404
            assert browser.get(reverse("admin:view_on_site", args=[kind, row.pk])).status_code == 404
