"""Deploying bots."""

from typing import Any

from fastapi import APIRouter, HTTPException

from hummingbot_api.names import NAME
from hummingbot_api.sandbox.bodies import Deployment, V2ControllerDeployment, V2ScriptDeployment
from hummingbot_api.sandbox.context import Faulty, TheWorld
from hummingbot_api.sandbox.routes_host import DOCKER_IS_DOWN
from hummingbot_api.sandbox.transport import CrashError
from hummingbot_api.sandbox.world import World

#: How long a deploy keeps the whole server from serving anything else, in sandbox seconds.
DEPLOY_SECONDS = 0.34

router = APIRouter(prefix="/bot-orchestration")


@router.post("/deploy-v2-script")
async def deploy_v2_script(deployment: V2ScriptDeployment, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    name = world.unique_name(_checked_name(deployment))
    if refusal := _refusal(world, deployment, name, docker_down=bool(faulty("docker_down"))):
        return refusal
    world.deploy(
        name=name,
        base_name=deployment.instance_name,
        profile=deployment.credentials_profile,
        image=deployment.image,
        headless=deployment.headless,
        strategy_type="script",
        script=deployment.script,
        script_config=deployment.script_config,
        deployment={**deployment.model_dump(), "instance_name": name},
    )
    return {
        "success": True,
        "message": f"Instance {name} created successfully.",
        "unique_instance_name": name,
    }


@router.post("/deploy-v2-controllers")
async def deploy_v2_controllers(
    deployment: V2ControllerDeployment, world: TheWorld, faulty: Faulty
) -> dict[str, Any]:
    name = world.unique_name(_checked_name(deployment))
    drawdowns = deployment.model_dump(
        include={"max_global_drawdown_quote", "max_controller_drawdown_quote"}, exclude_none=True
    )
    with world.changing():
        world.script_configs[name] = {
            "script_file_name": "v2_with_controllers.py",
            "candles_config": [],
            "markets": {},
            "controllers_config": [f"{c.removesuffix('.yml')}.yml" for c in deployment.controllers_config],
            **drawdowns,
        }
    if refusal := _refusal(world, deployment, name, docker_down=bool(faulty("docker_down"))):
        return refusal
    script_config = f"{name}.yml"
    world.deploy(
        name=name,
        base_name=deployment.instance_name,
        profile=deployment.credentials_profile,
        image=deployment.image,
        headless=deployment.headless,
        strategy_type="controller",
        script="v2_with_controllers",
        script_config=script_config,
        deployment={**deployment.model_dump(), "instance_name": name, "script_config": script_config},
    )
    return {
        "success": True,
        "message": f"Instance {name} created successfully.",
        "script_config_generated": script_config,
        "controllers_deployed": deployment.controllers_config,
        "unique_instance_name": name,
    }


def _checked_name(deployment: Deployment) -> str:
    """The name that was asked for; the real server crashes while it reports one that it does not accept."""
    if not NAME.fullmatch(deployment.instance_name) or not NAME.fullmatch(deployment.credentials_profile):
        raise CrashError(deployment.instance_name)
    return deployment.instance_name


def _refusal(world: World, deployment: Deployment, name: str, *, docker_down: bool) -> dict[str, Any] | None:
    """Keep the server busy as a deploy does, and return what Docker says against it, if anything."""
    profile = deployment.credentials_profile
    if profile not in world.accounts:
        raise HTTPException(500, f"[Errno 2] No such file or directory: 'bots/credentials/{profile}'")
    world.clock.block(DEPLOY_SECONDS)
    if docker_down:
        return {"success": False, "message": DOCKER_IS_DOWN}
    repository, _, tag = deployment.image.partition(":")
    if "nope" in deployment.image:
        address = "http+docker://localhost/v1.41/images/create"
        query = f"tag={tag}&fromImage={repository.replace('/', '%2F')}"
        reason = "no such host, while the image was pulled"
        message = f'500 Server Error for {address}?{query}: Internal Server Error ("{reason}")'
        return {"success": False, "message": message}
    return None
