"""Lists: filtered, ordered, a page at a time."""

from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.db import DataError, models
from django.http import HttpRequest
from ninja import Field, Schema
from ninja.errors import ValidationError as InvalidCursor
from ninja.pagination import CursorPagination
from pydantic import ValidationError as InvalidCursorContent

from json_api.problems import FieldsInvalid

#: Rows of a page, by default and at most.
PAGE, MOST = 50, 200


class Paged(Schema):
    """What every list takes."""

    cursor: str | None = Field(None, description="The position in the list: from “next” or “previous” of a response.")
    page_size: Annotated[int, Field(ge=1, le=MOST)] = PAGE


def page(request: HttpRequest, rows: models.QuerySet[Any], asked: Paged, order_by: str) -> dict[str, Any]:
    """Return one page of ``rows`` in the order of a column that is never null; of equal rows the newest first.

    Raises:
        FieldsInvalid: the cursor is not one of this list.
    """
    paginator = CursorPagination(ordering=(order_by, "-pk"), page_size=PAGE, max_page_size=MOST)
    try:
        return paginator.paginate_queryset(
            rows, CursorPagination.Input(cursor=asked.cursor, page_size=asked.page_size), request
        )
    except (InvalidCursor, InvalidCursorContent, ValidationError, ValueError, DataError):
        raise FieldsInvalid({"cursor": ["This is not a valid cursor for this list."]}) from None
