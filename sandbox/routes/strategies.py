"""Scripts and controllers with their configurations."""

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import ValidationError

from sandbox.catalog import Controller, ControllerType
from sandbox.routes.bodies import Script
from sandbox.routes.context import TheWorld
from sandbox.scripts import UnusableScriptError, config_template
from sandbox.transport import CrashError
from sandbox.world import Values, World

router = APIRouter()


# --- scripts ---


@router.get("/scripts/")
async def list_scripts(world: TheWorld) -> list[str]:
    return list(world.scripts)


@router.get("/scripts/configs/")
async def list_script_configs(world: TheWorld) -> list[dict[str, Any]]:
    with world.lock:
        return [
            {
                "config_name": name,
                "script_file_name": config.get("script_file_name", "unknown"),
                "controllers_config": config.get("controllers_config", []),
                "candles_config": config.get("candles_config", []),
                "markets": config.get("markets", {}),
            }
            for name, config in world.script_configs.items()
        ]


@router.get("/scripts/configs/{config_name}")
async def get_script_config(config_name: str, world: TheWorld) -> dict[str, Any]:
    return _config(world.script_configs, config_name)


@router.post("/scripts/configs/{config_name}", status_code=201)
async def save_script_config(config_name: str, config: dict[str, Any], world: TheWorld) -> dict[str, str]:
    return _save_config(world, world.script_configs, config_name, config)


@router.get("/scripts/{script_name}")
async def get_script(script_name: str, world: TheWorld) -> dict[str, str]:
    if script_name not in world.scripts:
        raise HTTPException(404, f"Script '{script_name}' not found")
    return {"name": script_name, "content": world.scripts[script_name]}


@router.post("/scripts/{script_name}", status_code=201)
async def save_script(script_name: str, script: Script, world: TheWorld) -> dict[str, str]:
    with world.changing():
        world.scripts[script_name] = script.content
    return {"message": f"Script '{script_name}' saved successfully"}


@router.delete("/scripts/{script_name}")
async def delete_script(script_name: str, world: TheWorld) -> dict[str, str]:
    if script_name not in world.scripts:
        raise HTTPException(404, f"Script '{script_name}' not found")
    with world.changing():
        del world.scripts[script_name]
    return {"message": f"Script '{script_name}' deleted successfully"}


@router.get("/scripts/{script_name}/config/template")
async def script_config_template(script_name: str, world: TheWorld) -> dict[str, Any]:
    try:
        return config_template(script_name, world.scripts[script_name])
    except SyntaxError as error:
        raise CrashError(script_name) from error
    except (KeyError, UnusableScriptError) as error:
        raise HTTPException(404, f"Script configuration class for '{script_name}' not found") from error


# --- controllers ---


@router.get("/controllers/")
async def list_controllers(world: TheWorld) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"directional_trading": [], "market_making": [], "generic": []}
    for controller_type, name in world.controllers:
        found[controller_type].append(name)
    return found


@router.get("/controllers/configs/")
async def list_controller_configs(world: TheWorld) -> list[dict[str, Any]]:
    return list(world.controller_configs.values())


@router.get("/controllers/configs/{config_name}")
async def get_controller_config(config_name: str, world: TheWorld) -> dict[str, Any]:
    return _config(world.controller_configs, config_name)


@router.post("/controllers/configs/{config_name}", status_code=201)
async def save_controller_config(config_name: str, config: dict[str, Any], world: TheWorld) -> dict[str, str]:
    return _save_config(world, world.controller_configs, config_name, config)


@router.get("/controllers/bots/{bot_name}/configs")
async def bot_controller_configs(bot_name: str, world: TheWorld) -> list[dict[str, Any]]:
    configs = _bot_configs(world, bot_name)
    return [{**config, "_config_name": name} for name, config in configs.items()]


@router.post("/controllers/bots/{bot_name}/{controller_name}/config")
async def update_bot_controller_config(
    bot_name: str, controller_name: str, config: dict[str, Any], world: TheWorld
) -> dict[str, str]:
    if controller_name not in _bot_configs(world, bot_name):
        raise HTTPException(404, f"Controller configuration '{controller_name}' not found for bot '{bot_name}'")
    with world.changing():
        world.instances[bot_name].change_controller(controller_name, config)
    return {"message": f"Controller configuration for bot '{bot_name}' updated successfully"}


@router.get("/controllers/{controller_type}/{controller_name}")
async def get_controller(controller_type: ControllerType, controller_name: str, world: TheWorld) -> dict[str, str]:
    controller = world.controllers.get((controller_type, controller_name))
    if controller is None:
        raise HTTPException(404, f"Controller '{controller_name}' not found in '{controller_type}'")
    return {"name": controller_name, "type": controller_type, "content": controller.source}


@router.get("/controllers/{controller_type}/{controller_name}/config/template")
async def controller_config_template(
    controller_type: ControllerType, controller_name: str, world: TheWorld
) -> dict[str, Any]:
    return dict(_controller(world, controller_type, controller_name).template)


@router.post("/controllers/{controller_type}/{controller_name}/config/validate")
async def validate_controller_config(
    controller_type: ControllerType, controller_name: str, config: dict[str, Any], world: TheWorld
) -> dict[str, str]:
    try:
        _controller(world, controller_type, controller_name).check(config)
    except ValidationError as error:
        raise HTTPException(400, str(error)) from error
    return {"message": "Configuration is valid"}


def _controller(world: World, controller_type: ControllerType, name: str) -> Controller:
    """Return the controller, when the server can import it."""
    controller = world.controllers.get((controller_type, name))
    if controller is None or controller.broken:
        raise HTTPException(404, f"Controller configuration class for '{name}' not found")
    return controller


def _bot_configs(world: World, bot_name: str) -> dict[str, Values]:
    """Return a bot's own copies of its controllers' configurations, by name, while its directory is there."""
    instance = world.instances.get(bot_name)
    if instance is None or instance.container == "removed":
        raise HTTPException(404, f"Bot '{bot_name}' not found")
    configs = instance.config if isinstance(instance.config, list) else []
    return dict(zip(instance.controllers, configs, strict=True))


# --- configurations of both kinds ---


def _config(configs: dict[str, Values], name: str) -> Values:
    if name not in configs:
        raise HTTPException(404, f"Configuration '{name}' not found")
    return configs[name]


def _save_config(world: World, configs: dict[str, Values], name: str, config: Values) -> dict[str, str]:
    with world.changing():
        configs[name] = dict(sorted(config.items()))  # as they come back from the YAML file
    return {"message": f"Configuration '{name}' saved successfully"}
