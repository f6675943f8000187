"""Who sees which rows: account managers their own clients and what belongs to them, others those of every client."""

from typing import Any, Self, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


def sees_every_client(user: Any) -> bool:
    return user.has_perm("accounts.view_every_client")


class OfClientsQuerySet(models.QuerySet[Row]):
    """Rows of which each belongs to one client: whoever sees the client sees them.

    Attributes:
        account_manager: the way from a row to whoever looks after its client.
    """

    account_manager = "client__account_manager"

    def visible_to(self, user: Any) -> Self:
        return self if sees_every_client(user) else self.filter(**{self.account_manager: user})
