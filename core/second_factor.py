"""Who needs a second factor to be let in."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

#: Marks a session that began at the provider of single sign-on, whose business a second factor is then.
SINGLE_SIGN_ON = "single_sign_on"


def needs_second_factor(user: Any) -> bool:
    """Return whether ``REQUIRE_SECOND_FACTOR`` demands one of the user: of all, or of who has one of its roles.

    A superuser may do what every role may. Where no password of the panel signs in, the provider demands it.
    """
    required = settings.REQUIRE_SECOND_FACTOR
    if not settings.PASSWORD_SIGN_IN or isinstance(required, bool):
        return bool(required) and settings.PASSWORD_SIGN_IN
    return bool(user.is_superuser) or user.groups.filter(name__in=required).exists()


def has_second_factor(request: HttpRequest) -> bool:
    """Return whether this session of a signed-in user was begun with one, or at the provider."""
    return bool(request.user.is_verified() or request.session.get(SINGLE_SIGN_ON))  # type: ignore[union-attr]
