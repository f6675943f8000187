"""``manage.py onboard``: the whole path of a client, from a file to a running bot, without a browser."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Server
from bots.models import Bot, BotState
from controlpanel.onboarding import FileInvalid, bot_define, read_file
from operations import kinds, runner
from operations.models import Operation, State, Step, StepState
from operations.problems import OperationActive
from operations.services import operation_request


class Command(BaseCommand):
    help = (
        "Define a client, its exchange key and its bot from a JSON file (see sample.json), push its profile, deploy "
        "the bot and wait until it is heard. Prints each step; exits with 1, the cause and the remedy when one fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, required=True, help="JSON with client, key and bot")
        parser.add_argument("--server", help="the server's name; may be left out when there is one only")

    def handle(self, *args: Any, **options: Any) -> None:
        server = self._server(options["server"])
        try:
            bot = bot_define(facts=read_file(options["file"]), server=server)
        except FileInvalid as error:
            raise CommandError(f"{error}\nCorrect the file and run this again. Nothing was changed.") from None
        self.stdout.write(f"{bot.client} is defined, with account {bot.client.account_name} on {bot.server}.")
        self._perform("check_server", bot.server)
        self._perform("push_profile", bot.client)
        self._deploy(bot)
        deployment = bot.deployments.open().get()
        self.stdout.write(self.style.SUCCESS(f"{bot.name} is {deployment.state.label}: {deployment}"))

    def _deploy(self, bot: Bot) -> None:
        """Deploy it, unless an earlier run did; what is true of that one is asked, not remembered."""
        deploy = kinds.get("deploy")
        if deploy.unavailable(bot):
            self._perform("refresh", bot)
        if not (reason := deploy.unavailable(bot)):
            self._perform("deploy", bot)
        elif (state := bot.deployments.open().get().state) != BotState.RUNNING:
            raise CommandError(f"{bot} is {state.label}. {reason}\nWhat to do: start or redeploy it.")
        elif bot.has_unsent_changes or bot.has_newer_key:
            self.stdout.write(f"\n{bot} runs already, from before what this file says now: redeploy it to apply that.")
        else:
            self.stdout.write(f"\n{bot} runs already, as this file says: nothing to deploy.")

    def _server(self, name: str | None) -> Server:
        servers = Server.objects.filter(name=name) if name else Server.objects.all()
        found = list(servers[:2])
        if len(found) == 1:
            return found[0]
        known = ", ".join(Server.objects.values_list("name", flat=True)) or "none yet"
        raise CommandError(
            f"Name the server with --server. The panel knows: {known}. "
            "Add one in the admin, or set HUMMINGBOT_API_URL, HUMMINGBOT_API_USERNAME and HUMMINGBOT_API_PASSWORD "
            "and run migrate."
        )

    def _perform(self, kind: str, subject: Any) -> None:
        try:
            operation = operation_request(kind=kind, subject=subject)
        except OperationActive as problem:
            raise CommandError(f"{problem.message}\n{problem.remedy}") from None
        self.stdout.write(f"\n{operation}")
        if not runner.run(operation.pk, on_step=self._print_step):
            self._follow(operation)
        operation.refresh_from_db()
        subject.refresh_from_db()
        if operation.state != State.SUCCEEDED:
            raise CommandError(
                f"{operation} {operation.state}: {operation.error_message or operation.summary} "
                f"[{operation.error_code or operation.state}]\n"
                f"What to do: {operation.error_remedy or 'Run this again.'}"
            )

    def _follow(self, operation: Operation) -> None:
        """A background worker was quicker to take it: print its steps as they end."""
        printed: set[int] = set()
        active = True
        while active:
            time.sleep(0.2)
            operation.refresh_from_db()
            active = operation.is_active
            for step in operation.steps.exclude(pk__in=printed).filter(finished_at__isnull=False):
                self._print_step(step)
                printed.add(step.pk)

    def _print_step(self, step: Step) -> None:
        if step.state == StepState.RUNNING:
            return
        mark = {StepState.DONE: self.style.SUCCESS("done  "), StepState.FAILED: self.style.ERROR("failed")}
        seconds = step.duration.total_seconds() if step.duration else 0
        self.stdout.write(f"  {mark[StepState(step.state)]} {step.title} ({seconds:.1f} s)\n         {step.detail}")
