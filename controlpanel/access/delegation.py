"""Who may change which: users can neither grant nor revoke more permissions than they have themselves."""

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet

from accounts.models import Client
from core.visibility import AnyUser


def permissions_of(user: AnyUser) -> QuerySet[Permission]:
    """Return what the user was granted; unlike ``get_all_permissions``, also for a disabled user."""
    return Permission.objects.filter(Q(group__user=user) | Q(user=user))


def may_change(user: AnyUser, other: User) -> bool:
    """Return whether the user has all that the other has, whose password and roles they would then decide on: each
    permission, and each client.
    """
    if user.is_superuser:
        return True
    if other.is_superuser or permissions_of(other).exclude(pk__in=permissions_of(user).values("pk")).exists():
        return False
    own_clients = Client.objects.visible_to(user).values("pk")
    return not Client.objects.filter(account_manager=other).exclude(pk__in=own_clients).exists()


def grantable_groups(user: AnyUser) -> QuerySet[Group]:
    """Return the groups without permissions that the user lacks."""
    if user.is_superuser:
        return Group.objects.all()
    lacking = Permission.objects.exclude(pk__in=permissions_of(user).values("pk"))
    return Group.objects.exclude(permissions__in=lacking)
