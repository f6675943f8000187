"""Django's WSGI handler. It reads one header before any middleware could answer its failure: ``Content-Type``."""

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """Set what Django sets, but for the encoding: queries and forms are in UTF-8. Django takes any codec of Python,
        also those that decode no text. A header that can't be read counts as missing.
        """
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request
