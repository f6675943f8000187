"""Guesses by who is inside already, and by who knows the password: neither gets further, nor keeps the user out."""

import pytest
from axes.models import AccessAttempt
from django.conf import settings as configured
from django.contrib.auth.models import Group, User
from django.test import Client as Browser
from django.urls import reverse

from audit.models import AuditEvent
from controlpanel.environment import env
from controlpanel.models import Invitation, SecondFactor, SignedInSession
from tests.controlpanel.access.test_sign_in import (
    PAGE,
    PASSWORD,
    app_code,
    factor,
    guess,
    guessed,
    may_try_again,
    try_to_sign_in,
    user,
)
from tests.controlpanel.conftest import text_of

__all__ = ["factor", "guessed", "user"]

OWN_PASSWORD = "/admin/password_change/"
NEW = "another long password"


@pytest.fixture
def inside(user) -> Browser:
    browser = Browser()
    assert try_to_sign_in(browser).status_code == 302
    return browser


def change_password(browser: Browser, old: str):
    return browser.post(OWN_PASSWORD, {"old_password": old, "new_password1": NEW, "new_password2": NEW})


def test_an_account_has_at_most_a_hundred_failed_tries_in_an_hour(settings):
    default = env.scheme["LOGIN_ATTEMPTS_PER_USER"][1]
    windows = 3600 / configured.AXES_COOLOFF_TIME.total_seconds()
    assert 0 < default * windows <= 100


# --- the own password -------------------------------------------------------------------------------------------------


def test_who_found_an_open_session_can_not_try_passwords_for_long(inside, user):
    answers = [change_password(inside, "wrong") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert change_password(inside, PASSWORD)["Location"].startswith("/admin/login/")
    assert try_to_sign_in(inside).status_code == 429
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert AccessAttempt.objects.get().username == "mia"


def test_a_session_ends_after_five_wherever_they_come_from(inside, user):
    for number in range(5):
        inside.defaults["REMOTE_ADDR"] = f"203.0.113.{number}"
        answer = change_password(inside, "wrong")
    assert answer.status_code == 429
    inside.defaults["REMOTE_ADDR"] = "203.0.113.9"
    assert change_password(inside, PASSWORD)["Location"].startswith("/admin/login/")
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_what_another_request_keeps_in_the_session_uncounts_no_guess(inside):
    """A session is read at a request's beginning and written whole at its end, with what it was before."""
    other_request = inside.session
    for number in range(5):
        inside.defaults["REMOTE_ADDR"] = f"203.0.113.{number}"
        answer = change_password(inside, "wrong")
        if answer.status_code == 200:
            other_request.save()
    assert answer.status_code == 429


def of_somewhere_else(inside: Browser, number: int) -> Browser:
    inside.defaults["REMOTE_ADDR"] = f"203.0.113.{number}"
    return inside


def test_another_users_password_gives_the_session_no_other_key(inside, user, make_user):
    """Its guesses would be forgotten, again and again, with those that are on their way at the same moment."""
    user.is_superuser = True
    user.save()
    other = reverse("admin:auth_user_password_change", args=[make_user("other", set()).pk])
    answers, keys = [], set()
    for number in range(5):
        keys.add(inside.cookies["sessionid"].value)
        answers.append(change_password(of_somewhere_else(inside, number), "wrong").status_code)
        inside.post(other, {"password1": NEW, "password2": NEW})
    assert (answers, len(keys)) == ([200] * 4 + [429], 1)


def test_a_new_password_begins_a_new_count_at_once(inside):
    for number in range(4):
        change_password(of_somewhere_else(inside, number), "wrong")
    assert change_password(inside, PASSWORD).status_code == 302
    assert SignedInSession.objects.filter(pk=inside.cookies["sessionid"].value).exists()
    answers = [change_password(of_somewhere_else(inside, number), "wrong").status_code for number in range(5)]
    assert answers == [200] * 4 + [429]
    assert change_password(inside, NEW)["Location"].startswith("/admin/login/")


def test_a_session_ends_after_five_at_the_sign_in_too(inside, user):
    answers = [try_to_sign_in(of_somewhere_else(inside, number), password="wrong").status_code for number in range(5)]
    assert answers == [200] * 4 + [429]
    assert change_password(inside, PASSWORD)["Location"].startswith("/admin/login/")


def test_an_open_session_takes_no_brake_off_the_sign_in(inside, request):
    for name in [name for name in inside.cookies if name.startswith("known_browser")]:
        del inside.cookies[name]
    request.getfixturevalue("guessed")
    assert try_to_sign_in(inside).status_code == 429


def test_who_signs_in_again_begins_with_no_guesses(inside):
    for number in range(4):
        change_password(of_somewhere_else(inside, number), "wrong")
    assert try_to_sign_in(of_somewhere_else(inside, 9)).status_code == 302
    assert change_password(inside, "wrong").status_code == 200


def test_each_wrong_one_is_in_the_trail_and_no_password_is(inside, user):
    change_password(inside, "typed-by-a-guesser")
    event = AuditEvent.objects.latest("pk")
    assert (event.verb, event.user, event.outcome) == ("entered a wrong password or code", user, "failed")
    assert "typed-by-a-guesser" not in " ".join(map(str, vars(event).values()))


def test_guesses_elsewhere_do_not_keep_a_signed_in_user_from_a_new_password(inside, request):
    request.getfixturevalue("guessed")
    assert change_password(inside, PASSWORD).status_code == 302


@pytest.mark.parametrize("is_superuser", [False, True])
def test_the_own_password_is_not_set_without_the_old_one_on_the_page_for_others(user, is_superuser):
    user.groups.set([Group.objects.get(name="Administrator")])
    user.is_superuser = is_superuser
    user.save()
    browser = Browser()
    try_to_sign_in(browser)
    for written in (user.pk, f"0{user.pk}", f" {user.pk}"):
        page = reverse("admin:auth_user_password_change", args=[written])
        for answer in (browser.get(page), browser.post(page, {"password1": NEW, "password2": NEW})):
            assert (answer.status_code, answer["Location"]) == (302, OWN_PASSWORD)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@pytest.mark.parametrize("written", ["{}", "0{}", "_2B{}", " {} "])
def test_an_administrator_still_sets_the_password_of_another(user, admin_client, written):
    Invitation.objects.create(user=user, origin="https://panel.example.com")
    page = reverse("admin:auth_user_password_change", args=[written.format(user.pk)])
    assert admin_client.post(page, {"password1": NEW, "password2": NEW}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert not Invitation.objects.exists(), "its link would set another one"


# --- known browsers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["sign-in", "own password", "own password before the second factor"])
def test_a_form_that_was_refused_makes_no_browser_known(inside, user, form, settings):
    """Nor does an open session: who found it has entered nothing that is right."""
    for name in [name for name in inside.cookies if name.startswith("known_browser")]:
        del inside.cookies[name]
    if form == "sign-in":
        try_to_sign_in(inside, password="wrong")
    else:
        settings.REQUIRE_SECOND_FACTOR = {user.groups.get().name} if "second" in form else set()
        change_password(inside, "wrong")
    assert not [name for name in inside.cookies if name.startswith("known_browser")]


# --- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["remove", "renew"])
def test_who_found_an_open_session_can_not_try_codes_for_long(user, factor, act):
    browser = Browser()
    try_to_sign_in(browser, code=app_code(factor, steps_ahead=-1))
    answers = []
    for _ in range(5):
        may_try_again(factor)
        answers.append(browser.post(PAGE, {"act": act, "code": "000000"}).status_code)
    assert answers == [200] * 4 + [429]
    may_try_again(factor)
    assert browser.post(PAGE, {"act": act, "code": app_code(factor)})["Location"].startswith("/admin/login/")
    assert try_to_sign_in(browser, code=app_code(factor)).status_code == 429
    assert SecondFactor.objects.filter(confirmed=True).exists()


def test_wrong_codes_while_setting_it_up_are_no_guesses(inside):
    inside.post(PAGE, {"act": "begin"})
    for _ in range(7):
        assert inside.post(PAGE, {"act": "confirm", "code": "000000"}).status_code == 200
    assert not AccessAttempt.objects.exists()


def test_who_knows_the_password_cannot_keep_the_user_out_of_the_known_browser(user, factor):
    known = Browser()
    assert try_to_sign_in(known, code=app_code(factor, steps_ahead=-1)).status_code == 302
    known.post(reverse("admin:logout"))
    SecondFactor.objects.update(throttling_failure_count=9)
    for number in range(3):
        may_try_again(factor)
        guess(number, password=PASSWORD, code="000000")
    assert try_to_sign_in(known, code=app_code(factor)).status_code == 302


def test_a_right_code_during_the_pause_is_no_wrong_one_and_the_page_says_when_to_try_again(user, factor):
    try_to_sign_in(code="000000")
    SecondFactor.objects.update(throttling_failure_count=9)
    for _ in range(6):
        page = text_of(try_to_sign_in(code=app_code(factor)))
        assert "A wrong code was entered." in page and "Wait 5 minutes" in page
    assert AccessAttempt.objects.get().failures_since_start == 1
    may_try_again(factor)
    assert try_to_sign_in(code=app_code(factor)).status_code == 302


def test_a_right_password_with_a_code_during_the_pause_is_in_the_trail_once_for_an_address(user, factor):
    try_to_sign_in(code="000000")
    SecondFactor.objects.update(throttling_failure_count=9)
    for number in (1, 1, 2):
        guess(number, password=PASSWORD, code="000000")
    events = AuditEvent.objects.filter(detail__contains="during the pause")
    assert [event.address for event in events.order_by("pk")] == ["203.0.113.1", "203.0.113.2"]
    assert {event.user for event in events} == {user}


def test_a_right_password_of_who_may_not_open_the_panel_is_in_the_trail(user):
    User.objects.update(is_staff=False)
    assert try_to_sign_in().status_code == 200
    event = AuditEvent.objects.latest("pk")
    assert (event.user, event.outcome, event.detail) == (
        user,
        "failed",
        "The password was right, the user may not open the panel.",
    )


def test_wrong_codes_of_a_known_browser_count_for_its_address(user, factor):
    known = Browser()
    try_to_sign_in(known, code=app_code(factor, steps_ahead=-1))
    known.post(reverse("admin:logout"))
    answers = [try_to_sign_in(known, code="000000").status_code for _ in range(5)]
    assert answers == [200] * 4 + [429]
