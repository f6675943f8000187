"""A router whose calls all say which problems they may be answered with, and whose reads can be cached."""

from typing import Any

from django.views.decorators.http import conditional_page
from ninja import Router
from ninja.decorators import decorate_view

from json_api.schemas import ProblemOut

#: No token; not allowed; not there; not possible now; invalid; what it depends on failed; too many.
STATUSES = (401, 403, 404, 409, 422, 424, 429)


class PanelRouter(Router):
    def add_api_operation(
        self, path: str, methods: list[str], view_func: Any, *, response: Any = None, **options: Any
    ) -> None:
        """Like ninja's own; ``response`` gets the problems besides its own answers.

        A read has an ``ETag``, and is answered with 304 and nothing when the caller has it already.
        """
        answers = response if isinstance(response, dict) else {200: response}
        if "GET" in methods:
            view_func = decorate_view(conditional_page)(view_func)
            answers |= {304: None}
        problems = dict.fromkeys(STATUSES, ProblemOut)
        super().add_api_operation(path, methods, view_func, response=answers | problems, **options)
