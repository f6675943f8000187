"""Who sees which rows: account managers their own clients and what belongs to them, others those of every client."""

from typing import Self, TypeAlias, TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db import models

Row = TypeVar("Row", bound=models.Model)
#: The user of a request, signed in or not.
AnyUser: TypeAlias = User | AnonymousUser


def sees_every_client(user: AnyUser) -> bool:
    return user.has_perm("accounts.view_every_client")


class OfClientsQuerySet(models.QuerySet[Row]):
    """Rows of which each belongs to one client: a user who sees the client sees them.

    Attributes:
        account_manager: the lookup from a row to the user who manages its client.
    """

    account_manager = "client__account_manager"

    def visible_to(self, user: AnyUser) -> Self:
        return self if sees_every_client(user) else self.filter(**{self.account_manager: user})
