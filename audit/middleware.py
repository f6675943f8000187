"""Says who acts while a request is answered."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core.acting import Actor, Door, acting

#: Where people are, and not tools: the admin, and reports that were shared by a link.
PAGES = ("/admin/", "/reports/")


class ActorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        door = Door.PAGES if request.path.startswith(PAGES) else Door.API
        with acting(Actor(door, request)):
            return self.get_response(request)
