"""Who may call the JSON API: tokens, their scopes, their users' permissions, addresses and limits."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from controlpanel.models import SecondFactor
from json_api.api import api
from json_api.models import Scope, Token

pytestmark = pytest.mark.django_db


def test_nothing_is_answered_without_a_token(client):
    response = client.get("/bots")

    assert (response.status_code, response.json()["code"]) == (401, "token_missing")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer hbp_made-up"}])
@pytest.mark.parametrize(("method", "path"), [("POST", "/bots/create"), ("PATCH", "/bots/1"), ("POST", "/bots/1/stop")])
def test_the_body_of_an_unauthenticated_request_is_not_read(method, path, headers, monkeypatch):
    def body(request):
        pytest.fail("It may come as slowly as the caller likes.")

    monkeypatch.setattr(HttpRequest, "body", property(body))
    answer = HttpClient().generic(method, path, b"{}", content_type="application/json", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "Authorization"])
def test_a_token_in_an_address_is_none(name, tool, client):
    secret = tool.headers["Authorization"].removeprefix("Bearer ")
    assert client.get("/bots", {name: secret}).status_code == 401


def test_a_session_of_the_admin_is_no_token(admin_client):
    assert admin_client.get("/bots").status_code == 401


@pytest.mark.parametrize(
    "facts",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
    ids=["revoked", "expired"],
)
def test_a_token_that_has_ended_is_refused(make_tool, facts):
    assert make_tool(**facts).get("/bots").status_code == 401


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_a_token_ends_with_its_user(tool, change):
    get_user_model().objects.update(**change)

    assert tool.get("/bots").status_code == 401


def test_where_a_second_factor_is_required_a_token_of_a_user_without_one_is_refused(tool, settings):
    settings.REQUIRE_SECOND_FACTOR = True
    factor = SecondFactor.objects.create(user=get_user_model().objects.get())
    refused = tool.get("/bots")  # no first code has confirmed it
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_missing")
    SecondFactor.objects.filter(pk=factor.pk).update(confirmed=True)
    assert tool.get("/bots").status_code == 200


def test_a_token_does_what_its_scopes_say(make_tool, bot):
    reader = make_tool(scopes=[Scope.READ])

    assert reader.get("/bots").status_code == 200
    refused = reader.post(f"/bots/{bot.pk}/deploy")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_a_token_is_limited_to_what_its_user_may(make_tool, bot):
    nobody = get_user_model().objects.create_user("nobody", is_staff=True)

    refused = make_tool(nobody).get("/bots")

    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")


def test_a_token_loses_what_its_user_loses(make_tool, make_manager, bot):
    manager = make_manager(bot.client)
    tool = make_tool(manager)
    assert tool.get(f"/bots/{bot.pk}").status_code == 200

    manager.groups.set([Group.objects.get(name="Viewer")])

    refused = tool.post(f"/bots/{bot.pk}/stop")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")
    manager.groups.clear()
    assert tool.get(f"/bots/{bot.pk}").json()["code"] == "permission_missing"


def test_a_new_password_ends_the_users_sessions_and_names_the_tokens_that_stay(
    make_tool, make_manager, bot, admin_client
):
    manager = make_manager(bot.client)
    tool, browser = make_tool(manager), HttpClient()
    browser.force_login(manager)
    word = "a long enough word"

    page = admin_client.post(
        reverse("admin:auth_user_password_change", args=[manager.pk]),
        {"password1": word, "password2": word},
        follow=True,
    )

    assert "API tokens: 1 still work" in page.content.decode()
    assert browser.get("/admin/").status_code == 302
    assert tool.get("/bots").status_code == 200


def test_an_administrator_revokes_every_token_of_one_user_only(make_tool, make_manager, bot, admin_client):
    manager = make_manager(bot.client)
    tools, others = [make_tool(manager), make_tool(manager)], make_tool()

    users = reverse("admin:auth_user_changelist")
    for output in ("API tokens (2)", "has no active API tokens"):
        page = admin_client.post(users, {"action": "revoke_tokens", "_selected_action": [manager.pk]}, follow=True)
        assert output in page.content.decode()

    assert [tool.get("/bots").status_code for tool in (*tools, others)] == [401, 401, 200]
    history = admin_client.get(reverse("admin:auth_user_history", args=[manager.pk]))
    assert "Revoked API tokens: 2" in history.content.decode()


@pytest.mark.parametrize(("networks", "status"), [("127.0.0.1", 200), ("10.0.0.0/8\n127.0.0.0/8", 200), ("::1", 403)])
def test_a_token_works_from_its_allowed_addresses_only(make_tool, networks, status):
    assert make_tool(allowed_networks=networks).get("/bots").status_code == status


def test_a_forged_header_does_not_change_the_callers_address(make_tool):
    tool = make_tool(allowed_networks="203.0.113.7")

    assert tool.get("/bots", X_Forwarded_For="203.0.113.7").status_code == 403


def test_a_request_that_bypassed_a_proxy_cannot_name_its_own_address(make_tool, settings):
    settings.TRUSTED_PROXIES = 2
    tool = make_tool(allowed_networks="203.0.113.7")

    assert tool.get("/bots", X_Forwarded_For="203.0.113.7").status_code == 403
    assert tool.get("/bots", X_Forwarded_For="203.0.113.7, 10.1.1.1").status_code == 200


def test_only_a_hash_of_a_token_is_kept(make_tool):
    secret, other = (make_tool().headers["Authorization"].removeprefix("Bearer ") for _ in range(2))

    stored = " ".join(map(str, Token.objects.values_list()))

    assert secret not in stored and other not in stored
    assert secret.startswith("hbp_")
    assert secret != other and len(secret) == len("hbp_") + 43, "32 random bytes"


def test_a_token_that_calls_too_often_has_to_wait(tool, settings):
    settings.API = settings.API | {"PER_MINUTE": 3}

    answers = [tool.get("/bots") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1]["Retry-After"] == "60"
    Token.objects.update(window_began_at=timezone.now() - timedelta(seconds=61))
    assert tool.get("/bots").status_code == 200


def test_the_documentation_is_for_staff_and_tokens(client, admin_client, tool):
    assert client.get("/api/docs").status_code == 302
    assert admin_client.get("/api/docs").status_code == 200
    assert tool.get("/api/openapi.json").json()["openapi"].startswith("3.1")
    assert client.get("/api/openapi.json", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_document_is_generated_once():
    assert api.get_openapi_schema() is api.get_openapi_schema(path_params={})
    assert api.get_openapi_schema(path_prefix="/elsewhere/")["paths"] != api.get_openapi_schema()["paths"]


# --- in the admin ---------------------------------------------------------------------------------------------------


def test_a_token_is_made_in_the_admin_and_shown_once(admin_client, admin_user):
    response = admin_client.post(
        "/admin/json_api/token/add/", {"name": "reporting", "scopes": ["read"], "allowed_networks": ""}
    )

    token = Token.objects.get()
    secret = response.context["token"].secret
    assert token.user == admin_user
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert admin_client.get("/bots", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    assert secret not in admin_client.get(token.get_absolute_url()).content.decode()
    assert secret not in str(dict(admin_client.session)) + str(admin_client.cookies)


def test_a_revoked_token_stays_on_record(admin_client, admin_user, make_tool):
    tool = make_tool(admin_user)
    token = Token.objects.get()

    admin_client.post(f"/admin/json_api/token/{token.pk}/revoke/")

    assert tool.get("/bots").status_code == 401
    assert "revoked" in admin_client.get("/admin/json_api/token/").content.decode()


def test_a_network_that_is_none_is_refused_on_its_field(admin_client):
    response = admin_client.post(
        "/admin/json_api/token/add/", {"name": "x", "scopes": ["read"], "allowed_networks": "203.0.113.0/99"}
    )

    assert "is not an IP address or a network" in response.content.decode()
    assert not Token.objects.exists()


# --- what may be kept -----------------------------------------------------------------------------------------------


def test_an_answer_is_kept_by_nobody_else_and_asked_for_again(tool, bot):
    read = tool.get("/bots")
    answers = [
        read,
        tool.get("/bots", If_None_Match=read["ETag"]),
        tool.get("/bots/999"),
        tool.post("/bots/create", {}),
        tool.call("PUT", "/bots"),
        tool.get("/api/openapi.json"),
        tool.http.get("/bots"),
        tool.get("/nowhere"),
    ]
    assert [answer.status_code for answer in answers] == [200, 304, 404, 422, 405, 200, 401, 404]
    for answer in answers:
        assert set(answer["Cache-Control"].split(", ")) == {"private", "no-cache"}
        assert "Authorization" in answer["Vary"].split(", ")
