"""What the routes read from the application."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from sandbox.faults import Fault
from sandbox.world import World


async def _world(request: Request) -> World:
    world: World = request.app.state.world
    return world


async def _faulty(request: Request) -> Callable[[str], Fault | None]:
    def take(name: str) -> Fault | None:
        fault: Fault | None = request.app.state.faults.take(name, request.method, request.url.path)
        return fault

    return take


#: The server's state.
TheWorld = Annotated[World, Depends(_world)]
#: ``faulty("docker_down")``: the fault of that name that spoils the present request, if there is one.
Faulty = Annotated[Callable[[str], Fault | None], Depends(_faulty)]
