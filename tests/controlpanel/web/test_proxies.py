"""Behind proxies and probes: the allowed host names, and the page's text when a proxy withholds something."""

import pytest
from django.test import Client as Browser
from django.urls import reverse

import controlpanel.starting.checks as checks
from tests.controlpanel.conftest import text_of

PANEL = "panel.example.com"


@pytest.fixture
def production(settings):
    """What the panel's settings are in production, as far as proxies see it."""
    settings.ALLOWED_HOSTS = [PANEL]
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.TRUSTED_PROXIES = 1


@pytest.fixture
def uncounted(production, settings):
    """The same, where no proxy is counted: anyone could have sent its headers."""
    settings.SECURE_PROXY_SSL_HEADER, settings.TRUSTED_PROXIES = None, 0


def behind(**headers: str) -> Browser:
    return Browser(enforce_csrf_checks=True, headers=headers)


# --- probes ---

HOSTS = ["healthcheck.railway.app", "10.0.3.7:8000", "[fd12::7]:8000", "localhost", "not a host", ""]


@pytest.mark.parametrize("host", HOSTS)
def test_probes_are_answered_whatever_their_host_header_is(host, production, db, caplog):
    browser = behind(host=host)
    assert browser.get("/healthz").json() == {"status": "alive"}
    assert browser.get("/readyz").json()["database"] is True
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("host", HOSTS[:2])
@pytest.mark.parametrize("path", ["/admin/login/", "/", "/bots", "/healthz/x", "/admin/healthz"])
def test_everything_else_still_needs_an_allowed_host(host, path, production, db, caplog):
    assert behind(host=host, **{"x-forwarded-proto": "https"}).get(path).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "web", "<b>evil</b>", ""])
def test_a_host_header_that_a_proxy_changed_is_named_with_its_setting(host, production, db):
    response = behind(host=host, **{"x-forwarded-proto": "https"}).get("/admin/login/")
    text = text_of(response)
    assert f"the host name “{host}”" in text and "ALLOWED_HOSTS" in text and "docs/hosting.md" in text
    assert "<b>evil" not in response.content.decode()


# --- redirect loops ---


def follow(browser: Browser, path: str = "/admin/login/", times: int = 6):
    """What a browser sees that follows redirects to https while its proxy passes on plain http."""
    for _ in range(times):
        response = browser.get(path)
        if response.status_code != 301:
            return response
    return response


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-forwarded-for": "203.0.113.7"},
        {"x-forwarded-proto": "http"},
        {"x-forwarded-proto": "https, http"},
    ],
)
def test_a_redirect_that_leads_nowhere_ends_with_its_cause(headers, production, db):
    response = follow(behind(host=PANEL, **headers))
    assert response.status_code == 400
    text = text_of(response)
    assert "keeps redirecting" in text and "X-Forwarded-Proto" in text and "docs/hosting.md" in text
    assert ("“http" in text) == ("x-forwarded-proto" in headers)


@pytest.mark.parametrize("path", ["/", "/admin/", "/reports/nowhere/", "/reports/"])
def test_so_does_one_from_any_page(path, production, db):
    answer = follow(behind(host=PANEL), path)
    assert (answer.status_code, "Redirect loop" in answer.text) == (400, True)


def test_a_proxy_that_is_not_counted_is_the_cause(uncounted, db):
    browser = behind(host=PANEL, **{"x-forwarded-proto": "https"})
    assert "TRUSTED_PROXIES" in browser.get("/admin/login/").content.decode()
    text = text_of(follow(browser))
    assert "TRUSTED_PROXIES is 0" in text and "set TRUSTED_PROXIES to the number of proxies" in text
    problem = follow(behind(host=PANEL, **{"x-forwarded-proto": "https"}), "/bots").json()
    assert "TRUSTED_PROXIES is 0" in problem["detail"] and "TRUSTED_PROXIES" in problem["remedy"]


def test_a_form_behind_a_proxy_that_is_not_counted_names_the_setting(uncounted, settings, db):
    settings.SECURE_SSL_REDIRECT = False
    text = text_of(send_form(f"https://{PANEL}", host=PANEL, **{"x-forwarded-proto": "https"}))
    assert "set TRUSTED_PROXIES to the number of proxies" in text and "send “X-Forwarded-Proto" not in text


@pytest.mark.parametrize(("proxies", "named"), [(0, True), (1, False)])
def test_a_start_without_a_counted_proxy_says_what_follows(proxies, named, production, settings, caplog, db):
    settings.TRUSTED_PROXIES, settings.PRODUCTION = proxies, True
    checks.warn_of_uncounted_proxies()
    assert ("TRUSTED_PROXIES is 0" in caplog.text) == named


def test_the_json_api_names_the_cause_as_a_problem(production, db):
    response = follow(behind(host=PANEL), "/bots")
    assert response.status_code == 400
    assert response.json()["code"] == "https_not_recognized"
    assert "X-Forwarded-Proto" in response.json()["remedy"]


def test_the_redirect_itself_explains_what_to_do_if_it_repeats(production, db):
    response = behind(host=PANEL).get("/admin/login/")
    assert response.status_code == 301
    assert "X-Forwarded-Proto" in response.content.decode()


def test_a_proxy_that_names_the_scheme_is_redirected_and_let_in(production, db):
    browser = behind(host=PANEL)
    for _ in range(6):
        assert browser.get("/admin/login/", headers={"x-forwarded-proto": "http"}).status_code == 301
        assert browser.get("/admin/login/", headers={"x-forwarded-proto": "https"}).status_code == 200


def test_an_unknown_cookie_causes_no_error(production, db):
    browser = behind(host=PANEL)
    for value in ("x", "-1", "9" * 5000, "²"):
        browser.cookies["https_redirects"] = value
        assert browser.get("/").status_code in {301, 400}


@pytest.mark.parametrize(
    ("proxies", "sent", "secure"),
    [
        # A proxy that replaces what it was sent, or passes on what the one before it has set.
        *((proxies, scheme, scheme == "https") for proxies in (1, 2, 3) for scheme in ("https", "http")),
        # Proxies that append: what comes before the counted ones is the caller's own.
        (1, "https, http", False),
        (1, "https,http", False),  # two lines of the header, as gunicorn joins them
        (1, "http, https", True),
        (1, "https, https, http", False),
        (2, "https, http, http", False),
        (2, "https, http, https", False),
        (2, "http, https, http", True),
        (2, "https, http", True),
        (2, "http, https", False),
        (3, "https, http, https, https", False),
        (3, "https, http", True),
        # What names no scheme is none.
        (1, "https,", False),
        (1, "https, ", False),
        (2, ",https", False),
        (1, "https http", False),
        (1, ",", False),
        (0, "https", False),
        (0, "http, https", False),
    ],
)
def test_the_scheme_is_the_one_that_the_outermost_counted_proxy_wrote(proxies, sent, secure, production, settings, db):
    settings.TRUSTED_PROXIES = proxies
    if not proxies:
        settings.SECURE_PROXY_SSL_HEADER = None
    answers = [behind(host=PANEL, **{"x-forwarded-proto": sent}).get(path) for path in ("/admin/login/", "/bots")]
    assert [answer.status_code for answer in answers] == ([200, 401] if secure else [301, 301])


def test_a_form_is_of_the_scheme_that_the_counted_proxy_wrote(production, settings, db):
    settings.SECURE_SSL_REDIRECT = False
    response = send_form(f"https://{PANEL}", host=PANEL, **{"x-forwarded-proto": "https, http"})
    assert response.status_code == 403 and "This address is not trusted" in text_of(response)
    assert f"the proxy requested http://{PANEL}" in text_of(response)


# --- forms from an origin that is not trusted ---


def send_form(origin: str | None, **headers: str):
    browser = behind(**headers)
    if origin is not None:
        headers["origin"] = origin
    return browser.post(reverse("admin:login"), {"username": "x"}, headers=headers)


def test_a_lost_port_is_named_with_its_setting(production, db):
    response = send_form(f"https://{PANEL}:8443", host=PANEL, **{"x-forwarded-proto": "https"})
    text = text_of(response)
    assert response.status_code == 403
    assert "has expired" not in text
    assert f"https://{PANEL}:8443" in text and f"https://{PANEL}" in text
    assert f"CSRF_TRUSTED_ORIGINS=https://{PANEL}:8443" in text
    assert "Host" in text and "docs/hosting.md" in text


def test_a_lost_scheme_is_named_with_its_header(production, settings, db):
    settings.SECURE_SSL_REDIRECT = False
    text = text_of(send_form(f"https://{PANEL}", host=PANEL))
    assert "has expired" not in text
    assert "X-Forwarded-Proto" in text


def test_a_changed_host_name_is_named(production, settings, db):
    settings.ALLOWED_HOSTS = [PANEL, "web"]
    text = text_of(send_form(f"https://{PANEL}", host="web", **{"x-forwarded-proto": "https"}))
    assert f"CSRF_TRUSTED_ORIGINS=https://{PANEL}" in text


@pytest.mark.parametrize("origin", ["https://evil.example.com", "https://<b>evil</b>", "http://[", "https://x.y:port"])
def test_no_advice_to_trust_another_site_is_given(origin, production, db):
    text = text_of(send_form(origin, host=PANEL, **{"x-forwarded-proto": "https"}))
    assert "CSRF_TRUSTED_ORIGINS" not in text
    assert "another site" in text
    assert "<b>evil" not in send_form(origin, host=PANEL, **{"x-forwarded-proto": "https"}).content.decode()


@pytest.mark.parametrize("origin", ["null", None])
def test_a_browser_that_withholds_the_origin_gets_an_explanation(origin, production, db):
    text = text_of(send_form(origin, host=PANEL, **{"x-forwarded-proto": "https"}))
    assert "has expired" not in text
    assert "did not report" in text and "CSRF_TRUSTED_ORIGINS" not in text


def test_a_form_without_its_token_is_still_too_old(production, db):
    text = text_of(send_form(f"https://{PANEL}", host=PANEL, **{"x-forwarded-proto": "https"}))
    assert "has expired" in text


# --- refusals in the log ---


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/admin/bots/bot/?client__name__startswith=x", PANEL),
        ("/admin/auth/user/?password__startswith=pbkdf2", PANEL),
        ("/admin/bots/bot/?strategy__source__contains=a", PANEL),
        ("/admin/bots/deployment/?bot__client__server__password__gt=a", PANEL),
        ("/admin/", "evil.example.com"),
    ],
)
def test_a_refused_request_is_a_warning_of_one_line(path, host, production, admin_user, console):
    browser = behind(host=host, **{"x-forwarded-proto": "https"})
    browser.force_login(admin_user)
    assert browser.get(path).status_code == 400
    lines = console.getvalue().splitlines()
    assert 0 < len(lines) <= 2
    assert all(" WARNING " in line for line in lines)
