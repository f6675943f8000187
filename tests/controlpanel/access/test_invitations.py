"""Invitations: an administrator chooses the role, the invited person alone the password, and the link works once."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from controlpanel.access.invitations import link_of, outbox
from controlpanel.models import Invitation
from notifications.sending.outbox import DeliveryState
from tests.controlpanel.access.test_roles import a_worker_is_there, users
from tests.controlpanel.conftest import text_of

INVITE, USERS = "/admin/auth/user/invite/", "/admin/auth/user/"
PASSWORD = "a phrase of several words"


@pytest.fixture
def administrator(users) -> User:
    return users["A"]


@pytest.fixture
def panel(administrator, browse) -> Browser:
    return browse(administrator)


@pytest.fixture
def mail_server(settings) -> None:
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": True, "MAIL_SERVER": True}


def role(name: str = "Account manager") -> Group:
    return Group.objects.get(name=name)


def send_to(panel: Browser, email: str = "Mara@Example.com", group: Group | None = None) -> Any:
    return panel.post(INVITE, {"email": email, "role": (group or role()).pk})


def link_in(text: str) -> str:
    return re.search(r"http://testserver(/admin/join/[\w/-]+)", text)[1]  # type: ignore[index]


def open_link(link: str) -> tuple[Browser, Any]:
    browser = Browser()
    return browser, browser.get(link, follow=True)


def accept(link: str, **changes: Any) -> tuple[Browser, Any]:
    browser, page = open_link(link)
    assert page.status_code == 200
    facts = {"first_name": "Mara", "last_name": "Stone", "new_password1": PASSWORD, "new_password2": PASSWORD}
    return browser, browser.post(page.redirect_chain[-1][0], facts | changes)


def invitation_link(panel: Browser, **changes: Any) -> str:
    """Invite without a mail server: the page shows the link."""
    return link_in(text_of(send_to(panel, **changes)))


# --- inviting ---


def test_an_invitation_is_e_mailed_and_makes_a_user_with_the_role(panel, mail_server):
    assert send_to(panel).status_code == 302
    outbox.send_due()
    (message,) = mail.outbox
    assert message.to == ["mara@example.com"] and message.subject == "Your invitation to Perch"
    assert "invites you to Perch, the Hummingbot control panel, as Account manager." in message.body
    _, answer = accept(link_in(message.body))
    assert (answer.status_code, answer.url) == (302, "/admin/")
    mara = User.objects.get(username="mara@example.com")
    assert (mara.get_full_name(), mara.email, [*mara.groups.all()]) == ("Mara Stone", "mara@example.com", [role()])
    assert mara.check_password(PASSWORD) and not Invitation.objects.exists()


def test_the_browser_in_which_it_was_accepted_is_known(panel, settings):
    browser, _ = accept(invitation_link(panel))
    browser.post(reverse("admin:logout"))
    settings.LOGIN_ATTEMPTS_PER_USER = 3
    guess = {"username": "mara@example.com", "password": "wrong", "code": ""}
    for number in range(3):
        Browser(REMOTE_ADDR=f"203.0.113.{number}").post("/admin/login/", guess)
    known = guess | {"password": PASSWORD}
    assert Browser(REMOTE_ADDR="203.0.113.9").post("/admin/login/", known).status_code == 429
    assert browser.post("/admin/login/", known).status_code == 302


def test_an_e_mail_is_sent_once_and_retried_when_the_mail_server_fails(panel, mail_server, monkeypatch):
    def fail(*args: Any) -> None:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr("notifications.sending.channels.email.send_mail", fail)
        send_to(panel)
        outbox.send_due()
    invitation = Invitation.objects.get()
    assert (invitation.state, invitation.error_code) == (DeliveryState.WAITING, "mail_failed")
    assert "Could not connect to the mail server" in text_of(panel.get(USERS))
    Invitation.objects.update(next_attempt_at=timezone.now())
    outbox.send_due()
    outbox.send_due()
    assert len(mail.outbox) == 1


def test_without_a_mail_server_the_link_is_shown_once(panel):
    page = text_of(panel.get(INVITE))
    assert "Create invitation link" in page and reverse("admin:auth_user_add") in page
    link = invitation_link(panel)
    assert link not in text_of(panel.get(USERS))
    outbox.send_due()
    assert not mail.outbox
    assert open_link(link)[1].status_code == 200


def test_with_a_mail_server_no_one_invents_a_colleagues_password(panel, mail_server):
    page = text_of(panel.get(INVITE))
    assert "Send invitation" in page and reverse("admin:auth_user_add") not in page
    users = text_of(panel.get(USERS))
    assert INVITE in users and "Invite user" in users and f'href="{reverse("admin:auth_user_add")}' not in users


def test_each_role_says_what_it_may_do_and_what_not(panel):
    page = text_of(panel.get(INVITE))
    for words in ("Runs own clients", "Can't see other clients", "Sees every client", "Can't manage users"):
        assert words in page
    assert page.count('type="radio" name="role"') == 4


def test_what_is_wrong_is_said_at_its_field(panel, administrator):
    wrong = panel.post(INVITE, {"email": "nobody"}).context["form"].errors
    assert wrong == {"email": ["Enter a valid email address."], "role": ["This field is required."]}
    User.objects.filter(pk=administrator.pk).update(email="ada@example.com")
    taken = send_to(panel, "ADA@example.com").context["form"].errors
    assert taken == {"email": ["The user walker-a has this e-mail address."]}
    send_to(panel)
    assert "already invited" in send_to(panel, "mara@example.com").context["form"].errors["email"][0]


def test_nobody_invites_to_a_role_that_may_more_than_they_may(panel):
    mighty = Group.objects.create(name="Mighty")
    mighty.permissions.add(Permission.objects.get(codename="change_group"))
    assert "Mighty" not in text_of(panel.get(INVITE))
    assert "role" in send_to(panel, group=mighty).context["form"].errors
    assert not User.objects.filter(email="mara@example.com").exists()


@pytest.mark.parametrize("letter", ["O", "M", "V"])
def test_only_administrators_invite(letter, users, browse, panel):
    invitation_link(panel)
    browser, pk = browse(users[letter]), Invitation.objects.get().user_id
    assert browser.get(INVITE).status_code == 403
    assert send_to(browser, "otto@example.com").status_code == 403
    for act in ("resend", "revoke"):
        assert browser.post(f"{USERS}{pk}/invitation/{act}/").status_code == 403


# --- the link ---


def test_the_link_works_once(panel):
    link = invitation_link(panel)
    accept(link)
    _, page = open_link(link)
    assert page.status_code == 404 and "This link does not work" in text_of(page)


@pytest.mark.parametrize("given", ["superuser", "a role", "a permission"])
def test_a_link_that_was_seen_before_its_user_was_given_more_does_not_work(given, panel):
    link = invitation_link(panel)
    user = Invitation.objects.get().user
    if given == "superuser":
        user.is_superuser = True
        user.save()
    elif given == "a role":
        user.groups.add(Group.objects.exclude(user=user).first())
    else:
        user.user_permissions.add(Permission.objects.first())
    _, page = open_link(link)
    assert page.status_code == 404 and "This link does not work" in text_of(page)


def test_of_two_people_with_the_link_open_one_gets_in(panel):
    link = invitation_link(panel)
    late, page = open_link(link)
    accept(link)
    facts = {"first_name": "Eve", "new_password1": PASSWORD + "!", "new_password2": PASSWORD + "!"}
    assert late.post(page.redirect_chain[-1][0], facts).status_code == 404
    assert User.objects.get(email="mara@example.com").first_name == "Mara"


def test_a_link_expires(panel):
    link = invitation_link(panel)
    for days, status in ((6, 200), (7, 404)):
        Invitation.objects.update(issued_at=timezone.now() - timedelta(days=days))
        assert open_link(link_of(Invitation.objects.get()))[1].status_code == status
    assert open_link(link)[1].status_code == 404
    assert "expired" in text_of(panel.get(USERS))


def test_a_new_link_ends_the_previous_one(panel):
    link = invitation_link(panel)
    again = link_in(text_of(panel.post(f"{USERS}{Invitation.objects.get().user_id}/invitation/resend/")))
    assert open_link(link)[1].status_code == 404
    assert open_link(again)[1].status_code == 200


@pytest.mark.parametrize("how", ["revoked", "suspended", "password set"])
def test_a_link_ends_when_the_invitation_does(how, panel):
    link = invitation_link(panel)
    user = User.objects.get(email="mara@example.com")
    if how == "revoked":
        panel.post(f"{USERS}{user.pk}/invitation/revoke/")
        assert not User.objects.filter(pk=user.pk).exists()
        assert LogEntry.objects.filter(object_id=user.pk, change_message__contains="Revoked").exists()
    elif how == "suspended":
        panel.post(f"{USERS}{user.pk}/suspend/")
    else:
        panel.post(f"{USERS}{user.pk}/password/", {"password1": PASSWORD, "password2": PASSWORD})
    assert open_link(link)[1].status_code == 404


def test_a_changed_or_foreign_link_does_not_work(panel):
    link = invitation_link(panel)
    assert open_link(link[:-3] + "xx/")[1].status_code == 404
    assert open_link("/admin/join/!!/x/")[1].status_code == 404


@pytest.mark.parametrize(
    ("password", "words"),
    [("elevenchars", "at least 12"), ("x y" * 43, "128 characters at most"), ("administrator", "too common")],
)
def test_the_password_follows_the_rules_and_errors_stand_at_it(panel, password, words):
    _, page = accept(invitation_link(panel), new_password1=password, new_password2=password)
    errors = page.context["form"].errors
    assert list(errors) == ["new_password1"] and words in str(errors)
    assert Invitation.objects.exists()


@pytest.mark.parametrize(
    "password", ["y" * 64 + "z" * 64, "31415926535897", "四五六七八九十百千万四五六", "twelve  blanks "]
)
def test_long_ones_and_those_of_any_characters_are_accepted(panel, password):
    accept(invitation_link(panel), new_password1=password, new_password2=password)
    assert not Invitation.objects.exists()
    assert User.objects.get(email="mara@example.com").check_password(password)


def test_a_required_second_factor_is_set_up_first(panel, settings):
    link = invitation_link(panel)
    settings.REQUIRE_SECOND_FACTOR = True
    browser, _ = accept(link)
    assert browser.get("/admin/").url == reverse("second_factor")


# --- before it is accepted ---


def test_an_invited_user_can_be_given_clients_and_can_not_sign_in(panel, server):
    invitation_link(panel)
    user = User.objects.get(email="mara@example.com")
    Client.objects.create(name="Sharp", account_name="sharp", server=server, account_manager=user)
    answer = Browser().post("/admin/login/", {"username": user.username, "password": "", "code": ""})
    assert answer.status_code == 200 and user.last_login is None
    panel.post(f"{USERS}{user.pk}/invitation/revoke/")
    assert Client.objects.get().account_manager is None


def test_pending_invitations_take_as_many_queries_however_many_they_are(panel, queries):
    invitation_link(panel)
    one = queries(USERS)
    for number in range(5):
        invitation_link(panel, email=f"mara{number}@example.com")
    assert queries(USERS) == one
