"""``manage.py token``: make a token for the JSON API, and print it: the only time that it can be seen."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core.acting import SHOWN_ONCE, Actor, Door, acting, note
from json_api.models import Scope, Token


class Command(BaseCommand):
    help = "Create a token for the JSON API and print it. It is shown only once: the panel stores only a hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="the user whose permissions and clients it has")
        parser.add_argument("--name", required=True, help="what uses the token")
        parser.add_argument(
            "--scope", action="append", choices=Scope.values, help="may be given several times; read by default"
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        with acting(Actor(Door.TERMINAL)):
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"The user “{options['user']}” does not exist.")
        token = Token(user=user, name=options["name"], scopes=options["scope"] or [Scope.READ])
        secret = token.renew()
        try:
            token.full_clean()
        except ValidationError as invalid:
            raise CommandError(" ".join(invalid.messages)) from None
        with transaction.atomic():
            token.save()
            note(token, SHOWN_ONCE)
        self.stdout.write(secret)
