"""``changepassword``: a user's password, asked for in a terminal."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import transaction

TRIES = 3


class Command(changepassword.Command):
    """Django's saves the whole user as it was before it asked: who was suspended meanwhile could sign in again."""

    help = "Changes a user's password."

    def handle(self, *args: Any, **options: Any) -> str:
        name = options["username"] or getpass.getuser()
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"The user {name} does not exist.")
        for _ in range(TRIES):
            password = getpass.getpass(prompt=f"New password of {user}: ")
            if password != getpass.getpass(prompt="Password again: "):
                self.stderr.write("The passwords are not the same.")
                continue
            try:
                validate_password(password, user)
            except ValidationError as invalid:
                self.stderr.write("\n".join(invalid.messages))
                continue
            user.set_password(password)
            with transaction.atomic():  # with its row of the trail
                user.save(update_fields=["password"])
            return f"The password of {user} is changed."
        raise CommandError("Nothing was changed.")
