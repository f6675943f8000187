"""The server itself."""

import re

from hummingbot_api import reading
from hummingbot_api.errors import UnexpectedAnswer
from hummingbot_api.http.routes import ROUTES
from hummingbot_api.resources.base import Resource


class System(Resource):
    """The server itself."""

    def version(self) -> str:
        """Return the server's version, ``1.0.1``. The server does not check the login for this.

        Raises:
            UnexpectedAnswer: something answers there, but not a Hummingbot API.
        """
        answer = self._http.get("/")
        if answer.status == 404:
            raise UnexpectedAnswer("The base URL does not lead to a Hummingbot API (404).")
        about = reading.an_object(answer.value, "the answer")
        if "hummingbot" not in reading.text(about, "name").lower():
            raise UnexpectedAnswer("The base URL does not lead to a Hummingbot API: the service has another name.")
        return reading.text(about, "version")

    def missing_routes(self) -> list[str]:
        """Return those of ``ROUTES`` that the server does not list in its OpenAPI document, a few hundred kilobytes.

        Raises:
            NotSupportedByServer, UnexpectedAnswer: it has no such document.
        """
        document = reading.an_object(self._http.get("/openapi.json").value, "the list of calls")
        paths = reading.an_object(document.get("paths"), "“paths”")
        listed = {
            f"{method.upper()} {_NAME.sub('{}', route)}"
            for route, methods in paths.items()
            for method in reading.an_object(methods, f"“{route}”")
        }
        return [route for route in ROUTES if _NAME.sub("{}", route) not in listed]


_NAME = re.compile(r"\{[^}]{0,100}\}")
