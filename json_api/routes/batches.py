"""Batches: the same operation for many bots at once."""

from typing import Any, Literal

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Path, Query, Status

from accounts.models import Client, Server
from bots.models import Bot
from core.visibility import AnyUser
from json_api.auth import any_token, may_deploy_or_write_keys, may_read, require, require_scope
from json_api.models import Scope
from json_api.pagination import Paged, page
from json_api.problems import FieldsInvalid, PermissionMissing
from json_api.router import PanelRouter
from json_api.routes.bots import DECISIONS
from json_api.schemas.batches import BatchDetail, BatchIn, BatchOut, BatchPage, NotStartedPage
from json_api.schemas.common import Id
from json_api.submit import idempotent
from operations import kinds
from operations.batches import batch_cancel, batch_request, batch_retry, subjects_of
from operations.kinds import OperationType
from operations.models import Batch
from operations.problems import NotPossibleNow

router = PanelRouter(tags=["batches"])

#: The kind of the operation that an action submits, where it has another name.
KINDS = {"check": "check_bot", "push": "push_profile"}
#: What a token needs for a batch about these.
SCOPES = {Bot: Scope.DEPLOY, Client: Scope.KEYS}


class BatchFilters(Paged):
    kind: str | None = None
    order_by: Literal["id", "-id"] = "-id"


def visible(request: HttpRequest) -> models.QuerySet[Batch]:
    require(request.user, "operations.view_batch")
    return Batch.objects.visible_to(request.user).with_counts(request.user).select_related("requested_by")


def to_steer(request: HttpRequest, definition: OperationType[Any]) -> None:
    """
    Raises:
        ScopeMissing, PermissionMissing: the token might not request such operations one by one either.
    """
    require_scope(request.auth, SCOPES.get(definition.subject_model, Scope.ADMIN))  # type: ignore[attr-defined]
    require(request.user, definition.permission)


def chosen(wanted: BatchIn, user: AnyUser) -> list[Any]:
    """Return what the operation is about: the bots that the request names, or their clients.

    Raises:
        FieldsInvalid: it names none, or some that the user does not see.
    """
    bots, errors = Bot.objects.visible_to(user), {}
    if wanted.bots is None and wanted.client is None and wanted.server is None:
        raise FieldsInvalid({"bots": ["Name bots, a client or a server."]})
    if wanted.bots is not None:
        bots = bots.filter(pk__in=wanted.bots)
        if unknown := sorted(set(wanted.bots) - set(bots.values_list("pk", flat=True))):
            errors["bots"] = [f"There is no bot {', '.join(map(str, unknown))}."]
    if wanted.client is not None:
        bots = bots.filter(client__name=wanted.client)
        if not Client.objects.visible_to(user).filter(name=wanted.client).exists():
            errors["client"] = ["There is no such client."]
    if wanted.server is not None:
        bots = bots.filter(server__name=wanted.server)
        if not Server.objects.visible_to(user).filter(name=wanted.server).exists():
            errors["server"] = ["There is no such server."]
    if errors:
        raise FieldsInvalid(errors)
    definition = kinds.get(KINDS.get(wanted.operation, wanted.operation))
    subjects = subjects_of(definition, user)
    if definition.subject_model is Client:
        rows = subjects.filter(pk__in=bots.values("client"))
    else:
        rows = subjects.filter(pk__in=bots.values("pk"))
    found = [row for row in rows if definition.applies_to(row)]
    if not found:
        raise FieldsInvalid({"bots": ["None of these bots takes this operation."]})
    return found


def decided(wanted: BatchIn) -> dict[str, Any]:
    """Return the options of the request.

    Raises:
        FieldsInvalid: the action has no such option.
    """
    options = wanted.options.model_dump(exclude_unset=True) if wanted.options else {}
    if unknown := set(options) - DECISIONS.get(wanted.operation, frozenset()):
        raise FieldsInvalid(
            {f"options.{name}": [f"The action “{wanted.operation}” does not take this field."] for name in unknown}
        )
    return options


@router.get("/batches", response=BatchPage, auth=may_read)
def list_batches(request: HttpRequest, asked: Query[BatchFilters]) -> Any:
    """Lists the batches that the token's user may see: those of all for users who see every client, else their own."""
    batches = visible(request)
    return page(request, batches.filter(kind=asked.kind) if asked.kind else batches, asked, asked.order_by)


@router.post("/batches", response={202: BatchOut}, auth=may_deploy_or_write_keys)
def create_batch(request: HttpRequest, response: HttpResponse, body: BatchIn) -> Any:
    """Request an operation for many bots.

    Bots for which it is not possible are left out, and listed with the reason. Requires the scope “deploy”; “push”
    requires the scope “keys”.
    """
    definition = kinds.get(KINDS.get(body.operation, body.operation))
    require(request.user, "operations.view_batch")
    to_steer(request, definition)
    options = decided(body)

    def submit() -> Batch:
        subjects = chosen(body, request.user)
        return batch_request(kind=definition.name, subjects=subjects, requested_by=request.user, options=options)

    return answer(request, response, idempotent(request, submit))


@router.get("/batches/{batch_id}", response=BatchDetail, auth=may_read)
def get_batch(request: HttpRequest, batch_id: Path[Id]) -> Any:
    """Returns a batch with its progress, and its failures by reason."""
    return BatchDetail.of(get_object_or_404(visible(request), pk=batch_id), request.user)


@router.get("/batches/{batch_id}/not-started", response=NotStartedPage, auth=may_read)
def list_not_started(request: HttpRequest, batch_id: Path[Id], asked: Query[Paged]) -> Any:
    """Lists what was left out of a batch, and why."""
    batch = get_object_or_404(visible(request), pk=batch_id)
    return page(request, batch.not_started_for(request.user), asked, "id")


@router.post("/batches/{batch_id}/cancel", response=BatchDetail, auth=any_token)
def cancel(request: HttpRequest, batch_id: Path[Id]) -> Any:
    """Cancel what is left of a batch: what is queued ends at once, what runs after its current step."""
    batch = get_object_or_404(visible(request), pk=batch_id)
    to_steer(request, batch.definition)
    if not batch_cancel(batch, request.user):
        raise NotPossibleNow(f"“{batch}” has already ended.")
    return BatchDetail.of(get_object_or_404(visible(request), pk=batch_id), request.user)


@router.post("/batches/{batch_id}/retry", response={202: BatchOut}, auth=any_token)
def retry(request: HttpRequest, response: HttpResponse, batch_id: Path[Id]) -> Any:
    """Request what failed once more, with the same options, as a new batch."""
    batch = get_object_or_404(visible(request), pk=batch_id)
    to_steer(request, batch.definition)
    if not batch.definition.permitted_to(request.user, batch.options):
        raise PermissionMissing(f"{request.user} may not request “{batch}” with these options.")
    return answer(request, response, idempotent(request, lambda: batch_retry(batch, request.user)))


def answer(request: HttpRequest, response: HttpResponse, batch: Batch) -> Status:
    response["Location"] = f"/batches/{batch.pk}"
    return Status(202, get_object_or_404(visible(request), pk=batch.pk))
