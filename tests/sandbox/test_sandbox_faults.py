"""Each fault of the sandbox, as a client meets it."""

import threading
import time

import pytest
import requests

from sandbox import Sandbox, server

DEPLOY = "/bot-orchestration/deploy-v2-script"
BODY = {"instance_name": "hummingbot-x", "credentials_profile": "master_account", "headless": True}


@pytest.fixture
def sandbox():
    with Sandbox(speed=20).serve() as sandbox:
        yield sandbox


@pytest.fixture
def call(sandbox):
    """Send a request with the login, on one connection that is kept alive."""
    with requests.Session() as session:
        session.auth = ("admin", "admin")

        def call(method, path, timeout=5, **options):
            return session.request(method, sandbox.url + path, timeout=timeout, **options)

        yield call


def test_an_unknown_fault_is_refused(sandbox):
    with pytest.raises(ValueError, match="no fault 'bogus'"):
        sandbox.faults.add("bogus")


def test_a_fault_spoils_only_its_path_its_method_and_as_many_requests_as_it_says(sandbox, call):
    sandbox.faults.add("tunnel_offline", path="/accounts", method="GET", times=1)
    assert call("GET", "/scripts/").status_code == 200
    assert call("POST", "/accounts/add-account?account_name=x").status_code == 201
    assert call("GET", "/accounts/").status_code == 404
    assert call("GET", "/accounts/").status_code == 200


def test_wrong_password(sandbox, call):
    sandbox.faults.add("wrong_password")
    assert call("GET", "/accounts/").json() == {"detail": "Incorrect username or password"}
    assert call("GET", "/").status_code == 200


def test_refused_connection_until_cleared(sandbox, call):
    call("GET", "/")
    sandbox.faults.add("refused_connection")
    with pytest.raises(requests.ConnectionError):
        call("GET", "/")
    sandbox.faults.clear()
    assert call("GET", "/").status_code == 200


def test_time_out_before_has_no_effect(sandbox, call):
    sandbox.faults.add("time_out_before", path=DEPLOY)
    with pytest.raises(requests.ReadTimeout):
        call("POST", DEPLOY, timeout=0.1, json=BODY)
    assert not sandbox.world.instances
    assert sandbox.requests[-1].status == 0


def test_time_out_after_takes_effect(sandbox, call):
    sandbox.faults.add("time_out_after", path=DEPLOY, times=1)
    with pytest.raises(requests.ReadTimeout):
        call("POST", DEPLOY, timeout=0.1, json=BODY)
    deadline = time.monotonic() + 5
    while not sandbox.world.live("hummingbot-x"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sandbox.world.clock.advance(1)  # its name has the second
    assert call("POST", DEPLOY, json=BODY).json()["success"] is True


def test_a_hanging_request_does_not_keep_the_sandbox_from_stopping():
    with Sandbox().serve() as sandbox:
        sandbox.faults.add("time_out_before")
        with pytest.raises(requests.ReadTimeout):
            requests.get(sandbox.url, timeout=0.1)
        leaving = time.perf_counter()
    assert time.perf_counter() - leaving < 5


@pytest.mark.parametrize("fault", [True, False])
def test_after_a_plain_500_the_next_request_on_the_connection_is_reset(sandbox, call, fault):
    if fault:
        sandbox.faults.add("server_error", times=1)
    answer = call("GET", "/accounts/" if fault else "/connectors/nope/config-map")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "connection" not in answer.headers
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        call("GET", "/accounts/")
    assert call("GET", "/accounts/").status_code == 200


def test_the_interstitial_is_shown_to_those_who_do_not_skip_it(sandbox, call):
    sandbox.faults.add("html_interstitial")
    page = call("GET", "/accounts/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    skipping = {"ngrok-skip-browser-warning": "true"}
    assert call("GET", "/accounts/", headers=skipping).json() == ["master_account"]
    sandbox.faults.add("html_interstitial", always=True)
    assert "ngrok" in call("GET", "/accounts/", headers=skipping).text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("tunnel_offline", 404, "ERR_NGROK_3200"), ("tunnel_backend_down", 502, "ERR_NGROK_8012")],
)
def test_the_tunnel_answers_with_its_code(sandbox, call, fault, status, code):
    sandbox.faults.add(fault)
    page = call("GET", "/")
    assert (page.status_code, page.headers["ngrok-error-code"]) == (status, code)
    assert code in page.text


def test_truncated_json_ends_before_its_length(sandbox, call):
    sandbox.faults.add("truncated_json", times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError), match="IncompleteRead"):
        call("GET", "/")
    assert call("GET", "/").status_code == 200


def test_slow_answers_late(sandbox, call):
    sandbox.faults.add("slow", seconds=4)
    started = sandbox.world.clock.now()
    assert call("GET", "/").status_code == 200
    assert sandbox.world.clock.now() - started >= 4


def test_without_docker_containers_and_deploys_fail_with_200(sandbox, call):
    sandbox.faults.add("docker_down")
    assert call("GET", "/docker/running").json() is False
    assert call("POST", DEPLOY, json=BODY).json()["success"] is False
    assert isinstance(call("POST", "/docker/start-container/x").json(), str)
    assert isinstance(call("GET", "/docker/active-containers").json(), str)
    assert not sandbox.world.instances


def test_without_mqtt_no_bot_is_connected_or_commanded(sandbox, call):
    name = call("POST", DEPLOY, json=BODY).json()["unique_instance_name"]
    sandbox.world.clock.advance(21)
    sandbox.faults.add("mqtt_down")
    mqtt = call("GET", "/bot-orchestration/mqtt").json()["data"]
    assert (mqtt["mqtt_connected"], mqtt["discovered_bots"]) == (False, [])
    stop = call("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})
    assert stop.json() == {"status": "success", "response": {"success": False}}


@pytest.mark.parametrize("leaves_file", [False, True])
def test_the_exchange_refuses_a_key(sandbox, call, leaves_file):
    sandbox.faults.add("exchange_refuses_key", message="IP not allowed", leaves_file=leaves_file)
    key = {"binance_api_key": "k", "binance_api_secret": "s"}
    answer = call("POST", "/accounts/add-credential/master_account/binance", json=key)
    assert (answer.status_code, answer.json()) == (400, {"detail": "IP not allowed"})
    listed = call("GET", "/accounts/master_account/credentials").json()
    assert listed == (["binance"] if leaves_file else [])


def test_a_server_that_is_stuck_does_not_hold_up_its_end(monkeypatch):
    monkeypatch.setattr(server, "_PATIENCE_SECONDS", 0.1)
    released = threading.Event()
    with Sandbox().serve() as stuck:
        stuck._serving._loop.call_soon_threadsafe(released.wait)
        with pytest.raises(TimeoutError):
            stuck.reset()
    released.set()
