"""A user is notified by e-mail when the way they sign in was changed, whether by themselves or not."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.notices import outbox
from controlpanel.models import SecondFactor, SignInNotice
from controlpanel.tasks import prune_sessions
from tests.controlpanel.access.test_sign_in import PAGE, PASSWORD, app_code, factor, try_to_sign_in, user

__all__ = ["factor", "user"]

NEW = "another long password"


@pytest.fixture(autouse=True)
def mailed(settings, user) -> None:
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": True, "MAIL_SERVER": True}
    settings.PANEL_URL = "https://panel.example.com"
    user.email, user.last_login = "mia@example.com", timezone.now()
    user.save()


def notice(to: str = "mia@example.com") -> str:
    """What the one e-mail says."""
    outbox.send_due()
    (message,) = mail.outbox
    assert message.to == [to]
    mail.outbox.clear()
    return f"{message.subject}\n{message.body}"


def inside(code: str = "") -> Browser:
    browser = Browser(REMOTE_ADDR="203.0.113.7")
    assert try_to_sign_in(browser, code=code).status_code == 302
    return browser


def test_of_a_new_password_of_their_own():
    changed = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert inside().post(reverse("admin:password_change"), changed).status_code == 302
    text = notice()
    assert "Your sign-in to Perch was changed" in text and "Changed the password." in text
    assert "By mia, " in text and ", from 203.0.113.7." in text and "change your password and tell" in text
    assert "https://panel.example.com/admin/sessions/" in text
    assert NEW not in text and PASSWORD not in text


def test_of_a_password_that_an_administrator_set(user, admin_client):
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    assert admin_client.post(page, {"password1": NEW, "password2": NEW}).status_code == 302
    assert "By admin, " in notice()


def test_of_a_password_that_an_administrator_removed(user, admin_client):
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    assert admin_client.post(page, {"usable_password": "false", "unset-password": "1"}).status_code == 302
    assert "Removed the password." in notice()


@pytest.mark.parametrize("address", ["else@example.com", ""])
def test_of_another_address_at_the_one_before(user, admin_client, address):
    facts = {"username": "mia", "email": address, "is_active": "on", "is_staff": "on"}
    facts["groups"] = [group.pk for group in user.groups.all()]
    page = reverse("admin:auth_user_change", args=[user.pk])
    assert admin_client.post(page, facts).status_code == 302
    text = notice()
    assert "Changed your e-mail address: notices like this one no longer reach you here." in text
    assert admin_client.post(page, facts).status_code == 302
    assert SignInNotice.objects.count() == 1


def test_a_mistyped_address_of_an_invitation_is_corrected_without_a_word_to_strangers(user, admin_client):
    User.objects.update(last_login=None)
    facts = {"username": "mia", "email": "right@example.com", "is_active": "on", "is_staff": "on"}
    facts["groups"] = [group.pk for group in user.groups.all()]
    assert admin_client.post(reverse("admin:auth_user_change", args=[user.pk]), facts).status_code == 302
    assert not SignInNotice.objects.exists()


def test_who_changes_the_address_afterwards_does_not_get_the_notice(user, admin_client):
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    assert admin_client.post(page, {"password1": NEW, "password2": NEW}).status_code == 302
    User.objects.filter(pk=user.pk).update(email="else@example.com")
    assert "Changed the password." in notice()


def test_one_of_before_an_upgrade_goes_to_the_users_address(user):
    SignInNotice.objects.create(user=user, sentence="Changed the password.")
    assert "Changed the password." in notice()


def test_of_a_password_that_was_set_in_a_terminal(monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda **prompt: NEW)
    call_command("changepassword", "mia", stdout=StringIO())
    assert "By a command on the server, " in notice()


def test_of_a_second_factor_that_is_set_up_gets_new_codes_and_is_removed():
    browser = inside()
    browser.post(PAGE, {"act": "begin"})
    factor = SecondFactor.objects.get()
    for ahead, act, words in (
        (-1, "confirm", "Set up"),
        (0, "renew", "Created new recovery"),
        (1, "remove", "Removed"),
    ):
        browser.post(PAGE, {"act": act, "code": app_code(factor, steps_ahead=ahead)})
        assert words in notice()


@pytest.mark.parametrize(
    ("action", "words"), [("remove_second_factor", "Removed two-factor"), ("unlock", "Unlocked sign-in")]
)
def test_of_what_an_administrator_does_in_the_list(user, factor, admin_client, action, words):
    users = reverse("admin:auth_user_changelist")
    admin_client.post(users, {"action": action, "_selected_action": [user.pk]})
    assert words in notice()


@pytest.mark.parametrize("act", ["suspend", "sign-out"])
def test_of_what_an_administrator_does_on_their_page(user, admin_client, act):
    admin_client.post(reverse(f"admin:auth_user_{act}", args=[user.pk]))
    assert "By admin, " in notice()


def test_a_hash_that_is_made_anew_at_a_sign_in_is_no_change(user, settings):
    hashers = "django.contrib.auth.hashers."
    settings.PASSWORD_HASHERS = [f"{hashers}PBKDF2PasswordHasher", f"{hashers}MD5PasswordHasher"]
    weak = make_password(PASSWORD, hasher="md5")
    User.objects.update(password=weak)
    inside()
    user.refresh_from_db()
    assert user.password != weak and not SignInNotice.objects.exists()


def test_neither_is_a_first_password_nor_a_new_role(user, admin_client):
    new = {"username": "max", "role": Group.objects.get(name="Viewer").pk, "password1": NEW, "password2": NEW}
    admin_client.post(reverse("admin:auth_user_add"), new)
    user.groups.clear()
    assert User.objects.filter(username="max").exists() and not SignInNotice.objects.exists()


@pytest.mark.parametrize("missing", ["address", "mail server"])
def test_without_an_address_or_a_mail_server_nothing_waits(user, settings, missing):
    if missing == "address":
        user.email = ""
    else:
        settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL_SERVER": False}
    user.set_password(NEW)
    user.save()
    assert not SignInNotice.objects.exists()


def test_what_was_sent_is_kept_for_a_month(user):
    user.set_password(NEW)
    user.save()
    SignInNotice.objects.update(at=timezone.now() - timedelta(days=31))
    prune_sessions.call_local()
    assert SignInNotice.objects.exists(), "it waits"
    outbox.send_due()
    prune_sessions.call_local()
    assert not SignInNotice.objects.exists()
