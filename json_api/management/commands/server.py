"""``manage.py server``: servers from a terminal."""

from accounts.models import Server
from json_api.schemas import ServerOut
from json_api.terminal import NounCommand


class Command(NounCommand):
    help = "Servers: list, show, check."
    model = Server
    schema = ServerOut
    columns = ("id", "name", "base_url", "health", "version")
    actions = {"check": "check_server"}
