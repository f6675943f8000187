"""The server's host: containers, resources."""

import hashlib
from typing import Any

from fastapi import APIRouter, HTTPException

from sandbox.instance import KILLED, Instance
from sandbox.routes.context import Faulty, TheWorld
from sandbox.transport import CrashError
from sandbox.world import World

#: How long Docker waits for a container before it kills it, in sandbox seconds.
STOP_SECONDS = 10.0
DOCKER_IS_DOWN = (
    "Error while fetching server API version: "
    "('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"
)

router = APIRouter()


@router.get("/docker/running")
async def docker_running(faulty: Faulty) -> bool:
    return not faulty("docker_down")


@router.get("/docker/active-containers")
async def active_containers(world: TheWorld, faulty: Faulty, name_filter: str | None = None) -> Any:
    return DOCKER_IS_DOWN if faulty("docker_down") else _containers(world, "running", name_filter)


@router.get("/docker/exited-containers")
async def exited_containers(world: TheWorld, faulty: Faulty, name_filter: str | None = None) -> Any:
    return DOCKER_IS_DOWN if faulty("docker_down") else _containers(world, "exited", name_filter)


@router.get("/docker/available-images/")
async def available_images() -> None:
    raise CrashError("the server can't write an image as JSON")


@router.post("/docker/start-container/{container_name}")
async def start_container(container_name: str, world: TheWorld, faulty: Faulty) -> str | None:
    if refusal := _docker_refusal(world, container_name, docker_down=bool(faulty("docker_down"))):
        return refusal
    if world.instances[container_name].container == "paused":
        address = f"http+docker://localhost/v1.41/containers/{container_name}/start"
        return f'409 Client Error for {address}: Conflict ("cannot start a paused container, try unpause instead")'
    world.restart(container_name)
    return None


@router.post("/docker/stop-container/{container_name}")
async def stop_container(container_name: str, world: TheWorld, faulty: Faulty) -> str | None:
    if refusal := _docker_refusal(world, container_name, docker_down=bool(faulty("docker_down"))):
        return refusal
    if world.instances[container_name].container in {"running", "paused"}:
        world.clock.block(STOP_SECONDS)  # nothing else is served meanwhile
        world.unpause(container_name)
        world.crash(container_name, exit_code=KILLED)
    return None


@router.post("/docker/remove-container/{container_name}")
async def remove_container(container_name: str, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    if not container_name.startswith("hummingbot-"):
        rule = "This endpoint only removes Hummingbot containers."
        raise HTTPException(400, f"{rule} Container '{container_name}' is not a Hummingbot container.")
    if faulty("docker_down"):
        return {"success": False, "message": DOCKER_IS_DOWN}
    if not _is_there(world, container_name):
        directory = f"bots/instances/{container_name}"
        raise HTTPException(500, f"[Errno 2] No such file or directory: '{directory}'")
    with world.changing():
        world.instances[container_name].remove(keeps_data=True)
    return {"success": True, "message": f"Container {container_name} removed successfully."}


@router.get("/system/resources")
async def resources() -> dict[str, dict[str, Any]]:
    return {
        "cpu": {
            "percent": 14.8,
            "count_logical": 2,
            "count_physical": 2,
            "load_avg_1m": 0.39,
            "load_avg_5m": 0.31,
            "load_avg_15m": 0.43,
        },
        "memory": {"total": 25276514304, "available": 24240500736, "used": 1036013568, "percent": 4.1},
        "disk": {
            "mountpoint": "host root",
            "total": 270553174016,
            "used": 33176465408,
            "free": 75767828480,
            "percent": 30.5,
        },
    }


def _containers(world: World, status: str, name_filter: str | None) -> list[dict[str, str]]:
    """Return the containers in that status, the newest first, whose name contains the filter in whatever case."""
    with world.lock:
        instances: list[Instance] = list(world.instances.values())[::-1]
    return [
        {
            "id": hashlib.sha256(instance.name.encode()).hexdigest(),
            "name": instance.name,
            "status": status,
            "image": instance.image,
        }
        for instance in instances
        if instance.container == status and (name_filter or "").lower() in instance.name.lower()
    ]


def _is_there(world: World, name: str) -> bool:
    instance = world.instances.get(name)
    return instance is not None and instance.container != "removed"


def _docker_refusal(world: World, name: str, *, docker_down: bool) -> str:
    """Return Docker's error for an action on that container; empty when it succeeds."""
    if docker_down:
        return DOCKER_IS_DOWN
    if _is_there(world, name):
        return ""
    address = f"http+docker://localhost/v1.41/containers/{name}/json"
    return f'404 Client Error for {address}: Not Found ("No such container: {name}")'
