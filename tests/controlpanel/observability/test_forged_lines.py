"""What has a name in the panel, or is sent to it, can have line breaks in it. No line of the log begins with them."""

import logging

import pytest
from django.contrib.auth.models import User

from accounts.models import Client
from client_reports.delivery import logger

FORGED = "2026-11-30 05:00:00,000 INFO audit - everything is fine"
#: What terminals and collectors of logs take for a line's end.
BREAKS = ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_a_name_begins_none(line_break, server, console):
    client = Client(name=f"Acme{line_break}{FORGED}", server=server)
    logger.warning("No report of %s was sent.", client)
    [line] = console.getvalue().splitlines()
    assert FORGED in line and not line.startswith(FORGED)


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_nor_does_the_message_of_an_error(line_break, console):
    logger.error("It failed.", exc_info=ValueError(f"Acme{line_break}{FORGED}"))
    first, *others = console.getvalue().splitlines()
    assert "It failed." in first
    assert others and all(line.startswith("  ") for line in others)
    assert FORGED in others[-1]


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_nor_does_the_name_of_a_user(line_break, console, rf):
    request = rf.get("/admin/")
    request.user = User(username=f"mia{line_break}{FORGED}")
    logging.getLogger("django.request").warning("Forbidden", extra={"request": request, "status_code": 403})
    [line] = console.getvalue().splitlines()
    assert FORGED in line and not line.startswith(FORGED)


@pytest.mark.parametrize("sent", ["\x1b[2K\x1b[1A", "\x9b2J", "\x07", "\0"], ids=ascii)
def test_what_would_move_a_terminals_cursor_is_spelled_out(sent, console):
    logger.warning("Refused: %s", sent)
    assert sent not in console.getvalue() and logging.getLogRecordFactory() is not logging.LogRecord
    assert "\\x" in console.getvalue()


@pytest.mark.parametrize(
    ("cause", "left"),
    [
        ("Invalid HTTP Header: 'Authorization Bearer planted'", "Invalid HTTP Header"),
        ("Invalid HTTP request line: 'username=root&password=planted q'", "Invalid HTTP request line"),
        ("Invalid HTTP method: 'planted\nplanted'", "Invalid HTTP method"),
        ("'planted'", ""),
    ],
)
@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", ""])
def test_what_gunicorn_can_not_read_of_a_request_is_not_quoted(cause, left, ip, console):
    logging.getLogger("gunicorn.error").warning(f"Invalid request from ip={ip}: {cause}")
    [line] = console.getvalue().splitlines()
    assert f"Invalid request from ip={ip}: {left}" in line and "planted" not in line


def test_letters_of_any_language_and_tabs_are_left_as_they_are(console):
    logger.warning("Zoë's\tζ 机器人 ™ 🤖")
    assert "Zoë's\tζ 机器人 ™ 🤖" in console.getvalue()
