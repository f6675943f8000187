"""``manage.py onboard``: the whole path of a client, from a file to a running bot, without a browser."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from accounts.models import Server
from bots.models import Bot, BotState
from controlpanel.onboarding.from_file import FileInvalid, bot_define, read_file
from operations import kinds
from operations.cli import OperationCommand
from operations.problems import NotPossibleNow


class Command(OperationCommand):
    help = (
        "Define a client, its exchange key and its bot from a JSON file (see sample.json), push its keys, deploy the "
        "bot and wait for it to connect. Prints each step. On a failure it prints the cause and the remedy, and exits "
        "with 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, required=True, help="JSON with client, key and bot")
        parser.add_argument("--server", help="the server's name; optional if there is only one")

    def handle(self, *args: Any, **options: Any) -> None:
        server = self._server(options["server"])
        try:
            bot = bot_define(facts=read_file(options["file"]), server=server)
        except FileInvalid as error:
            raise CommandError(f"{error}\nCorrect the file and run this command again. Nothing was changed.") from None
        self.stdout.write(f"{bot.client} is defined, with the account {bot.client.account_name} on {bot.server}.")
        problem = kinds.get("deploy").blocker(bot)
        if problem is not None and not isinstance(problem, NotPossibleNow):
            raise CommandError(f"{problem.message}\nWhat to do: {problem.remedy}")
        self.perform("check_server", bot.server)
        self.perform("push_profile", bot.client)
        self._deploy(bot)
        deployment = bot.deployments.open().get()
        self.stdout.write(self.style.SUCCESS(f"{bot.name} is {deployment.state.label}: {deployment}"))

    def _deploy(self, bot: Bot) -> None:
        """Deploy it, unless an earlier run did; the state of that deployment is read, not remembered."""
        deploy = kinds.get("deploy")
        if deploy.blocker(bot):
            self.perform("refresh", bot)
        if (problem := deploy.blocker(bot)) is None:
            self.perform("deploy", bot)
        elif (state := bot.deployments.open().get().state) != BotState.RUNNING:
            raise CommandError(f"{bot} is {state.label}. {problem.message}\nWhat to do: start or redeploy it.")
        elif bot.has_unsent_changes or bot.has_newer_key:
            self.stdout.write(f"\n{bot} is already running with an older definition. Redeploy it to apply this file.")
        else:
            self.stdout.write(f"\n{bot} is already running with this definition. Nothing to deploy.")

    def _server(self, name: str | None) -> Server:
        servers = Server.objects.filter(name=name) if name else Server.objects.all()
        found = list(servers[:2])
        if len(found) == 1:
            return found[0]
        known = ", ".join(Server.objects.values_list("name", flat=True)) or "none yet"
        raise CommandError(
            f"Name the server with --server. Known servers: {known}. Add one in the admin, or set HUMMINGBOT_API_URL, "
            "HUMMINGBOT_API_USERNAME and HUMMINGBOT_API_PASSWORD and run migrate."
        )
