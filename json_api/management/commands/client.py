"""``manage.py client``: clients and their profiles from a terminal."""

from accounts.models import Client
from json_api.schemas import ClientOut
from json_api.terminal import NounCommand


class Command(NounCommand):
    help = "Clients: list, show, push and verify their credentials profiles."
    model = Client
    schema = ClientOut
    columns = ("id", "name", "account", "server", "status", "profile")
    actions = {"push": "push_profile", "verify": "verify_profile"}
