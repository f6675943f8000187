"""``manage.py bot``: bots from a terminal."""

import json
from argparse import FileType
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import transaction
from pydantic import ValidationError

from bots.models import Bot
from json_api.defining import define
from json_api.schemas import BotCreate, BotOut
from json_api.terminal import NounCommand


class Command(NounCommand):
    help = "Bots: list, show, create, deploy, redeploy, start, stop, archive, refresh, delete."
    model = Bot
    schema = BotOut
    columns = ("id", "name", "client", "connector", "pair", "strategy", "state")
    actions = {action: action for action in ("deploy", "redeploy", "start", "stop", "archive", "refresh")}

    def add_more_verbs(self, verbs: Any) -> None:
        create = self.add_verb(verbs, "create", "define a bot and deploy it")
        create.add_argument("--file", type=FileType(), required=True, help="JSON as for POST /bots/create; - for stdin")
        self.add_verb(verbs, "delete", "delete a definition of which nothing is on a server").add_argument("id")

    def create(self, options: dict[str, Any]) -> None:
        try:
            wanted = BotCreate.model_validate(json.load(options["file"]))
        except ValidationError as invalid:
            lines = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in invalid.errors()]
            raise CommandError("\n".join(lines)) from None
        except ValueError as error:
            raise CommandError(f"The file is not valid JSON: {error}.") from None
        with transaction.atomic():
            # Whoever has a terminal on the host sees every client.
            bot = define(User(is_superuser=True, is_active=True), wanted)
        self.answer(self.act("deploy", bot), options)

    def delete(self, options: dict[str, Any]) -> None:
        bot = self.find(options["id"])
        bot.remove()
        self.stdout.write("{}" if options["json"] else f"{bot} is deleted.")
