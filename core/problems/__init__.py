"""The catalog of what can go wrong: a code, what happened, a remedy, and whether trying again may help.

Everything that the panel reports, in the admin, in the JSON API and in the docs, is one of these classes. Each app adds
its own in its ``problems``; what the API client raises gets its remedies in ``core.problems.server``.
"""

from collections.abc import Iterator
from typing import ClassVar


class Problem(Exception):
    """An error that a user can do something about.

    Attributes:
        code: stable, for programs and searches.
        message: what happened, one or two sentences, never with a secret in it.
        remedy: what to do next.
        retryable: whether the same request may succeed later without anything being changed.
        fix_target: what has to be fixed, so that a page can link to it: ``server``, ``key``, ``bot``, ``settings``,
            ``strategy``, ``client``, ``emergency_stop``; empty where there is no such place.
        no_contact: whether the server could not be reached at all, as opposed to rejecting the request.
    """

    code: ClassVar[str] = "problem"
    meaning: ClassVar[str] = "Something went wrong."
    default_remedy: ClassVar[str] = "Try again. If it happens again, check the server's log."
    retryable: ClassVar[bool] = False
    fix_target: ClassVar[str] = ""
    no_contact: ClassVar[bool] = False

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        self.message = message or self.meaning
        self.remedy = remedy or self.default_remedy
        super().__init__(self.message)

    @classmethod
    def catalog(cls) -> Iterator[type["Problem"]]:
        """Yield every kind of problem that has been defined, in order of definition, families before their members.

        A family without a code of its own is excluded: it only holds what its members have in common.
        """
        for kind in cls.__subclasses__():
            if "code" in vars(kind):
                yield kind
            yield from kind.catalog()

    @classmethod
    def with_code(cls, code: str) -> "type[Problem] | None":
        """Return the kind of problem that a stored code stands for; ``None`` when it no longer exists."""
        return next((kind for kind in cls.catalog() if kind.code == code), None)
