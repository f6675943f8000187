"""Deploying bots."""

from typing import Any

from fastapi import APIRouter, HTTPException

from hummingbot_api.names import NAME
from sandbox.routes.bodies import Deployment, V2ControllerDeployment, V2ScriptDeployment
from sandbox.routes.context import Faulty, TheWorld
from sandbox.routes.host import DOCKER_IS_DOWN
from sandbox.transport import CrashError
from sandbox.world import World

#: How long a deploy keeps the whole server from serving anything else, in sandbox seconds.
DEPLOY_SECONDS = 0.34

#: The bundled script that runs controllers.
CONTROLLERS_SCRIPT = "v2_with_controllers"

router = APIRouter(prefix="/bot-orchestration")


@router.post("/deploy-v2-script")
async def deploy_v2_script(deployment: V2ScriptDeployment, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    name = world.unique_name(_checked_name(deployment))
    return _create(world, deployment, name, "script", deployment.script, docker_down=bool(faulty("docker_down")))


@router.post("/deploy-v2-controllers")
async def deploy_v2_controllers(deployment: V2ControllerDeployment, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    """Write the script configuration that runs these controllers, and deploy that."""
    name = world.unique_name(_checked_name(deployment))
    drawdowns = deployment.model_dump(
        include={"max_global_drawdown_quote", "max_controller_drawdown_quote"}, exclude_none=True
    )
    with world.changing():
        world.script_configs[name] = {
            "script_file_name": f"{CONTROLLERS_SCRIPT}.py",
            "candles_config": [],
            "markets": {},
            "controllers_config": [f"{c.removesuffix('.yml')}.yml" for c in deployment.controllers_config],
            **drawdowns,
        }
    deployment.script_config = f"{name}.yml"
    answer = _create(world, deployment, name, "controller", CONTROLLERS_SCRIPT, docker_down=bool(faulty("docker_down")))
    if answer["success"]:
        answer["script_config_generated"] = deployment.script_config
        answer["controllers_deployed"] = deployment.controllers_config
    return answer


def _checked_name(deployment: Deployment) -> str:
    """Return the requested name; the real server crashes while it reports one that it does not accept."""
    if not NAME.fullmatch(deployment.instance_name) or not NAME.fullmatch(deployment.credentials_profile):
        raise CrashError(deployment.instance_name)
    return deployment.instance_name


def _create(
    world: World,
    deployment: Deployment,
    name: str,
    strategy_type: str,
    script: str | None,
    *,
    docker_down: bool,
) -> dict[str, Any]:
    """Create the instance while nothing else is served; success only means that there is a container."""
    profile = deployment.credentials_profile
    if profile not in world.accounts:
        raise HTTPException(500, f"[Errno 2] No such file or directory: 'bots/credentials/{profile}'")
    world.clock.block(DEPLOY_SECONDS)
    if docker_down:
        return {"success": False, "message": DOCKER_IS_DOWN}
    if "nope" in deployment.image:
        repository, _, tag = deployment.image.partition(":")
        query = f"tag={tag}&fromImage={repository.replace('/', '%2F')}"
        address = f"http+docker://localhost/v1.41/images/create?{query}"
        message = f'500 Server Error for {address}: Internal Server Error ("no such host")'
        return {"success": False, "message": message}
    if name in world.instances:
        # Both share a directory, which the second wipes: the first dies of it, and there is none.
        world.crash(name)
        address = f"http+docker://localhost/v1.41/containers/create?name={name}"
        message = f'409 Client Error for {address}: Conflict ("The container name is in use by another container")'
        return {"success": False, "message": message}
    world.deploy(
        name=name,
        base_name=deployment.instance_name,
        profile=profile,
        image=deployment.image,
        headless=deployment.headless,
        strategy_type=strategy_type,
        script=script,
        script_config=deployment.script_config,
        deployment={**deployment.model_dump(), "instance_name": name},
    )
    return {
        "success": True,
        "message": f"Instance {name} created successfully.",
        "unique_instance_name": name,
    }
