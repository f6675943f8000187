"""Deploys, as the client sends them."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from datetime import timedelta

import pytest

from hummingbot_api import HummingbotAPIError
from hummingbot_api.errors import (
    BotNotFound,
    DeployRefused,
    DockerDown,
    ImageMissing,
    NotFound,
    ProfileMissing,
    ServerFailed,
    ServerTimedOut,
    UnexpectedAnswer,
)
from tests.hummingbot_api.stub import Reply
from tests.hummingbot_api.test_client import IMAGE, PMM, _no_waiting, api, deploy, sandbox, stub, stubbed, until


def test_a_script_is_deployed_by_the_file_name_of_its_configuration(deploy, sandbox):
    name = deploy()

    assert name.startswith("hummingbot-sharp-")
    assert list(sandbox.world.instances) == [name]
    assert sandbox.requests[-1].json == {
        "instance_name": "hummingbot-sharp",
        "credentials_profile": "client_sharp",
        "image": IMAGE,
        "script_config": "sharp.yml",
        "headless": True,
    }


def test_controllers_are_deployed_and_report(api, sandbox):
    api.accounts.add("client_sharp")
    api.controllers.save_config("sharp_pmm", PMM)
    name = api.bots.deploy_controllers(
        instance_name="hummingbot-sharp",
        credentials_profile="client_sharp",
        controllers=["sharp_pmm"],
        image=IMAGE,
        max_global_drawdown_quote=50.0,
    )
    assert sandbox.requests[-1].json["controllers_config"] == ["sharp_pmm"]
    assert sandbox.requests[-1].json["max_global_drawdown_quote"] == 50.0

    until(lambda: any(entry.volume_traded for entry in api.bots.performance()))
    (entry,) = api.bots.performance()
    assert (entry.bot_name, entry.controller_id, entry.status) == (name, "sharp_pmm", "running")
    assert entry.timestamp.utcoffset() == timedelta(0)
    assert isinstance(entry.realized_pnl_quote, float)
    assert api.bots.status(name).status == "running"


@pytest.fixture
def controller_instance(api):
    api.accounts.add("client_sharp")
    api.controllers.save_config("sharp_pmm", PMM)
    return api.bots.deploy_controllers(
        instance_name="hummingbot-sharp", credentials_profile="client_sharp", controllers=["sharp_pmm"], image=IMAGE
    )


def test_an_instances_controllers_are_shown_and_changed_apart_from_the_servers(api, controller_instance):
    assert api.controllers.instance_configs(controller_instance) == {"sharp_pmm": PMM}

    api.controllers.change_instance_config(controller_instance, "sharp_pmm", {"order_amount": 0.02})

    assert api.controllers.instance_configs(controller_instance) == {"sharp_pmm": PMM | {"order_amount": 0.02}}
    assert api.controllers.get_config("sharp_pmm") == PMM


def test_an_instance_or_controller_that_is_not_there_cannot_be_changed(api, controller_instance):
    with pytest.raises(BotNotFound):
        api.controllers.instance_configs("nobody")
    with pytest.raises(BotNotFound):
        api.controllers.change_instance_config("nobody", "sharp_pmm", {})
    with pytest.raises(NotFound):
        api.controllers.change_instance_config(controller_instance, "other", {})


def test_a_deploy_on_a_profile_that_is_not_there(deploy):
    with pytest.raises(ProfileMissing):
        deploy(credentials_profile="ghost")


def test_a_deploy_of_an_image_that_is_not_there(deploy):
    with pytest.raises(ImageMissing):
        deploy(image="hummingbot/hummingbot:nope")


def test_a_deploy_without_docker(deploy, sandbox):
    sandbox.faults.add("docker_down")

    with pytest.raises(DockerDown):
        deploy()


def test_a_deploy_that_is_refused_for_another_reason(stub, stubbed):
    stub.will(Reply({"success": False, "message": "No space left on device"}))

    with pytest.raises(DeployRefused, match="No space left on device"):
        stubbed.bots.deploy_script(instance_name="i", credentials_profile="p", config_name="c", image=IMAGE)


ABORTED = "('Connection aborted.', {})"


@pytest.mark.parametrize("reply", [{"status": 500, "body": "detail"}, {"status": 200, "body": "message"}])
@pytest.mark.parametrize(
    ("cause", "may_have_acted"),
    [
        ("FileNotFoundError(2, 'No such file or directory')", False),
        ("ConnectionRefusedError(111, 'Connection refused')", False),
        ("PermissionError(13, 'Permission denied')", False),
        ("RemoteDisconnected('Remote end closed connection without response')", True),
        ("ConnectionResetError(104, 'Connection reset by peer')", True),
    ],
)
def test_docker_that_hangs_up_amid_a_deploy_may_have_made_the_container(stub, stubbed, reply, cause, may_have_acted):
    words = {reply["body"]: ABORTED.format(cause), "success": False}
    stub.will(Reply(words, reply["status"]))
    with pytest.raises(HummingbotAPIError) as caught:
        stubbed.bots.deploy_script(instance_name="i", credentials_profile="p", config_name="c", image=IMAGE)

    assert type(caught.value) is (ServerFailed if may_have_acted else DockerDown)
    assert caught.value.may_have_acted == may_have_acted


@pytest.mark.parametrize("fault", ["time_out_after", "truncated_json"])
def test_a_deploy_whose_answer_is_lost_is_not_sent_twice(api, deploy, sandbox, fault):
    sandbox.faults.add(fault, path="/bot-orchestration/deploy-v2-script")

    with pytest.raises((ServerTimedOut, UnexpectedAnswer)):
        deploy()
    sandbox.faults.clear()

    assert [container.name for container in api.docker.active("hummingbot-sharp")] == [*sandbox.world.instances]
    assert len(sandbox.world.instances) == 1


def test_a_deploy_after_a_failure_does_not_meet_the_dropped_connection(api, deploy, sandbox):
    sandbox.faults.add("server_error", path="/accounts/", method="GET", times=1)
    with pytest.raises(ServerFailed):
        api.accounts.list()

    assert deploy() in sandbox.world.instances
