"""Defines clients: one lookup and one sentence per mistake, for the table, the JSON API, the terminal and the file."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts.models import Client, Server

_BACKEND = "django.contrib.auth.backends.ModelBackend"
#: Sentences by the model's names for its fields.
Errors = dict[str, list[str]]


def not_found(what: str, name: str, known: Iterable[str] = ()) -> str:
    """Return the sentence for a name that nothing has, with the one that was probably meant."""
    guess = get_close_matches(name, list(known), n=1)
    meant = f" Did you mean “{guess[0]}”?" if guess else ""
    return f"The {what} “{name}” does not exist.{meant}"


def find_server(servers: models.QuerySet[Server], name: str, errors: Errors) -> Server | None:
    """Return the server of this name; ``None``, and the reason in ``errors``, when there is none among ``servers``."""
    server = servers.filter(name=name).first()
    if server is None:
        errors["server"] = [not_found("server", name, servers.values_list("name", flat=True))]
    return server


def account_managers(current: int | None = None) -> models.QuerySet[User]:
    """Return the users who can be a client's account manager: those who may change clients, and the current one."""
    able = User.objects.with_perm("accounts.change_client", backend=_BACKEND).filter(is_staff=True)
    return User.objects.filter(models.Q(pk__in=able.values("pk")) | models.Q(pk=current))


def errors_of(row: models.Model, exclude: Collection[str] = ()) -> Errors:
    """Return all errors in a row's own fields."""
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as invalid:
        return invalid.message_dict
    return {}


def client_define(*, user: User, name: str, server: str, account_name: str = "", notes: str = "") -> Client:
    """Save a new client. Its account manager is the user, if they may not choose another one.

    Raises:
        ValidationError: with everything that is wrong.
    """
    errors: Errors = {}
    client = Client(name=name, account_name=account_name, notes=notes)
    if found := find_server(Server.objects.choosable_by(user), server, errors):
        client.server = found
    if not user.has_perm("accounts.assign_client"):
        client.account_manager = user
    client_save(client, errors)
    return client


@transaction.atomic
def client_save(client: Client, errors: Errors | None = None) -> None:
    """Check a client, and save it when nothing is wrong.

    Args:
        errors: what is known to be wrong already.

    Raises:
        ValidationError: with everything that is wrong.
    """
    known = errors or {}
    if found := errors_of(client, exclude=known) | known:
        raise ValidationError(found)
    client.save()
