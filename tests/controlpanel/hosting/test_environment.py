"""The environment's values: what the panel takes from them, and the sentence for each that it can't use."""

import pytest

from controlpanel import environment
from controlpanel.access.roles import ROLES
from tests.controlpanel.hosting.test_hosting import NEEDED, ROOT, start

SECRET = "p%40ss-hunted"


def test_the_queue_in_postgresql_takes_one_connection_for_all_threads(monkeypatch):
    monkeypatch.setenv("QUEUE_URL", "")
    assert environment.queue({"ENGINE": "django.db.backends.postgresql", "NAME": "panel"})["blocking"] is False


def test_the_mail_server_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("EMAIL_URL", "smtp+tls://panel:p%40ss@mail.example.com:587")
    reported = environment.mail()
    assert (reported["EMAIL_HOST"], reported["EMAIL_PORT"], reported["EMAIL_USE_TLS"]) == (
        "mail.example.com",
        587,
        True,
    )
    assert (reported["EMAIL_HOST_USER"], reported["EMAIL_HOST_PASSWORD"]) == ("panel", "p@ss")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "develpment"),
        ("DEBUG", "perhaps"),
        ("CSRF_TRUSTED_ORIGINS", "https://panel.example.com,panel.example.com"),
        ("DATABASE_URL", SECRET),
        ("DATABASE_URL", f"mysql://panel:{SECRET}@db.example.com/panel"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com:five/panel"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com/panel?conn_max_age=ten"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com/panel?conn_health_checks=off"),
        ("QUEUE_URL", f"amqp://panel:{SECRET}@queue.example.com"),
        ("QUEUE_URL", f"redis://panel:{SECRET}@queue.example.com:six"),
        ("EMAIL_URL", "mail.example.com"),
        ("EMAIL_URL", f"https://{SECRET}@mail.example.com"),
        ("EMAIL_URL", f"smtp://mail:{SECRET}"),
        ("PANEL_URL", "panel.example.com"),
        ("HUMMINGBOT_API_URL", "http://bots.example.com:80000"),
        ("TIME_ZONE", "Mars/Jezero"),
        ("TIME_ZONE", "../UTC"),
        ("LOG_LEVEL", "LOUD"),
        ("SECURE_HSTS_SECONDS", "1y"),
        ("KEY_ROTATION_DAYS", "-1"),
        ("PORT", "65536"),
        ("WORKER_THREADS", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_a_sentence_without_being_shown(name, value, monkeypatch, recwarn):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refusal:
        environment.require_configuration()
    heading, *sentences = str(refusal.value).splitlines()
    assert heading == "The control panel does not start:"
    assert [sentence.partition(" is not valid: it must be ")[0] for sentence in sentences] == [f"- {name}"]
    assert "hunted" not in str(refusal.value) + "".join(str(warning.message) for warning in recwarn)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com:5432/panel?sslmode=require"),
        ("DATABASE_URL", "postgresql:///panel"),
        ("DATABASE_URL", "sqlite:////data/panel.sqlite3"),
        ("QUEUE_URL", f"rediss://:{SECRET}@queue.example.com:6380/1"),
        ("EMAIL_URL", f"smtp+ssl://panel:{SECRET}@mail.example.com:465"),
        ("CSRF_TRUSTED_ORIGINS", "https://panel.example.com,https://*.example.org"),
        ("HUMMINGBOT_API_URL", "http://10.0.0.7:8000/"),
        ("TIME_ZONE", "Europe/Berlin"),
        ("DEBUG", "No"),
        ("KEY_ROTATION_DAYS", "0"),
        ("WEB_CONCURRENCY", ""),
    ],
)
def test_a_value_that_can_be_used_is_taken(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    environment.require_configuration()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setattr(environment, "DATA_DIR", tmp_path / "file" / "folder")
    with pytest.raises(SystemExit, match=r"The folder DATA_DIR can't be created: Not a directory\."):
        environment.database()


# --- in production ---

#: As many as may be repeated, and one more.
FEW, ENOUGH = "abcd" * 16, "abcde" * 16


@pytest.mark.parametrize(
    "line", ["SECRET_KEY = {}", "FERNET_KEYS: {}", "  HUMMINGBOT_API_PASSWORD={}", "export  SECRET_KEY={}", "{}"]
)
def test_a_line_of_the_file_that_sets_nothing_is_refused_by_its_number_and_not_shown(line, tmp_path):
    (tmp_path / "controlpanel").mkdir()
    for name in ("controlpanel/environment.py", "gunicorn.conf.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".env").write_text(f"# The panel's.\n\n  # PORT=1\nPORT=9123\n{line.format(SECRET)}\nexport BIND=\n")
    for command in (
        ["-m", "gunicorn", "--print-config", "x:y"],
        ["-c", "import controlpanel.environment as e; e.require_configuration()"],
    ):
        answer = start(*command, cwd=tmp_path, **NEEDED)
        assert answer.returncode != 0
        assert "Line 5 of .env can't be read. Write NAME=value" in answer.stderr
        assert answer.stderr.count("- ") == 1
        assert SECRET not in answer.stdout + answer.stderr


def test_a_file_that_is_no_text_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "controlpanel").mkdir()
    (tmp_path / "controlpanel" / "environment.py").write_text((ROOT / "controlpanel" / "environment.py").read_text())
    (tmp_path / ".env").write_bytes(b"PORT=9123\nSECRET_KEY=\xff" + SECRET.encode())
    answer = start("-c", "import controlpanel.environment", cwd=tmp_path, **NEEDED)
    assert answer.returncode == 1
    assert answer.stderr.endswith("- .env is not a text in UTF-8. Save it again as one.\n")
    assert "Traceback" not in answer.stderr and SECRET not in answer.stderr


@pytest.fixture
def production(monkeypatch):
    monkeypatch.setattr(environment, "PRODUCTION", True)
    for name in ("SECRET_KEY", "FERNET_KEYS", "METRICS_TOKEN"):
        monkeypatch.setenv(name, ENOUGH)
    monkeypatch.setenv("ALLOWED_HOSTS", "panel.example.com")
    monkeypatch.setenv("DEBUG", "")
    environment.require_configuration()


@pytest.mark.parametrize("hosts", ["*", "panel.example.com,*", " *", "*,panel.example.com", "panel.example.com, * "])
def test_any_host_name_is_refused_with_what_to_list(hosts, production, monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", hosts)
    with pytest.raises(SystemExit, match=r"- ALLOWED_HOSTS accepts any host name.*List the host names.*health checks"):
        environment.require_configuration()


@pytest.mark.parametrize("scheme", ["http", "HTTP", "Http"])
def test_a_provider_of_sign_ins_in_clear_is_refused(scheme, production, monkeypatch):
    for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("OIDC_ISSUER", f"{scheme}://id.example.com")
    with pytest.raises(SystemExit, match="OIDC_ISSUER is an http:// address"):
        environment.require_configuration()


def test_a_whole_domain_may_be_allowed(production, monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", ".example.com")
    environment.require_configuration()


@pytest.mark.parametrize("name", ["SECRET_KEY", "FERNET_KEYS", "METRICS_TOKEN"])
@pytest.mark.parametrize("value", ["a" * 50, "0" * 32, FEW])
def test_a_secret_of_few_different_characters_is_refused_and_not_shown(name, value, production, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refusal:
        environment.require_configuration()
    _, sentence = str(refusal.value).splitlines()
    assert sentence.startswith(f"- {name}") and "fewer than 5 different characters. Generate one" in sentence
    assert value not in sentence


def test_an_old_key_that_was_like_that_can_be_rotated(production, monkeypatch):
    monkeypatch.setenv("FERNET_KEYS", f"{ENOUGH},{FEW}")
    environment.require_configuration()


@pytest.mark.parametrize(
    ("variables", "trusts"),
    [
        ({}, False),
        ({"TRUSTED_PROXIES": "0"}, False),
        ({"TRUSTED_PROXIES": "1"}, True),
        ({"TRUSTED_PROXIES": "2"}, True),
        ({"DYNO": "web.1", "DATABASE_URL": "sqlite:////tmp/x.sqlite3"}, True),
        ({"DYNO": "web.1", "DATABASE_URL": "sqlite:////tmp/x.sqlite3", "TRUSTED_PROXIES": "0"}, False),
    ],
)
def test_only_a_proxy_that_is_counted_is_believed_that_a_request_came_over_https(variables, trusts, tmp_path):
    ask = "from django.conf import settings; print(settings.SECURE_PROXY_SSL_HEADER)"
    module = {"DJANGO_SETTINGS_MODULE": "controlpanel.settings", "DATA_DIR": str(tmp_path), "TRUSTED_PROXIES": ""}
    answer = start("-c", ask, **NEEDED, **{**module, **variables})
    assert (answer.stdout.strip() != "None") == trusts, answer.stderr


# --- signing in ---


def test_the_roles_that_the_environment_may_name_are_those_of_the_panel():
    assert set(environment.ROLE_NAMES) == set(ROLES.values())


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "x"}, "OIDC_CLIENT_SECRET is not set"),
        (
            {
                "OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "x",
                "OIDC_ROLE_CLAIM": "groups",
            },
            "OIDC_ROLE_CLAIM and OIDC_ROLES only work together",
        ),
        ({"PASSWORD_SIGN_IN": "false"}, "nobody could sign in"),
        ({"OIDC_ROLES": "it=Boss"}, "OIDC_ROLES is not valid: it must be group=role pairs"),
        ({"OIDC_ROLES": "it"}, "OIDC_ROLES is not valid"),
        ({"OIDC_SIGNATURE": "none"}, "OIDC_SIGNATURE is not valid"),
        ({"REQUIRE_SECOND_FACTOR": "Administrator,Boss"}, "REQUIRE_SECOND_FACTOR is not valid"),
    ],
    ids=str,
)  # fmt: skip
def test_half_a_configuration_is_refused_in_a_sentence(variables, sentence, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refusal:
        environment.require_configuration()
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("", False), ("false", False), ("true", True), ("Administrator, Operator", ("Administrator", "Operator"))],
)
def test_who_needs_a_second_factor_is_everybody_nobody_or_some_roles(value, meaning):
    assert environment.roles_or_all([part for part in value.split(",") if part]) == meaning
