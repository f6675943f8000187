"""``manage.py strategy``: strategies from a terminal."""

from bots.models import Strategy
from json_api.cli import NounCommand
from json_api.schemas.servers import StrategyOut, StrategyWithSchema


class Command(NounCommand):
    help = "Strategies: list, show with the JSON Schema of their settings."
    model = Strategy
    schema = StrategyWithSchema
    list_schema = StrategyOut
    columns = ("name", "kind", "controller_type", "description")
