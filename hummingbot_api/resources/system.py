"""The server itself."""

from hummingbot_api import reading
from hummingbot_api.errors import UnexpectedAnswer
from hummingbot_api.resources.base import Resource


class System(Resource):
    """The server itself."""

    def version(self) -> str:
        """The server's version, ``1.0.1``. The server does not check the login for this.

        Raises:
            UnexpectedAnswer: something answers there, but not a Hummingbot API.
        """
        answer = self._http.get("/")
        if answer.status == 404:
            raise UnexpectedAnswer("What answers there is not a Hummingbot API (404).")
        about = reading.an_object(answer.value, "the answer")
        if "hummingbot" not in reading.text(about, "name").lower():
            raise UnexpectedAnswer("What answers there is not a Hummingbot API: it has another name.")
        return reading.text(about, "version")
