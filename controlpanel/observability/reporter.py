"""What a report of an error shows, in a browser, an e-mail or a log: where it happened, and no value of anything.

Django hides what has a telling name. But a secret may be in a variable of any name, in a form, a cookie or an address.
"""

from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

HIDDEN = SafeExceptionReporterFilter.cleansed_substitute
#: Of what the request sends, that of which the names are shown.
NAMED = ("GET", "FILES")
#: Of the request's headers and of the process's environment, what may be shown.
SHOWN = frozenset({"REQUEST_METHOD", "CONTENT_TYPE", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR"})


class ReportFilter(SafeExceptionReporterFilter):
    """Hides values whether ``DEBUG`` is on or not."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_safe_settings(self) -> dict[str, Any]:
        return {}

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        return {name: value for name, value in request.META.items() if name in SHOWN}

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, str]:
        return dict.fromkeys(request.COOKIES, HIDDEN)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, str]:
        return {} if request is None else dict.fromkeys(request.POST, HIDDEN)

    def get_cleansed_multivaluedict(self, request: HttpRequest, multivaluedict: MultiValueDict[str, Any]) -> Any:
        return MultiValueDict({name: [HIDDEN] for name in multivaluedict})

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        return [(name, Kind(type(value).__name__)) for name, value in tb_frame.f_locals.items()]


class Kind(str):
    """The name of a value's type, shown in its place."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"a {self!s}"


class Reporter(ExceptionReporter):
    """Names the page by its pattern: its address may have the secret of a link, in its path or its query."""

    def get_traceback_data(self) -> dict[str, Any]:
        data: dict[str, Any] = super().get_traceback_data()
        if self.request is None:
            return data
        match = self.request.resolver_match
        page = f"/{match.route}" if match else "an address that leads nowhere"
        shown = {"META": {"REQUEST_METHOD": self.request.META.get("REQUEST_METHOD", "")}, "path_info": page}
        data |= {f"request_{kind}_items": [(name, HIDDEN) for name in getattr(self.request, kind)] for kind in NAMED}
        data["request_insecure_uri"] = page
        data["request"] = shown | {kind: bool(getattr(self.request, kind)) for kind in ("GET", "FILES", "COOKIES")}
        return data
