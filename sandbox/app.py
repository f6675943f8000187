"""The server's HTTP interface."""

import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from sandbox.faults import Faults
from sandbox.routes import accounts, archive, bots, deploy, host, markets, strategies
from sandbox.routes.context import Faulty, TheWorld
from sandbox.world import VERSION, World


def build_app(world: World, faults: Faults, *, username: str, password: str, legacy_config_map: bool) -> FastAPI:
    """Build the application with all routes; every one but ``GET /`` requires the login."""
    app = FastAPI(title="Hummingbot API", version=VERSION, docs_url=None, redoc_url=None)
    app.state.world = world
    app.state.faults = faults
    app.state.legacy_config_map = legacy_config_map

    async def check_login(login: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())], faulty: Faulty) -> None:
        # Compared separately: a colon in the name would otherwise start the password.
        pairs = (login.username, username), (login.password, password)
        right = all(secrets.compare_digest(given.encode(), own.encode()) for given, own in pairs)
        if not right or faulty("wrong_password"):
            raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    @app.get("/")
    async def root(world: TheWorld) -> dict[str, str]:
        return {"name": "Hummingbot API", "version": world.version, "status": "running"}

    for routes in (accounts, strategies, deploy, bots, host, archive, markets):
        app.include_router(routes.router, dependencies=[Depends(check_login)])
    whole = app.openapi

    def described() -> dict[str, Any]:
        missing = tuple(faults.paths_of("route_missing"))
        document = whole()
        return document | {"paths": {p: facts for p, facts in document["paths"].items() if not p.startswith(missing)}}

    app.openapi = described  # type: ignore[method-assign]
    return app
