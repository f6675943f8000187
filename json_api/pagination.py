"""Lists: filtered, ordered, a page at a time."""

from datetime import UTC, datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.db import DataError, models
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Schema
from ninja.errors import ValidationError as InvalidCursor
from ninja.pagination import CursorPagination
from pydantic import BeforeValidator
from pydantic import ValidationError as InvalidCursorContent

from core.admin.base import MAX_TERM
from core.input.moments import read_moment
from json_api.problems import FieldsInvalid

#: Rows of a page, by default and at most.
PAGE, MOST = 50, 200
#: A text of which columns contain it, or are like it.
Term = Annotated[str, Field(max_length=MAX_TERM)]


Moment = Annotated[datetime, BeforeValidator(read_moment)]


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
        _check_moment(rows, asked, order_by)
        return paginator.paginate_queryset(
            rows, CursorPagination.Input(cursor=asked.cursor, page_size=asked.page_size), request
        )
    except (InvalidCursor, InvalidCursorContent, ValidationError, ValueError, OverflowError, DataError):
        raise FieldsInvalid({"cursor": ["This is not a valid cursor for this list."]}) from None


def _check_moment(rows: models.QuerySet[Any], asked: Paged, order_by: str) -> None:
    """Check the position in a list by time. No cursor of ours has a time without a zone, and Django would guess it.

    Raises:
        ValueError: it is one without.
        OverflowError: it has no date in UTC, which not every database can compare.
    """
    column = rows.model._meta.get_field(order_by.removeprefix("-"))
    position = CursorPagination.Cursor.from_encoded_param(asked.cursor).p
    if isinstance(column, models.DateTimeField) and position:
        timezone.make_naive(column.to_python(position), UTC)
