"""``manage.py server``: servers from a terminal."""

from accounts.models import Server
from json_api.cli import NounCommand
from json_api.schemas.servers import ServerOut


class Command(NounCommand):
    help = "Servers: list, show, check."
    model = Server
    schema = ServerOut
    columns = ("id", "name", "base_url", "health", "version")
    actions = {"check": "check_server"}
