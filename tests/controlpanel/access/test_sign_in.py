"""Signing in: a lockout from the fifth wrong try on, a second factor, and no access without the one that is due."""

import hashlib
import re
import time
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import TOTP

from audit.models import AuditEvent
from controlpanel.access.login import address_block
from controlpanel.models import RECOVERY_CODES, SecondFactor
from tests.controlpanel.conftest import text_of, url_of

PASSWORD = "a long enough password"
LOGIN = "/admin/login/"
PAGE = "/admin/second-factor/"


@pytest.fixture
def user(db) -> User:
    user = User.objects.create_user("mia", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="Account manager"))
    return user


def try_to_sign_in(browser: Browser | None = None, **facts):
    headers = facts.pop("headers", None)
    posted = {"username": "mia", "password": PASSWORD, "code": ""} | facts
    return (browser or Browser()).post(LOGIN, posted, headers=headers)


def app_code(factor: SecondFactor, steps_ahead: int = 0) -> str:
    """What an authenticator app that has the key shows now, or steps of 30 s later."""
    totp = TOTP(bytes.fromhex(factor.key))
    totp.time = time.time() + 30 * steps_ahead
    return f"{totp.token():06}"


def may_try_again(factor: SecondFactor) -> None:
    """As if the pause after a wrong code were over."""
    SecondFactor.objects.filter(pk=factor.pk).update(throttling_failure_count=0, throttling_failure_timestamp=None)


@pytest.fixture
def factor(user) -> SecondFactor:
    return SecondFactor.objects.create(user=user, confirmed=True)


def is_inside(browser: Browser) -> bool:
    return browser.get(reverse("admin:bots_bot_changelist")).status_code == 200


# --- too many tries ---


def test_from_the_fifth_wrong_password_on_signing_in_is_paused_and_the_page_says_what_to_do(user):
    for _ in range(4):
        assert try_to_sign_in(password="wrong").status_code == 200
    answers = [try_to_sign_in(password="wrong"), try_to_sign_in()]
    for answer in answers:
        page = text_of(answer)
        assert answer.status_code == 429
        assert answer["Retry-After"] == "900"
        assert "Wait 15 minutes" in page and "Ask an administrator to unlock you" in page
        assert "panel.css" in page
        assert "wrong" not in re.findall(r'value="([^"]*)"', page)


def test_another_user_and_another_address_are_not_paused(user):
    for _ in range(5):
        try_to_sign_in(password="wrong")
    User.objects.create_user("max", password=PASSWORD, is_staff=True)
    assert try_to_sign_in(username="max").status_code == 302
    assert Browser(REMOTE_ADDR="10.0.0.9").post(LOGIN, {"username": "mia", "password": PASSWORD}).status_code == 302


def test_a_good_sign_in_resets_the_wrong_ones_before(user):
    for _ in range(2):
        for _ in range(4):
            try_to_sign_in(password="wrong")
        assert try_to_sign_in().status_code == 302


def test_made_up_addresses_do_not_evade_the_pause(user, settings):
    settings.TRUSTED_PROXIES = 1
    for number in range(5):
        answer = try_to_sign_in(password="wrong", headers={"x-forwarded-for": f"6.6.6.{number}, 203.0.113.7"})
    assert answer.status_code == 429
    assert try_to_sign_in(headers={"x-forwarded-for": "6.6.6.9, 203.0.113.7"}).status_code == 429
    assert try_to_sign_in(headers={"x-forwarded-for": "198.51.100.1"}).status_code == 302


def test_the_addresses_of_one_line_count_as_one(user):
    for number in range(5):
        answer = try_to_sign_in(Browser(REMOTE_ADDR=f"2001:db8:0:1::{number}"), password="wrong")
    assert answer.status_code == 429
    assert try_to_sign_in(Browser(REMOTE_ADDR="2001:db8:0:1:ffff::")).status_code == 429
    assert try_to_sign_in(Browser(REMOTE_ADDR="2001:db8:0:2::")).status_code == 302


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", None),
    ],
)
def test_a_try_is_counted_for_an_address_or_a_line_of_ipv6(address, block):
    assert address_block(RequestFactory().get("/", REMOTE_ADDR=address)) == block


# --- guessing from many addresses ---


@pytest.fixture
def guessed(user, settings):
    """Attackers with enough addresses have tried so many passwords that an unknown browser is not let in."""
    settings.LOGIN_ATTEMPTS_PER_USER = 8
    assert {guess(number).status_code for number in range(8)} == {200}


def guess(number: int, **posted):
    return try_to_sign_in(Browser(REMOTE_ADDR=f"203.0.113.{number}"), **{"password": "wrong"} | posted)


def test_guessing_from_many_addresses_is_braked_and_the_page_says_what_to_do(guessed):
    for answer in (guess(100), guess(101, password=PASSWORD)):
        page = text_of(answer)
        assert (answer.status_code, answer["Retry-After"]) == (429, "900")
        assert "from many addresses" in page and "signed in with this username before" in page
        assert "Ask an administrator to unlock you" in page


def test_who_keeps_on_guessing_does_not_keep_the_brake_on(guessed):
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert guess(100, password=PASSWORD).status_code == 302


def test_tries_during_the_brake_are_not_recorded(guessed):
    before = AccessAttempt.objects.count()
    guess(100)
    assert AccessAttempt.objects.count() == before


def test_one_address_alone_brakes_no_other(user, settings):
    settings.LOGIN_ATTEMPTS_PER_USER = 8
    for number in range(30):
        try_to_sign_in(Browser(HTTP_USER_AGENT=f"agent {number}"), password="wrong")
    assert guess(100, password=PASSWORD).status_code == 302


def test_another_user_is_not_braked(guessed):
    User.objects.create_user("max", password=PASSWORD, is_staff=True)
    assert guess(100, username="max", password=PASSWORD).status_code == 302


def test_an_unknown_user_name_is_braked_like_a_known_one(db, settings):
    settings.LOGIN_ATTEMPTS_PER_USER = 8
    assert [guess(number).status_code for number in range(9)] == [200] * 8 + [429]


def test_without_a_number_there_is_no_brake(user, settings):
    settings.LOGIN_ATTEMPTS_PER_USER = 0
    assert {guess(number).status_code for number in range(12)} == {200}


def known_browser(**facts) -> Browser:
    browser = Browser(**facts)
    assert try_to_sign_in(browser).status_code == 302
    browser.post(reverse("admin:logout"))
    return browser


def test_attackers_cannot_lock_users_out_of_their_known_browsers(user, request):
    browser = known_browser()
    request.getfixturevalue("guessed")
    assert try_to_sign_in(browser).status_code == 302


def test_a_known_browser_is_paused_for_its_own_wrong_passwords(user, request):
    browser = known_browser()
    request.getfixturevalue("guessed")
    for _ in range(5):
        answer = try_to_sign_in(browser, password="wrong")
    assert answer.status_code == 429
    assert "from your address" in text_of(answer)


def test_a_browser_is_known_for_one_user_with_one_password_and_no_mark_can_be_made_up(user, request):
    browser = known_browser()
    mark = browser.cookies[f"known_browser_{user.pk}"]
    assert mark["httponly"] and mark["path"] == LOGIN and mark["samesite"] == "Lax"
    request.getfixturevalue("guessed")
    forger = Browser()
    forger.cookies[f"known_browser_{user.pk}"] = "a" * 64
    assert try_to_sign_in(forger).status_code == 429
    user.set_password("another long password")
    user.save()
    assert try_to_sign_in(browser, password="another long password").status_code == 429


def test_a_wrong_password_or_code_makes_no_browser_known(user, factor):
    for posted in ({"password": "wrong"}, {"code": ""}, {"code": "000000"}):
        assert not [name for name in try_to_sign_in(**posted).cookies if name.startswith("known")]


def test_who_changes_the_password_stays_known(user, request):
    browser = Browser()
    try_to_sign_in(browser)
    new = "another long password"
    changed = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert browser.post(reverse("admin:password_change"), changed).status_code == 302
    browser.post(reverse("admin:logout"))
    request.getfixturevalue("guessed")
    assert try_to_sign_in(browser, password=new).status_code == 302


def test_an_administrator_ends_the_brake(guessed, user, admin_client):
    users = reverse("admin:auth_user_changelist")
    assert "locked" in text_of(admin_client.get(users))
    admin_client.post(users, {"action": "unlock", "_selected_action": [user.pk]})
    assert "locked" not in text_of(admin_client.get(users))
    assert guess(100, password=PASSWORD).status_code == 302


def test_what_was_typed_is_kept_nowhere(user, factor):
    try_to_sign_in(password="typed-secret")
    try_to_sign_in(code="314159")
    attempt = AccessAttempt.objects.get()
    assert attempt.failures_since_start == 2
    kept = " ".join(map(str, vars(attempt).values()))
    assert "typed-secret" not in kept and PASSWORD not in kept and "314159" not in kept


def test_an_administrator_ends_the_pause(user, admin_client):
    for _ in range(5):
        try_to_sign_in(password="wrong")
    users = reverse("admin:auth_user_changelist")
    assert "locked" in text_of(admin_client.get(users))
    admin_client.post(users, {"action": "unlock", "_selected_action": [user.pk]})
    assert "locked" not in text_of(admin_client.get(users))
    assert try_to_sign_in().status_code == 302
    assert "Unlocked sign-in" in text_of(admin_client.get(url_of(user, "history")))


# --- the second factor ---


def test_a_user_sets_a_second_factor_up_and_signs_in_with_it(user):
    browser = Browser()
    assert try_to_sign_in(browser).status_code == 302
    assert "off" in text_of(browser.get(PAGE))
    page = text_of(browser.post(PAGE, {"act": "begin"}, follow=True))
    factor = SecondFactor.objects.get()
    assert "<svg" in page and factor.key_text in page
    page = text_of(browser.post(PAGE, {"act": "confirm", "code": app_code(factor)}))
    codes = re.findall(r"<code>([0-9a-f]{5}-[0-9a-f]{5})</code>", page)
    assert len(set(codes)) == RECOVERY_CODES
    # Each digit is drawn: of ten codes, all have the same one somewhere in one of 7 billion runs.
    assert [len(set(digits)) > 1 for digits in zip(*codes, strict=True)] == [True] * 5 + [False] + [True] * 5
    page = text_of(browser.get(PAGE))
    assert is_inside(browser)
    assert codes[0] not in page and factor.key_text not in page

    unmanaged = Browser()
    assert "Enter the current code" in text_of(try_to_sign_in(unmanaged))
    assert not is_inside(unmanaged)
    assert try_to_sign_in(unmanaged, code=app_code(factor, steps_ahead=1)).status_code == 302
    assert is_inside(unmanaged)
    lost_phone = Browser()
    assert try_to_sign_in(lost_phone, code=codes[3].upper()).status_code == 302
    assert is_inside(lost_phone)
    assert f"{RECOVERY_CODES - 1} recovery codes left" in text_of(lost_phone.get(PAGE))
    assert "is wrong" in text_of(try_to_sign_in(code=codes[3]))


def test_its_key_is_shown_in_the_session_alone_that_began_to_set_it_up(user):
    """Who found another session open can't note the key that the user confirms."""
    browser, other = Browser(), Browser()
    for each in (browser, other):
        assert try_to_sign_in(each).status_code == 302
    other.post(PAGE, {"act": "begin"})
    noted = SecondFactor.objects.get()
    assert noted.key_text in text_of(other.get(PAGE))
    page = text_of(browser.get(PAGE))
    assert noted.key_text not in page and "<svg" not in page and 'value="begin"' in page
    assert "recovery codes" not in text_of(browser.post(PAGE, {"act": "confirm", "code": app_code(noted)}))
    assert not SecondFactor.objects.get().confirmed

    page = text_of(browser.post(PAGE, {"act": "begin"}, follow=True))
    factor = SecondFactor.objects.get()
    assert factor.key != noted.key and factor.key_text in page
    assert factor.key_text not in text_of(other.get(PAGE))
    assert "recovery codes" in text_of(browser.post(PAGE, {"act": "confirm", "code": app_code(factor)}))


def test_a_code_is_taken_once(factor):
    code = app_code(factor)
    assert try_to_sign_in(code=code).status_code == 302
    assert "is wrong" in text_of(try_to_sign_in(code=code))


@pytest.mark.parametrize(("steps_ahead", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_taken_within_90_seconds(factor, steps_ahead, taken, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    assert factor.verify_token(app_code(factor, steps_ahead)) is taken


def test_with_a_wrong_password_a_right_code_is_neither_requested_nor_used_up(factor):
    code = app_code(factor)
    page = text_of(try_to_sign_in(password="wrong", code=code))
    assert "is wrong" not in page and "Enter the current code" not in page
    assert try_to_sign_in(code=code).status_code == 302


def test_wrong_codes_count_like_wrong_passwords(factor):
    for _ in range(4):
        assert try_to_sign_in(code="000000").status_code == 200
        may_try_again(factor)
    assert try_to_sign_in(code="000000").status_code == 429
    may_try_again(factor)
    assert try_to_sign_in(code=app_code(factor)).status_code == 429


def test_after_a_wrong_code_no_address_can_try_one_for_a_moment(factor):
    assert not factor.verify_token("000000")
    assert not factor.verify_token(app_code(factor))
    may_try_again(factor)
    factor.refresh_from_db()
    assert factor.verify_token(app_code(factor))


@pytest.mark.parametrize("code", ["", " ", "12345", "1234567", "٣٣٣٣٣٣", "abcdef", "x" * 20])
def test_nonsense_is_no_code(code, factor):
    assert not factor.verify_token(code)


def test_a_session_from_before_the_second_factor_has_ended(user):
    browser, elsewhere = Browser(), Browser()
    try_to_sign_in(browser)
    try_to_sign_in(elsewhere)
    browser.post(PAGE, {"act": "begin"})
    assert is_inside(elsewhere)  # it counts from its first code on
    browser.post(PAGE, {"act": "confirm", "code": app_code(SecondFactor.objects.get())})
    assert is_inside(browser)
    assert not is_inside(elsewhere)
    assert LOGIN in elsewhere.get(PAGE)["Location"]


def test_changing_it_takes_a_code(user, factor):
    browser = Browser()
    try_to_sign_in(browser, code=app_code(factor, steps_ahead=-1))
    before = SecondFactor.objects.values().get()
    for act in ("renew", "remove", "confirm", "begin", "nonsense"):
        browser.post(PAGE, {"act": act, "code": ""})
    assert SecondFactor.objects.values().get() == before
    browser.post(PAGE, {"act": "remove", "code": "000000"})
    assert SecondFactor.objects.exists()
    may_try_again(factor)
    assert browser.post(PAGE, {"act": "renew", "code": app_code(factor)}).context["recovery_codes"]
    browser.post(PAGE, {"act": "remove", "code": app_code(factor, steps_ahead=1)})
    assert not SecondFactor.objects.exists()
    assert is_inside(browser)


def test_where_it_is_required_nothing_opens_before_it_is_set_up(user, settings):
    settings.REQUIRE_SECOND_FACTOR = True
    browser = Browser()
    try_to_sign_in(browser)
    for page in (reverse("admin:index"), reverse("admin:bots_bot_changelist"), reverse("admin:password_change")):
        assert browser.get(page)["Location"] == PAGE
    fragment = browser.get(reverse("admin:operations_operation_live", args=[1]), headers={"hx-request": "true"})
    assert (fragment["HX-Refresh"], fragment.content) == ("true", b"")
    assert "Set it up to continue" in text_of(browser.get(PAGE))
    browser.post(PAGE, {"act": "begin"})
    assert not is_inside(browser)
    browser.post(PAGE, {"act": "confirm", "code": app_code(SecondFactor.objects.get())})
    assert is_inside(browser)


def test_an_administrator_removes_the_second_factor_of_who_lost_it(user, factor, admin_client):
    users = reverse("admin:auth_user_changelist")
    admin_client.post(users, {"action": "remove_second_factor", "_selected_action": [user.pk]})
    assert not SecondFactor.objects.exists()
    assert try_to_sign_in().status_code == 302
    assert "Removed two-factor authentication" in text_of(admin_client.get(url_of(user, "history")))


def test_an_administrator_removes_the_own_second_factor_with_a_code_like_everybody(user, factor):
    user.groups.set([Group.objects.get(name="Administrator")])
    browser = Browser()
    try_to_sign_in(browser, code=app_code(factor))
    users = reverse("admin:auth_user_changelist")
    page = browser.post(users, {"action": "remove_second_factor", "_selected_action": [user.pk]}, follow=True)
    assert "which asks for a code" in text_of(page)
    assert SecondFactor.objects.exists()


def test_neither_the_key_nor_the_recovery_codes_lie_in_the_database_as_they_are(factor):
    from django.db import connection

    codes = factor.renew_recovery_codes()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM controlpanel_secondfactor")
        text = " ".join(
            bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
            for value in cursor.fetchone()
        )
    assert factor.key not in text
    for code in (part.replace("-", "") for part in codes):
        assert code not in text
        assert hashlib.sha256(code.encode()).hexdigest() not in text, "hashed without a key, it can be guessed"
    assert factor.key not in f"{factor} {factor!r}"


def test_a_key_that_cannot_be_decrypted_accepts_no_code_and_breaks_no_page(user, factor, settings, admin_client):
    from cryptography.fernet import Fernet
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE controlpanel_secondfactor SET key = %s", [Fernet(Fernet.generate_key()).encrypt(b"x")])
    assert "is wrong" in text_of(try_to_sign_in(code="123456"))
    assert admin_client.get(reverse("admin:auth_user_changelist")).status_code == 200


# --- without a role ---


def test_staff_without_a_role_see_what_to_do(db, browse):
    browser = browse(User.objects.create_user("nobody", is_staff=True))
    for page in (reverse("admin:index"), reverse("admin:bots_bot_changelist")):
        answer = browser.get(page)
        assert answer.status_code == 403
        assert "Ask an administrator" in text_of(answer)
    assert browser.get(PAGE).status_code == 200
    assert browser.get(reverse("admin:password_change")).status_code == 200


def test_the_host_can_end_a_pause_from_the_command_line(user):
    for _ in range(5):
        try_to_sign_in(password="wrong")
    call_command("axes_reset_username", "mia", verbosity=0)
    assert try_to_sign_in().status_code == 302


def test_the_sign_in_page_says_what_is_wrong_in_one_sentence_and_who_needs_a_code(user):
    page = text_of(try_to_sign_in(password="wrong"))
    assert "Wrong username, password or code." in page and "staff account" not in page
    assert "Two-factor code (only if you use one)" in page


def test_who_knows_the_password_cannot_keep_the_user_from_the_second_factor(user, factor, admin_client):
    for _ in range(30):
        may_try_again(SecondFactor.objects.get())
        SecondFactor.objects.update(throttling_failure_count=20)
        factor.refresh_from_db()
        factor.verify_token("000000")
    factor.refresh_from_db()
    assert 2**factor.throttling_failure_count <= 600, "seconds"
    users = reverse("admin:auth_user_changelist")
    admin_client.post(users, {"action": "unlock", "_selected_action": [user.pk]})
    factor.refresh_from_db()
    assert factor.verify_is_allowed()[0]


def test_a_right_password_without_its_code_is_in_the_trail(user, factor):
    try_to_sign_in()
    event = AuditEvent.objects.latest("pk")
    assert (event.verb, event.user, event.outcome) == ("failed to sign in", user, "failed")
    assert event.detail == "The password was right, the code was missing."


def test_a_sign_in_with_a_password_makes_a_new_session_in_a_cookie(user):
    browser = Browser()
    browser.get(PAGE)
    session = browser.session
    session["begun"] = True
    session.save()
    before = session.session_key
    answer = try_to_sign_in(browser)
    assert answer.status_code == 302
    assert browser.session.session_key != before
    assert browser.session.session_key not in answer["Location"]
    cookie = browser.cookies["sessionid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
