"""What a server's check keeps of its controllers."""

from dataclasses import replace

import pytest

from operations.models import State
from sandbox.catalog import CONTROLLERS

BOLLINGER = ("directional_trading", "bollinger_v1")
TEMPLATES = "/config/template"


def templates_asked(sandbox):
    return sum(request.path.endswith(TEMPLATES) for request in sandbox.requests)


def kept(server):
    return {str(c): c for c in server.controllers.all()}


def test_a_check_keeps_the_settings_of_every_controller_and_why_one_has_none(server, perform):
    operation = perform("check_server", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    found = kept(server)
    assert found.keys() == {"/".join(key) for key in CONTROLLERS}
    pmm = found["generic/pmm_v1"]
    assert [s["name"] for s in pmm.settings][:2] == ["id", "controller_name"]
    assert (pmm.version, pmm.problem) == ("1.0.1", "")
    broken = found["generic/lp_rebalancer"]
    assert broken.settings == []
    assert "configuration class" in broken.problem
    assert "lp_rebalancer" in operation.steps.get(key="controllers").detail


def test_a_check_of_a_server_with_many_broken_controllers_and_a_long_version_ends(server, perform, sandbox):
    broken = sandbox.world.controllers["generic", "lp_rebalancer"]
    for number in range(40):
        name = f"broken_controller_{number}"
        sandbox.world.controllers["generic", name] = replace(broken, name=name)
    sandbox.world.version = "1.0.1+" + "f" * 60
    operation = perform("check_server", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "broken_controller_39" in operation.steps.get(key="controllers").detail
    assert server.version.startswith("1.0.1+ff")
    sandbox.requests.clear()
    perform("check_server", server)
    assert templates_asked(sandbox) == 41  # the broken ones only: the version is known again


def test_settings_are_read_once_for_each_version(server, perform, sandbox):
    perform("check_server", server)
    sandbox.requests.clear()
    perform("check_server", server)
    assert templates_asked(sandbox) == 1  # the broken one, which may have been fixed
    sandbox.world.version = "1.1.0"
    perform("check_server", server)
    assert templates_asked(sandbox) == 1 + len(CONTROLLERS)
    assert {c.version for c in server.controllers.all()} == {"1.1.0"}


def test_they_are_read_again_on_request(server, perform, sandbox):
    perform("check_server", server)
    bollinger = sandbox.world.controllers[BOLLINGER]
    sandbox.world.controllers[BOLLINGER] = replace(bollinger, settings={"interval": ("5m", "<class 'str'>")})
    operation = perform("read_controllers", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    (setting,) = kept(server)["directional_trading/bollinger_v1"].settings
    assert setting == {"name": "interval", "type": "<class 'str'>", "default": "5m", "required": False}


def test_a_removed_or_new_controller_is_noticed_without_a_new_version(server, perform, sandbox):
    perform("check_server", server)
    controller = sandbox.world.controllers.pop(BOLLINGER)
    sandbox.world.controllers["generic", "new"] = replace(controller, controller_type="generic", name="new")
    perform("check_server", server)
    assert "directional_trading/bollinger_v1" not in kept(server)
    assert kept(server)["generic/new"].settings


@pytest.mark.parametrize("fault", ["server_error", "truncated_json"])
def test_a_template_that_fails_takes_neither_the_check_nor_the_others_down(fault, server, perform, sandbox):
    sandbox.faults.add(fault, path="/controllers/generic/pmm_v1/config")
    operation = perform("check_server", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert kept(server)["generic/pmm_v1"].problem
    assert kept(server)["generic/grid_strike"].settings
    assert server.reachable
    sandbox.faults.clear()
    perform("check_server", server)
    assert kept(server)["generic/pmm_v1"].problem == ""


def test_a_server_that_does_not_list_its_controllers_is_still_checked(server, perform, sandbox):
    sandbox.faults.add("server_error", path="/controllers/", times=None)
    operation = perform("check_server", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "did not list its controllers" in operation.summary
    assert not server.controllers.exists()


def test_reading_stops_when_the_server_does_and_later_resumes_there(server, perform, sandbox):
    (first, second, *_) = ["/".join(key) for key in CONTROLLERS]
    sandbox.faults.add("tunnel_offline", path=f"/controllers/{first}/config")
    operation = perform("check_server", server)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "Check again" in operation.summary
    assert kept(server).keys() == {first}
    perform("check_server", server)
    # The one that failed comes last, so that it delays no other.
    assert kept(server)[second].settings
    assert len(kept(server)) == len(CONTROLLERS)
