"""Bad input: a message on its field, nothing saved, nothing sent, and what was typed still there, secrets apart."""

import pytest
from django.forms import ModelForm
from django.urls import reverse

from accounts.models import Client, CredentialsProfile, Server
from tests.conftest import PLANTED_PASSWORD
from tests.controlpanel.conftest import CLIENT, SERVER, text_of, url_of


def refused(response) -> dict[str, list[str]]:
    """The messages of a form that was not saved, by field."""
    assert response.status_code == 200
    form: ModelForm = response.context["adminform"].form
    return {field: list(messages) for field, messages in form.errors.items()}


def shown(response, field: str):
    """Return the value of a rejected form's field."""
    return response.context["adminform"].form[field].value()


@pytest.fixture
def save_server(db, admin_client):
    def save(**changes):
        facts = {"name": "Second", "base_url": "http://10.0.0.5:8000", "username": "admin", "password": "x y"}
        return admin_client.post(reverse(f"{SERVER}_add"), facts | changes)

    return save


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("bots.example.com", "must begin with http:// or https://"),
        ("10.0.0.5:8000", "must begin with http:// or https://"),
        ("ftp://bots.example.com", "must begin with http:// or https://"),
        ("https://bots.example.com/api", "Remove everything after the host and port"),
        ("https://bots.example.com?x=1", "Remove everything after the host and port"),
        ("https://admin:hunted@bots.example.com", "Remove the username and password"),
        ("https://", "Enter a valid host"),
        ("http://bots.example.com:99999", "Check its host and port"),
        ("http://bots example.com", "Enter a valid host"),
    ],
)
def test_a_base_url_that_leads_nowhere_is_refused_with_the_reason(base_url, message, save_server):
    response = save_server(base_url=base_url)
    errors = refused(response)
    assert list(errors) == ["base_url"]
    assert len(errors["base_url"]) == 1 and message in errors["base_url"][0]
    assert "hunted" not in errors["base_url"][0]
    assert shown(response, "base_url") == base_url
    assert not Server.objects.exists()


def test_a_server_is_reached_in_clear_through_the_internet_only_where_that_was_switched_on(save_server, admin_client):
    errors = refused(save_server(base_url="http://bots.example.com:8000"))
    assert list(errors) == ["base_url"] and "“Allow unencrypted”" in errors["base_url"][0]
    assert not Server.objects.exists()
    assert save_server(base_url="http://bots.example.com:8000", allow_unencrypted="on").status_code == 302
    server = Server.objects.get()
    assert server.allow_unencrypted
    page = " ".join(text_of(admin_client.get(url_of(server))).split())
    assert "Anyone on the network path can read its password" in page


def test_a_refused_server_never_shows_the_password_that_was_typed(save_server):
    response = save_server(base_url="nonsense", password=PLANTED_PASSWORD)
    assert PLANTED_PASSWORD not in text_of(response)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "admin:desk"),
        ("username", ":"),
        ("username", "müller"),
        ("username", "админ"),
        ("username", "ad\u200bmin"),
        ("password", "pässword"),
        ("password", "пароль"),
        ("password", "pass\u00a0word"),
        ("password", "“password”"),
    ],
)
def test_a_login_that_no_server_can_read_is_refused_on_its_field(field, value, save_server):
    response = save_server(**{field: value})
    assert list(refused(response)) == [field]
    assert not Server.objects.exists()
    if field == "password":
        assert value not in text_of(response)


@pytest.mark.parametrize("password", ["a:b", " spaced ", "~!@#$%^&*()_+`", "p" * 200])
def test_a_login_that_can_be_sent_is_taken(password, save_server):
    assert save_server(username="desk@north_1", password=password).status_code == 302
    assert Server.objects.get().password == password


def test_the_stored_password_is_not_sent_to_another_address(server, admin_client):
    facts = {"name": server.name, "username": "admin", "password": ""}

    moved = admin_client.post(url_of(server), facts | {"base_url": "https://elsewhere.example.com"})
    same = admin_client.post(url_of(server), facts | {"base_url": f" {server.base_url.upper()}/ "})

    assert list(refused(moved)) == ["password"]
    assert same.status_code == 302
    server.refresh_from_db()
    assert (server.password, server.base_url) == (PLANTED_PASSWORD, server.base_url)


def test_a_base_url_is_kept_in_one_form(save_server):
    assert save_server(base_url=" HTTPS://Bots.Example.com:8443/ ").status_code == 302
    assert Server.objects.get().base_url == "https://bots.example.com:8443"


def test_a_new_server_needs_a_password_and_an_old_one_keeps_its_own(save_server, admin_client):
    assert refused(save_server(password="")) == {"password": ["Enter the server's password."]}
    assert save_server(password=" spaced ").status_code == 302
    server = Server.objects.get()
    assert server.password == " spaced "
    assert "Current password: set, with surrounding spaces" in text_of(admin_client.get(url_of(server)))
    facts = {"name": "Renamed", "base_url": server.base_url, "username": "admin", "password": ""}
    assert admin_client.post(url_of(server), facts).status_code == 302
    server.refresh_from_db()
    assert (server.name, server.password) == ("Renamed", " spaced ")


def test_only_a_user_who_may_run_clients_can_become_an_account_manager(server, admin_client, make_user):
    manager, viewer = make_user("mara"), make_user("vera", {"accounts.view_client", "accounts.view_every_client"})
    page = admin_client.get(reverse(f"{CLIENT}_add"))
    offered = page.context["adminform"].form.fields["account_manager"].queryset
    assert manager in offered and viewer not in offered
    facts = {"name": "Sharp", "server": server.pk, "status": "onboarding"}
    assert "account_manager" in refused(
        admin_client.post(reverse(f"{CLIENT}_add"), facts | {"account_manager": viewer.pk})
    )
    # One who has lost the permission since stays until somebody else is chosen.
    client = Client.objects.create(name="Sharp", account_name="sharp", server=server, account_manager=viewer)
    kept = facts | {"account_name": "sharp", "account_manager": viewer.pk, "notes": "kept"}
    assert admin_client.post(url_of(client), kept).status_code == 302


def test_two_servers_of_one_name_are_refused(server, save_server):
    assert list(refused(save_server(name="Sandbox"))) == ["name"]


def test_two_servers_of_one_host_are_refused(server, save_server):
    errors = refused(save_server(base_url=f" {server.base_url.upper()}/ "))
    assert errors == {"base_url": ["This base URL belongs to another server in the panel. Add each host only once."]}


@pytest.fixture
def save_client(server, admin_client):
    def save(client=None, **changes):
        facts = {"name": "Blunt", "server": server.pk, "status": "onboarding", "notes": "kept"}
        return admin_client.post(url_of(client) if client else reverse(f"{CLIENT}_add"), facts | changes)

    return save


def test_an_account_name_is_made_from_the_clients_name(save_client):
    assert save_client(name="Ünder Cöver & Sons").status_code == 302
    assert Client.objects.get().account_name == "client_under_cover_sons"


def test_a_name_that_gives_no_account_name_requires_one(save_client):
    response = save_client(name="锋利")
    assert refused(response) == {"account_name": ["No account name can be made from this client name. Enter one."]}
    assert (shown(response, "name"), shown(response, "notes")) == ("锋利", "kept")
    assert not Client.objects.exists()
    assert save_client(name="锋利", account_name="client_fengli").status_code == 302


@pytest.mark.parametrize("name", ["client sharp", "client/sharp", "../master_account", "client.sharp", "clïent"])
def test_an_account_name_that_a_server_would_choke_on_is_refused(name, save_client):
    response = save_client(account_name=name)
    (message,) = refused(response)["account_name"]
    assert "use only letters, digits, “_” and “-”" in message
    assert shown(response, "account_name") == name
    assert not Client.objects.exists()


def test_an_account_name_is_unique_on_a_server(client_sharp, save_client):
    errors = refused(save_client(account_name="client_sharp"))
    assert errors == {"__all__": ["The client Sharp already has the account name client_sharp on Sandbox."]}


def test_a_name_that_an_own_client_has_is_said_to_be_ones_own(client_sharp, save_client):
    errors = refused(save_client(name=client_sharp.name))
    assert errors == {"name": ["You already have a client with this name. Choose another one."]}


def test_a_name_that_another_managers_client_has_is_refused_without_revealing_it(client_sharp, make_user, browse):
    browser, status = browse(make_user("anna")), {"status": "onboarding"}
    named = browser.post(reverse(f"{CLIENT}_add"), {"name": "Sharp", "server": client_sharp.server_id} | status)
    assert refused(named) == {"name": ["This name can't be used. Choose another one."]}
    account = {"name": "Sharper", "server": client_sharp.server_id, "account_name": "client_sharp"}
    taken = refused(browser.post(reverse(f"{CLIENT}_add"), account | status))
    assert taken == {"__all__": ["This account name can't be used on this server. Choose another one."]}


def test_only_users_who_may_change_clients_are_offered_as_account_managers(client_sharp, admin_client, make_user):
    make_user("anna")
    make_user("viewer", {"accounts.view_client", "accounts.view_every_client"})
    offered = admin_client.get(reverse(f"{CLIENT}_add")).context["adminform"].form.fields["account_manager"].queryset
    assert {user.username for user in offered} == {"admin", "anna"}


def test_the_profile_of_a_pushed_client_keeps_its_name(client_sharp, save_client, admin_client):
    CredentialsProfile.objects.create(
        client=client_sharp, server=client_sharp.server, account_name=client_sharp.account_name
    )
    page = admin_client.get(url_of(client_sharp))
    assert page.context["adminform"].form.fields["account_name"].disabled
    assert "Adopt a profile" not in text_of(page)
    assert save_client(client_sharp, name="Sharp", account_name="another", existing_profile="").status_code == 302
    client_sharp.refresh_from_db()
    assert client_sharp.account_name == "client_sharp"


def test_a_pushed_client_does_not_move_to_a_server_that_has_its_account_name(client_sharp, save_client):
    CredentialsProfile.objects.create(
        client=client_sharp, server=client_sharp.server, account_name=client_sharp.account_name
    )
    other = Server.objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    Client.objects.create(name="Namesake", server=other, account_name="client_sharp")
    errors = refused(save_client(client_sharp, name="Sharp", server=other.pk))
    assert "The client Namesake already has the account name client_sharp on Other." in str(errors)


@pytest.fixture
def listed(server):
    """The server listed profiles at its last check, the master's and a client's among them."""
    server.contact_succeeded(account_names=["by_hand", "client_sharp", "master_account"])
    return server


def offered(response) -> list[str]:
    choices = response.context["adminform"].form.fields["existing_profile"].choices
    return [value for _, group in choices if isinstance(group, list) for value, _ in group]


def test_a_profile_is_adopted_from_the_servers_own_list(listed, client_sharp, save_client, admin_client):
    page = admin_client.get(reverse(f"{CLIENT}_add"))
    assert offered(page) == [f"{listed.pk}:by_hand", f"{listed.pk}:master_account"]
    assert save_client(existing_profile=f"{listed.pk}:by_hand").status_code == 302
    blunt = Client.objects.get(name="Blunt")
    assert blunt.account_name == "by_hand"
    profile = blunt.profiles.get()
    assert (profile.server, profile.account_name, profile.adopted) == (listed, "by_hand", True)
    assert "not verified yet" in text_of(admin_client.get(reverse("client_keys", args=[blunt.pk])))


def test_a_profile_that_is_not_on_the_list_is_not_adopted(listed, save_client):
    assert list(refused(save_client(existing_profile=f"{listed.pk}:invented"))) == ["existing_profile"]
    assert not Client.objects.exists()


def test_a_profile_of_another_server_is_refused(listed, save_client):
    other = Server.objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    errors = refused(save_client(server=other.pk, existing_profile=f"{listed.pk}:by_hand"))
    assert errors == {"existing_profile": ["This profile is not on Other. Choose one that is."]}


def test_a_profile_and_a_name_of_ones_own_do_not_go_together(listed, save_client):
    errors = refused(save_client(account_name="mine", existing_profile=f"{listed.pk}:by_hand"))
    assert errors == {"existing_profile": ["Choose a profile or enter an account name, not both."]}


def test_a_client_that_has_a_name_already_may_still_adopt_a_profile(listed, client_sharp, save_client):
    saved = save_client(
        client_sharp, name="Sharp", account_name="client_sharp", existing_profile=f"{listed.pk}:by_hand"
    )
    assert saved.status_code == 302
    client_sharp.refresh_from_db()
    assert client_sharp.account_name == "by_hand"
    assert client_sharp.profiles.get().adopted


def test_a_client_with_a_new_profile_adopts_none(listed, save_client):
    assert save_client(existing_profile="").status_code == 302
    assert not CredentialsProfile.objects.exists()


@pytest.mark.parametrize("way", ["existing_profile", "account_name"])
def test_the_master_account_is_used_only_after_a_warning(way, listed, save_client):
    chosen = {way: f"{listed.pk}:master_account" if way == "existing_profile" else "master_account"}
    errors = refused(save_client(**chosen))
    assert list(errors) == [way]
    assert "copy of master_account" in errors[way][0]
    assert not Client.objects.exists()
    assert save_client(**chosen, use_master_account="on").status_code == 302
    assert Client.objects.get().account_name == "master_account"


#: Settings as they are found in other people's schemas: schema, what is typed, what is kept.
EDITED_ON_SERVER = [
    ({"type": "array", "items": {"type": "string"}, "default": ["A-B"]}, "A-B, C-D", ["A-B", "C-D"]),
    ({"type": "array", "items": {"type": "integer"}, "default": []}, "", []),
    ({"type": "array", "items": {"type": "array"}, "default": [[1]]}, "[[1, 2]]", [[1, 2]]),
    ({"type": ["boolean", "null"], "default": True}, "", None),
    ({"type": ["boolean", "null"], "default": None}, "False", False),
    ({"enum": [0.5, "auto", None], "default": None}, "0.5", 0.5),
    ({"enum": [0.5, "auto", None], "default": 0.5}, "", None),
    ({"type": ["number", "string"], "default": "auto"}, "auto", "auto"),
    ({"type": "object", "default": {"a": 1}}, '{"a": 2}', {"a": 2}),
    ({"type": ["object", "null"], "properties": {"a": {}}, "default": {"a": 1}}, "", None),
    ({"default": {"a": [1]}}, '{"a": [2]}', {"a": [2]}),
    ({"default": None}, "", None),
    ({}, "text", "text"),
]
