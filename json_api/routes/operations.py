"""Operations: what was requested, how far it is, why it failed."""

from typing import Any, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Path, Query, Status

from accounts.models import Client, ExchangeKey
from bots.models import Bot
from json_api.auth import any_token, may_read, require, require_scope
from json_api.models import Scope
from json_api.pagination import Paged, page
from json_api.problems import PermissionMissing
from json_api.router import PanelRouter
from json_api.schemas.common import Id
from json_api.schemas.operations import OperationOut, OperationPage, OperationWithSteps
from json_api.submit import idempotent
from operations.models import Operation, State
from operations.problems import NotPossibleNow
from operations.services import operation_cancel, operation_retry

router = PanelRouter(tags=["operations"])

#: What a token needs to end or repeat what was done to each of these; for all others it is the scope “admin”.
SCOPES = {Bot: Scope.DEPLOY, Client: Scope.KEYS, ExchangeKey: Scope.KEYS}


class OperationFilters(Paged):
    state: State | None = None
    kind: str | None = None
    order_by: Literal["id", "-id"] = "-id"


def visible(request: HttpRequest) -> Any:
    require(request.user, "operations.view_operation")
    return OperationOut.rows(Operation.objects.visible_to(request.user))


@router.get("/operations", response=OperationPage, auth=may_read)
def list_operations(request: HttpRequest, asked: Query[OperationFilters]) -> Any:
    """Lists the operations that the token's user may see, newest first."""
    equal = {"state": asked.state, "kind": asked.kind}
    operations = visible(request).filter(**{name: value for name, value in equal.items() if value is not None})
    return page(request, operations, asked, asked.order_by)


@router.get("/operations/{operation_id}", response=OperationWithSteps, auth=may_read)
def get_operation(request: HttpRequest, operation_id: Path[Id]) -> Any:
    """Returns an operation with its steps."""
    return get_object_or_404(visible(request).prefetch_related("steps"), pk=operation_id)


def to_steer(request: HttpRequest, operation_id: int) -> Operation:
    """
    Raises:
        Http404, PermissionMissing
        ScopeMissing: the token might not ask for such an operation either.
    """
    operation: Operation = get_object_or_404(visible(request), pk=operation_id)
    scopes = {SCOPES.get(operation.definition.subject_model, Scope.ADMIN)}
    if operation.options.get("bots"):  # a rotation of a key redeploys them
        scopes.add(Scope.DEPLOY)
    for scope in scopes:
        require_scope(request.auth, scope)  # type: ignore[attr-defined]
    require(request.user, operation.definition.permission)
    return operation


@router.post("/operations/{operation_id}/cancel", response=OperationWithSteps, auth=any_token)
def cancel(request: HttpRequest, operation_id: Path[Id]) -> Any:
    """Cancel an operation: a queued one ends at once, a running one after its current step.

    Requires the same scope as requesting the operation.
    """
    operation = to_steer(request, operation_id)
    if not operation.can_be_cancelled:
        raise NotPossibleNow(f"“{operation}” has already ended. Its state is “{operation.state}”.")
    operation_cancel(operation)
    operation.refresh_from_db()
    return operation


@router.post("/operations/{operation_id}/retry", response={202: OperationOut}, auth=any_token)
def retry(request: HttpRequest, operation_id: Path[Id]) -> Any:
    """Retry an operation with the same options, as a new operation.

    Requires the same scope as requesting the operation.
    """
    operation = to_steer(request, operation_id)

    def resubmit() -> Operation:
        if not operation.definition.permitted_to(request.user, operation.options):
            raise PermissionMissing(f"{request.user} may not request “{operation}” with these options.")
        if not operation.can_be_retried:
            raise NotPossibleNow(f"“{operation}” can't be retried. {operation.why_not_retried}")
        return operation_retry(operation=operation, requested_by=request.user)

    return Status(202, idempotent(request, resubmit))
