"""Who may change which users: no one can grant or revoke more permissions than they have themselves."""

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet

from core.visibility import AnyUser


def permissions_of(user: AnyUser) -> QuerySet[Permission]:
    """Return what the user was granted; unlike ``get_all_permissions``, also for a disabled user."""
    return Permission.objects.filter(Q(group__user=user) | Q(user=user))


def may_change(user: AnyUser, other: User) -> bool:
    """Return whether the user has all that the other has, whose password and roles they would then decide on."""
    if user.is_superuser:
        return True
    own = permissions_of(user).values("pk")
    return not other.is_superuser and not permissions_of(other).exclude(pk__in=own).exists()


def grantable_groups(user: AnyUser) -> QuerySet[Group]:
    """Return the groups without permissions that the user lacks."""
    if user.is_superuser:
        return Group.objects.all()
    lacking = Permission.objects.exclude(pk__in=permissions_of(user).values("pk"))
    return Group.objects.exclude(permissions__in=lacking)
