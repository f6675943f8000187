"""``manage.py operation``: operations from a terminal."""

from typing import Any

from django.db.models import QuerySet

from json_api.cli import NounCommand
from json_api.schemas.operations import OperationOut, OperationWithSteps
from operations.models import Operation
from operations.problems import NotPossibleNow
from operations.services import operation_cancel


class Command(NounCommand):
    help = "Operations: list, show with their steps, cancel."
    model = Operation
    schema = OperationWithSteps
    list_schema = OperationOut
    columns = ("id", "kind", "about", "state", "requested_at", "summary")

    def rows(self) -> QuerySet[Operation]:
        return OperationOut.rows(super().rows())

    def add_more_verbs(self, verbs: Any) -> None:
        self.add_verb(
            verbs, "cancel", "cancel an operation: at once if queued, else after its current step"
        ).add_argument("id")

    def cancel(self, options: dict[str, Any]) -> None:
        operation = self.find(options["id"])
        if not operation.can_be_cancelled:
            raise NotPossibleNow(f"“{operation}” has already ended. Its state is “{operation.state}”.")
        operation_cancel(operation)
        self.answer(self.find(options["id"]), options)
