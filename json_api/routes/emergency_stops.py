"""Emergency stops: everything, a client or a server, until it is lifted."""

from typing import Any, Literal

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Path, Query, Status

from accounts.models import Client, Server
from bots.models import EmergencyStop, StopScope, may_stop
from bots.models.emergency_stop import PERMISSION
from bots.operations.emergency import emergency_stop, report
from core.http import signed_in_user
from core.visibility import AnyUser
from json_api.auth import may_deploy, may_read, require
from json_api.pagination import Paged, page
from json_api.problems import FieldsInvalid, PermissionMissing
from json_api.router import PanelRouter
from json_api.schemas.common import Id
from json_api.schemas.emergency_stops import (
    EmergencyStopDetail,
    EmergencyStopIn,
    EmergencyStopOut,
    EmergencyStopPage,
)
from operations.problems import NotPossibleNow

router = PanelRouter(tags=["emergency stops"])


class EmergencyStopFilters(Paged):
    active: bool | None = None
    order_by: Literal["id", "-id"] = "-id"


def rows(stops: models.QuerySet[EmergencyStop]) -> models.QuerySet[EmergencyStop]:
    return stops.select_related("client", "server", "requested_by", "lifted_by")


def visible(request: HttpRequest) -> models.QuerySet[EmergencyStop]:
    require(request.user, "bots.view_emergencystop")
    return rows(EmergencyStop.objects.visible_to(request.user))


def named(wanted: EmergencyStopIn, user: AnyUser) -> dict[str, Any]:
    """Return the client or the server that a request names, as far as the user sees it.

    Raises:
        FieldsInvalid: it does not name exactly what its scope says.
    """
    models_of = {"client": Client, "server": Server}
    errors = {
        name: [f"The scope “{wanted.scope}” does not take this field."]
        for name in models_of
        if name != wanted.scope and getattr(wanted, name) is not None
    }
    found: Any = None
    if wanted.scope in models_of:
        model: Any = models_of[wanted.scope]
        found = model.objects.visible_to(user).filter(name=getattr(wanted, wanted.scope)).first()
        if found is None:
            errors[wanted.scope] = [f"There is no such {wanted.scope}."]
    if errors:
        raise FieldsInvalid(errors)
    return {wanted.scope: found} if found else {}


@router.get("/emergency-stops", response=EmergencyStopPage, auth=may_read)
def list_emergency_stops(request: HttpRequest, asked: Query[EmergencyStopFilters]) -> Any:
    """Lists the emergency stops that concern a client that the token's user may see."""
    stops = visible(request)
    if asked.active is not None:
        stops = stops.filter(lifted_at__isnull=asked.active)
    return page(request, stops, asked, asked.order_by)


@router.post("/emergency-stops", response={201: EmergencyStopOut}, auth=may_deploy)
def start(request: HttpRequest, response: HttpResponse, body: EmergencyStopIn) -> Any:
    """Stop everything, a client's bots or a server's bots, and block deploys, starts, resumes and live changes there.

    Returns at once; follow it with ``GET /emergency-stops/{id}``. A repeated request returns the emergency stop of the
    same scope that is in force.
    """
    require(request.user, PERMISSION)
    what = named(body, request.user)
    if not may_stop(request.user, what.get("client"), what.get("server")):
        raise PermissionMissing("Only users who see every client may stop everything or a whole server.")
    stop = emergency_stop(scope=StopScope(body.scope), requested_by=signed_in_user(request), reason=body.reason, **what)
    response["Location"] = f"/emergency-stops/{stop.pk}"
    return Status(201, stop)


@router.get("/emergency-stops/{stop_id}", response=EmergencyStopDetail, auth=may_read)
def get_emergency_stop(request: HttpRequest, stop_id: Path[Id]) -> Any:
    """Returns an emergency stop, with which bots have stopped, which are being stopped and which could not be."""
    stop = get_object_or_404(visible(request), pk=stop_id)
    return EmergencyStopDetail.of(stop, report(stop, request.user))


@router.post("/emergency-stops/{stop_id}/lift", response=EmergencyStopOut, auth=may_deploy)
def lift(request: HttpRequest, stop_id: Path[Id]) -> Any:
    """Lift an emergency stop. The bots stay as they are; they can be deployed and started again."""
    require(request.user, PERMISSION)
    stop = get_object_or_404(visible(request), pk=stop_id)
    if not stop.may_be_lifted_by(request.user):
        raise PermissionMissing(f"{request.user} may not lift the emergency stop of {stop.what}.")
    if not stop.lift(signed_in_user(request), report(stop, request.user).summary):
        raise NotPossibleNow(f"The emergency stop of {stop.what} was lifted before.")
    return get_object_or_404(visible(request), pk=stop_id)
