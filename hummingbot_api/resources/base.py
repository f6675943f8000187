"""What all resources have in common."""

from hummingbot_api.http.transport import Transport

#: By this name, because in a resource ``list`` is a request.
Names = list[str]


class Resource:
    def __init__(self, http: Transport) -> None:
        self._http = http
