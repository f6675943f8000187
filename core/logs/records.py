"""What is logged, for any handler: one line for each record, without secrets of links."""

import logging
import re
import textwrap

from core.logs.secret_links import without_secret_links

#: What a terminal or a collector of logs takes for the end of a line, or for a command.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
#: gunicorn quotes what it can't read of a request: a header without its colon may be one with a token.
_REFUSED = re.compile(r"(Invalid request from ip=\S*: [A-Za-z ]*).*", re.DOTALL)


class LogRecord(logging.LogRecord):
    """What is logged, by anything in this process, for any handler: without such addresses, and in one line, whatever
    the names of clients and servers have in them.
    """

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        text = super().getMessage()
        if self.name == "gunicorn.error":
            text = _REFUSED.sub(r"\1", text)
        return escaped(without_secret_links(text))

    @property
    def exc_text(self) -> str | None:
        """The stack trace, which ends with the error's message: each of its lines is indented, as no other line is."""
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        if text:
            text = indented(without_secret_links(text))
        self._exc_text = text


def escaped(text: str) -> str:
    """Return a text as one line that is safe to print."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def indented(text: str) -> str:
    """Return a text of several lines, each of them safe to print and, unlike any other line, indented."""
    return textwrap.indent("\n".join(map(escaped, text.split("\n"))), "  ", lambda line: True)
