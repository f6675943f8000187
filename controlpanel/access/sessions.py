"""The sessions in which a user is signed in."""

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone


def sessions_of(user: User) -> list[str]:
    """Return the keys of a user's sessions. A session keeps its user inside, so each has to be read."""
    live = Session.objects.filter(expire_date__gt=timezone.now())
    return [
        session.session_key for session in live.iterator() if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]


def sign_out(user: User, keep: str | None = None) -> int:
    """End a user's sessions except the one to keep, and return how many they were."""
    ended, _ = Session.objects.filter(session_key__in=set(sessions_of(user)) - {keep}).delete()
    return ended
