"""``manage.py strategy``: strategies from a terminal."""

from bots.models import Strategy
from json_api.schemas import StrategyOut, StrategyWithSchema
from json_api.terminal import NounCommand


class Command(NounCommand):
    help = "Strategies: list, show with the JSON Schema of their settings."
    model = Strategy
    schema = StrategyWithSchema
    list_schema = StrategyOut
    columns = ("name", "kind", "controller_type", "description")
