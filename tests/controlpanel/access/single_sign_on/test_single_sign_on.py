"""Signing in at a provider of OpenID Connect: who comes in, as which user, with which role, and what is rejected."""

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group, User
from django.test import Client as Browser
from django.urls import reverse

from audit.models import AuditEvent
from controlpanel.access import single_sign_on
from controlpanel.models import Identity, Invitation, SecondFactor
from core.second_factor import SINGLE_SIGN_ON
from tests.controlpanel.access.single_sign_on.provider import CLIENT, SECRET, Provider, running
from tests.notifications.test_pages import words

pytestmark = pytest.mark.django_db

BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "controlpanel.access.single_sign_on.SingleSignOnBackend",
]


def of_provider(provider: Provider) -> dict[str, Any]:
    """The settings of a panel whose users sign in there."""
    single_sign_on._discovered.clear()
    return {
        "OIDC_ISSUER": provider.url,
        "OIDC_NAME": "Example Inc.",
        "OIDC_RP_CLIENT_ID": CLIENT,
        "OIDC_RP_CLIENT_SECRET": SECRET,
        "OIDC_ROLE_CLAIM": "",
        "OIDC_ROLES": {},
        "AUTHENTICATION_BACKENDS": BACKENDS,
    }


@pytest.fixture
def provider(settings):
    with running() as provider:
        for name, value in of_provider(provider).items():
            setattr(settings, name, value)
        yield provider


@pytest.mark.parametrize("page", ["single_sign_on", "single_sign_on_callback"])
def test_without_a_provider_there_is_no_such_page(page):
    browser = Browser()
    assert browser.get(reverse(page)).status_code == 404
    assert "Sign in with" not in words(browser.get(reverse("admin:login")))


@pytest.fixture
def with_roles(settings, provider) -> Provider:
    settings.OIDC_ROLE_CLAIM = "groups"
    settings.OIDC_ROLES = {"trading-desk": "Account manager", "it": "Administrator"}
    provider.person["groups"] = ["everyone", "trading-desk"]
    return provider


@pytest.fixture
def mia(db) -> User:
    user = User.objects.create_user("mia", email="Mia@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    return user


def begin(browser: Browser, provider: Provider, page: str = "") -> dict[str, list[str]]:
    """Follow the link of the sign-in page to the provider, and return what the browser tells it."""
    answer = browser.get(reverse("single_sign_on"), {"next": page} if page else {})
    assert answer["Location"].startswith(f"{provider.url}/authorize?"), answer
    asked = parse_qs(urlsplit(answer["Location"]).query)
    provider.nonce = asked["nonce"][0]
    return asked


def sign_in(provider: Provider, browser: Browser | None = None, page: str = "", **changes: str):
    browser = browser or Browser()
    asked = begin(browser, provider, page)
    returned = {"code": "a-code", "state": asked["state"][0]} | changes
    return browser, browser.get(reverse("single_sign_on_callback"), returned)


def is_inside(browser: Browser) -> bool:
    return browser.get(reverse("admin:bots_bot_changelist")).status_code == 200


def sentence(browser: Browser) -> str:
    return words(browser.get(reverse("admin:login")))


def test_the_sign_in_page_leads_to_the_provider_and_back_to_the_page_that_was_asked_for(provider, mia):
    page = Browser().get(f"{reverse('admin:login')}?next=/admin/markets/")
    assert "Sign in with Example Inc." in words(page)
    assert f"{reverse('single_sign_on')}?next=/admin/markets/" in page.content.decode()
    browser, answer = sign_in(provider, page="/admin/markets/")
    assert answer["Location"] == "/admin/markets/"
    assert is_inside(browser)


def test_another_site_is_never_the_page_that_follows(provider, mia):
    _, answer = sign_in(provider, page="https://evil.example.com/")
    assert answer["Location"] == reverse("admin:index")


def test_a_user_is_found_by_the_address_once_and_by_the_subject_from_then_on(provider, mia):
    sign_in(provider)
    provider.person["email"] = "new-address@example.com"
    browser, _ = sign_in(provider)
    assert is_inside(browser)
    identity = Identity.objects.get()
    assert (identity.user, identity.subject, User.objects.count()) == (mia, "person-1", 1)


def test_somebody_else_with_the_address_of_a_linked_user_does_not_become_them(provider, mia):
    sign_in(provider)
    provider.person["sub"] = "person-2"
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "no account of the panel belongs to you" in sentence(browser)


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_the_provider_did_not_verify_is_nobodys(provider, mia, verified):
    provider.person["email_verified"] = verified
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert Identity.objects.count() == 0


@pytest.mark.parametrize(
    "resembling",
    [
        "m\u0131a@example.com",
        "M\u0130A@example.com",
        "mia@e\u0445ample.com",
        "mia@example.com\u200b",
        "miA@ExAMPLE.com",
    ],
)
def test_an_address_that_only_resembles_a_users_is_nobodys(provider, mia, resembling):
    """PostgreSQL takes a dotless i for one with a dot, in capitals."""
    provider.person["email"] = resembling
    browser, _ = sign_in(provider)
    assert is_inside(browser) is resembling.isascii()


@pytest.mark.parametrize("letter", ["\u017f", "\u212a"], ids=["long s", "Kelvin"])
def test_neither_is_one_whose_small_letters_are_a_users(provider, letter):
    User.objects.create_user("sk", email="sk@example.com", is_staff=True)
    provider.person["email"] = "sk@example.com".replace("s" if letter == "\u017f" else "k", letter)
    browser, _ = sign_in(provider)
    assert not is_inside(browser)


def test_two_users_with_one_address_are_neither(provider, mia):
    User.objects.create_user("max", email="mia@example.com", is_staff=True)
    browser, _ = sign_in(provider)
    assert not is_inside(browser)


@pytest.mark.parametrize("where", ["sub", "email", "given_name"])
@pytest.mark.parametrize("sent", ["\n2026-11-30 05:00:00,000 INFO", "\x1b[2K", "\u2028", "\u202e"], ids=ascii)
def test_the_names_of_a_new_user_have_nothing_that_can_not_be_printed(provider, settings, where, sent):
    settings.OIDC_ROLE_CLAIM, settings.OIDC_ROLES = "groups", {"traders": "Operator"}
    provider.person |= {"groups": ["traders"], where: f"mia{sent}@example.com"}
    if where == "sub":
        provider.person.pop("email")  # which would be the user's name
    browser, _ = sign_in(provider)
    user = User.objects.get()
    assert is_inside(browser)
    assert (user.username + user.email + user.first_name).isprintable() and "mia" in str(vars(user))


def test_without_an_account_the_page_says_what_to_ask_for(provider):
    browser, answer = sign_in(provider)
    assert answer["Location"] == reverse("admin:login")
    assert "Ask the panel's administrator to invite you with the e-mail address that you have there." in sentence(
        browser
    )
    assert User.objects.count() == 0


def test_a_suspended_user_stays_out(provider, mia):
    sign_in(provider)
    User.objects.update(is_active=False)
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "Your account is suspended" in sentence(browser)


# --- roles ---


def test_a_claim_gives_the_role_and_makes_the_account(with_roles):
    with_roles.person |= {"given_name": "Mia", "family_name": "Miller"}
    browser, _ = sign_in(with_roles)
    user = User.objects.get()
    assert is_inside(browser)
    assert (user.username, user.get_full_name(), user.has_usable_password()) == ("mia@example.com", "Mia Miller", False)
    assert [group.name for group in user.groups.all()] == ["Account manager"]
    assert not user.is_superuser


def test_each_sign_in_brings_the_roles_up_to_date_and_leaves_other_groups_alone(with_roles, mia):
    mia.groups.add(Group.objects.create(name="Night shift"))
    with_roles.person["groups"] = ["it"]
    sign_in(with_roles)
    assert {group.name for group in mia.groups.all()} == {"Administrator", "Night shift"}


def test_who_lost_the_groups_loses_the_roles_with_the_next_sign_in(with_roles, mia):
    sign_in(with_roles)
    with_roles.person["groups"] = []
    browser, _ = sign_in(with_roles)
    assert not is_inside(browser)
    assert not mia.groups.exists()


@pytest.mark.parametrize("groups", [None, [], "everyone", ["Administrator"], {"it": True}])
def test_without_one_of_the_groups_no_account_is_made(with_roles, groups):
    with_roles.person["groups"] = groups
    browser, _ = sign_in(with_roles)
    assert "gives you no role in the panel" in sentence(browser)
    assert User.objects.count() == 0


def test_an_invitation_is_accepted_by_signing_in(provider, mia):
    Invitation.objects.create(user=mia, origin="https://panel.example.com")
    sign_in(provider)
    assert not Invitation.objects.exists()
    [linked] = AuditEvent.objects.filter(verb__startswith="can sign in with")
    assert (linked.subject_label, linked.detail) == ("mia", "Accepted the invitation.")


def test_that_an_account_is_linked_to_somebody_at_the_provider_is_in_the_trail_once(provider, mia):
    for _ in range(2):
        sign_in(provider)
    [linked] = AuditEvent.objects.filter(verb__startswith="can sign in with")
    assert (linked.subject_label, linked.detail) == ("mia", "")


# --- lies ---


@pytest.mark.parametrize(
    "lie",
    [
        {"aud": "another-client"},
        {"aud": ["another-client", "a-third"]},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"aud": None},
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"nonce": "of-another-sign-in"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"iat": 4_000_000_000},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_is_rejected(provider, mia, lie):
    provider.token = lie
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "Example Inc. did not confirm the sign-in. Try again." in sentence(browser)


def test_a_token_with_several_audiences_names_the_one_that_it_was_given_to(provider, mia):
    provider.token = {"aud": [CLIENT, "another-client"], "azp": CLIENT}
    browser, _ = sign_in(provider)
    assert is_inside(browser)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_is_signed_in_another_way_is_rejected(provider, mia, algorithm):
    provider.algorithm = algorithm
    browser, _ = sign_in(provider)
    assert not is_inside(browser)


def test_a_token_that_somebody_else_signed_is_rejected(provider, mia):
    provider.signs_with = rsa.generate_private_key(65537, 2048)
    browser, _ = sign_in(provider)
    assert not is_inside(browser)


@pytest.mark.parametrize("about", [{"sub": "person-2"}, {"sub": None}, ["person-1"], "person-1", None, 1], ids=str)
def test_an_answer_about_somebody_else_is_rejected(provider, mia, about):
    provider.about = about
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "Example Inc. did not confirm the sign-in. Try again." in sentence(browser)


@pytest.mark.parametrize("subject", ["x" * 256, "", 1, ["person-1"], {"is": "person-1"}], ids=str)
def test_a_subject_that_is_none_is_rejected(provider, mia, subject):
    provider.person["sub"] = subject
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "Example Inc. did not confirm the sign-in. Try again." in sentence(browser)


def test_an_address_was_not_verified_because_another_one_was(provider, mia):
    """The token names an address, and the answer says that the person's is verified, which is another one's word."""
    provider.person = {"sub": "person-1", "email_verified": True}
    provider.token = {"email": "mia@example.com"}
    browser, _ = sign_in(provider)
    assert not is_inside(browser)


@pytest.mark.parametrize("changes", [{"state": "forged"}, {"code": ""}, {"error": "access_denied"}])
def test_an_answer_that_nobody_asked_for_signs_nobody_in(provider, mia, changes):
    browser, answer = sign_in(provider, **changes)
    assert answer.status_code == 302 and not is_inside(browser)
    assert "did not confirm the sign-in" in sentence(browser)


def test_another_browser_can_not_use_the_answer(provider, mia):
    asked = begin(Browser(), provider)
    other = Browser()
    other.get(reverse("single_sign_on_callback"), {"code": "a-code", "state": asked["state"][0]})
    assert not is_inside(other)


def test_an_answer_is_taken_once(provider, mia):
    browser = Browser()
    asked = begin(browser, provider)
    returned = {"code": "a-code", "state": asked["state"][0]}
    browser.get(reverse("single_sign_on_callback"), returned)
    browser.post(reverse("admin:logout"))
    browser.get(reverse("single_sign_on_callback"), returned)
    assert not is_inside(browser)


def test_the_code_is_bound_to_the_browser_by_pkce(provider, mia):
    asked = begin(browser := Browser(), provider)
    assert asked["code_challenge_method"] == ["S256"]
    browser.get(reverse("single_sign_on_callback"), {"code": "a-code", "state": asked["state"][0]})
    assert len(provider.asked[0]["code_verifier"][0]) >= 43


@pytest.mark.parametrize("wrong", [{"issuer": "https://evil.example.com"}, {"token_endpoint": None}, {"jwks_uri": 4}])
def test_a_discovery_document_that_is_another_ones_is_not_used(provider, mia, wrong):
    provider.discovery = wrong
    browser = Browser()
    assert browser.get(reverse("single_sign_on"))["Location"] == reverse("admin:login")
    assert "Example Inc. can't be reached." in sentence(browser)


def test_a_provider_that_is_down_is_named_and_signed_in_users_go_on_working(provider, mia, settings):
    browser, _ = sign_in(provider)
    provider.status = 503
    single_sign_on._discovered.clear()
    other = Browser()
    other.get(reverse("single_sign_on"))
    assert "Example Inc. can't be reached. Try again later" in sentence(other)
    assert is_inside(browser)


def test_no_secret_of_the_sign_in_is_logged_or_stored(provider, mia, caplog):
    caplog.set_level(logging.DEBUG)
    browser, _ = sign_in(provider)
    provider.token = {"iss": "wrong"}
    sign_in(provider)
    kept = caplog.text + str(dict(browser.session)) + str(list(AuditEvent.objects.values()))
    for secret in (SECRET, "planted-access-token", "a-code"):
        assert secret not in kept


# --- passwords and second factors ---


def test_passwords_can_be_switched_off(provider, mia, settings):
    mia.set_password("a long enough password")
    mia.save()
    settings.PASSWORD_SIGN_IN = False
    browser = Browser()
    page = words(browser.get(reverse("admin:login")))
    assert "Sign in with Example Inc." in page and "Password" not in page
    answer = browser.post(reverse("admin:login"), {"username": "mia", "password": "a long enough password"})
    assert answer.status_code == 200 and not is_inside(browser)


def test_a_session_that_began_at_the_provider_needs_no_second_factor_of_the_panel(provider, mia, settings):
    SecondFactor.objects.create(user=mia, confirmed=True)
    settings.REQUIRE_SECOND_FACTOR = True
    browser, _ = sign_in(provider)
    assert is_inside(browser)


def test_an_answer_that_nobody_asked_for_makes_no_session_of_a_password_one_of_the_provider(provider, mia):
    browser = Browser()
    browser.force_login(mia)
    for returned in ({}, {"code": "x", "state": "y"}, {"error": "access_denied", "state": "y"}):
        browser.get(reverse("single_sign_on_callback"), returned)
        assert SINGLE_SIGN_ON not in browser.session, returned
    assert is_inside(browser), "nor does it sign anyone out"


@pytest.mark.parametrize("before", [False, True])
def test_a_sign_in_makes_a_new_session(provider, mia, before):
    browser = Browser()
    if before:
        browser.force_login(mia)
    begin(browser, provider)
    key = browser.session.session_key
    sign_in(provider, browser)
    assert is_inside(browser) and browser.session.session_key != key
    assert browser.session[SINGLE_SIGN_ON]


def test_failures_at_the_provider_lock_nobody_out(provider, mia):
    for _ in range(8):
        sign_in(provider, code="")
    browser, _ = sign_in(provider)
    assert is_inside(browser)


def test_failures_alike_are_one_row_in_the_trail(provider):
    for _ in range(4):
        Browser().get(reverse("single_sign_on_callback"), {"error": "x"})
    assert AuditEvent.objects.filter(verb="failed to sign in").count() == 1


def test_a_superuser_is_found_by_no_address(provider, mia):
    User.objects.update(is_superuser=True)
    browser, _ = sign_in(provider)
    assert not is_inside(browser)


def test_an_address_that_was_not_verified_becomes_nobodys_name(with_roles):
    with_roles.person["email_verified"] = False
    sign_in(with_roles)
    user = User.objects.get()
    assert (user.username, user.email) == ("person-1", "")


def test_a_name_that_is_taken_is_not_taken_over(with_roles):
    for name in ("mia@example.com", "person-1"):
        User.objects.create_user(name)
    sign_in(with_roles)
    assert Identity.objects.get().user.username == "person-1-2"


def test_a_session_of_a_password_ends_when_passwords_are_switched_off(provider, mia, settings):
    browser = Browser()
    browser.force_login(mia)
    assert is_inside(browser)
    settings.PASSWORD_SIGN_IN = False
    assert not is_inside(browser)


@pytest.mark.parametrize(("role", "needs"), [("Administrator", True), ("Viewer", False), ("", True)])
def test_a_second_factor_can_be_required_of_some_roles(role, needs, db, settings):
    settings.REQUIRE_SECOND_FACTOR = ("Administrator", "Operator")
    user = User.objects.create_user("ann", is_staff=True, is_superuser=not role)
    user.groups.set(Group.objects.filter(name=role))
    browser = Browser()
    browser.force_login(user)
    assert (browser.get("/admin/").status_code == 302) == needs


def test_it_is_in_the_trail(provider, mia):
    sign_in(provider)
    event = AuditEvent.objects.latest("pk")
    assert (event.verb, event.user) == ("signed in", mia)
    provider.token = {"iss": "wrong"}
    sign_in(provider)
    assert AuditEvent.objects.latest("pk").verb == "failed to sign in"
