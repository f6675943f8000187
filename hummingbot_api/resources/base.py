"""What all resources have in common."""

from hummingbot_api.transport import Transport

Names = list[str]


class Resource:
    def __init__(self, http: Transport) -> None:
        self._http = http
