"""``manage.py client``: clients, their keys and their profiles from a terminal."""

import json
from argparse import FileType
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.utils import timezone

from accounts.definitions import client_define
from accounts.keys import key_store
from accounts.models import Client
from json_api.cli import NounCommand, as_json
from json_api.schemas.clients import ClientIn, ClientOut, KeyOut
from json_api.schemas.markets import ObligationOut
from markets.obligations.standing import standings


class Command(NounCommand):
    help = "Clients: list, show, create; store an exchange key; push, verify and recreate credentials profiles."
    model = Client
    schema = ClientOut
    columns = ("id", "name", "account", "server", "status", "profile")
    actions = {"push": "push_profile", "verify": "verify_profile", "recreate": "recreate_profile"}

    def rows(self) -> QuerySet[Client]:
        return ClientOut.rows(super().rows())

    def add_more_verbs(self, verbs: Any) -> None:
        create = self.add_verb(verbs, "create", "add a client; sends nothing to its server")
        create.add_argument("--name", required=True)
        create.add_argument("--server", required=True, help="a server's name")
        create.add_argument(
            "--account-name", default="", help="name of its profile; made from the client's name by default"
        )
        key = self.add_verb(verbs, "key", "store an exchange key, replacing the existing one")
        key.add_argument("id")
        key.add_argument("--connector", required=True)
        # Never as an argument: arguments are visible to every user of the host.
        key.add_argument("--file", type=FileType(), required=True, help="JSON with a value for each field; - for stdin")

        self.add_verb(verbs, "obligations", "what was agreed with the client, and how it stands").add_argument("id")

    def create(self, options: dict[str, Any]) -> None:
        wanted = ClientIn(name=options["name"], server=options["server"], account_name=options["account_name"])
        # A user with a terminal on the host may do everything.
        self.answer(client_define(user=User(is_superuser=True, is_active=True), **wanted.model_dump()), options)

    def obligations(self, options: dict[str, Any]) -> None:
        obligations = self.find(options["id"]).obligations.select_related("client__server")
        found = [ObligationOut.model_validate(ObligationOut.of(s)) for s in standings(obligations, timezone.now())]
        if options["json"]:
            self.stdout.write(as_json([obligation.model_dump() for obligation in found]))
            return
        for obligation in found:
            self.stdout.write(f"{obligation.pair} on {obligation.connector}: {obligation.terms}: {obligation.state}")
            if obligation.reason:
                self.stdout.write(f"  {obligation.reason}")

    def key(self, options: dict[str, Any]) -> None:
        client = self.find(options["id"])
        try:
            values = json.load(options["file"])
        except ValueError:
            raise CommandError("The file is not valid JSON.") from None
        if not isinstance(values, dict):
            raise CommandError("The file needs a value for each field of the connector, as a JSON object.")
        key = key_store(client=client, connector=options["connector"], values=values)
        self.tell(KeyOut.from_orm(key).model_dump(), options)
