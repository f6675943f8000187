"""The log as JSON: one object in a line, with what it is about, and nothing that a library attached to it."""

import json
import logging
import logging.config
import threading

import pytest
from django.conf import settings

from accounts.models import Server
from accounts.polling import Poll
from controlpanel.observability.json_lines import JsonLines
from core.logs.context import AboutFilter, logging_about
from operations.models import Operation


def line(record: logging.LogRecord) -> dict[str, object]:
    AboutFilter().filter(record)
    record.request_id = "-"
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def a_record(message: str = "Something %s", *args: object, **more: object) -> logging.LogRecord:
    record = logging.LogRecord("bots.poll", logging.WARNING, __file__, 1, message, args or ("happened",), None)
    record.__dict__.update(more)
    return record


def test_a_line_has_what_the_text_has_and_leaves_out_what_it_is_not_about():
    found = line(a_record())
    assert found.pop("time").endswith("+00:00")
    assert found == {"level": "WARNING", "logger": "bots.poll", "message": "Something happened"}


def test_a_line_says_what_it_is_about():
    with logging_about(server=4), logging_about(operation=7, client=2):
        found = line(a_record())
    assert (found["server"], found["operation"], found["client"]) == (4, 7, 2)
    assert "server" not in line(a_record())


def test_another_thread_is_about_something_else():
    found = []
    with logging_about(server=4):
        thread = threading.Thread(target=lambda: found.append(line(a_record())))
        thread.start()
        thread.join()
    assert "server" not in found[0]


def test_an_exception_is_in_the_same_line():
    with pytest.raises(ValueError) as raised:
        int("wrong")
    record = a_record()
    record.exc_info = (raised.type, raised.value, raised.tb)
    found = line(record)
    assert "Traceback" in found["exception"] and "ValueError: invalid literal" in found["exception"]


@pytest.mark.parametrize("extra", [{"request": "<GET ?key=planted>"}, {"taskName": "planted"}, {"password": "planted"}])
def test_what_a_library_attaches_to_a_record_stays_out(extra):
    assert "planted" not in json.dumps(line(a_record(**extra)))


def test_a_message_can_not_forge_a_line_or_a_field():
    found = line(a_record("%s", 'x"}\n{"level": "INFO"'))
    assert (found["level"], found["message"]) == ("WARNING", 'x"}\n{"level": "INFO"')


@pytest.fixture
def about(monkeypatch) -> list[dict[str, object]]:
    """What each record is about that is logged from here on."""
    found: list[dict[str, object]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            AboutFilter().filter(record)
            found.append({name: getattr(record, name) for name in ("operation", "bot", "client", "server")})

    handler = Keeper()
    logging.getLogger("operations").addHandler(handler)
    logging.getLogger("tests").addHandler(handler)
    yield found
    logging.getLogger("operations").removeHandler(handler)
    logging.getLogger("tests").removeHandler(handler)


@pytest.mark.django_db
def test_what_an_operation_logs_says_which_bot_client_and_server_it_is_about(bot, perform, about, caplog):
    caplog.set_level(logging.INFO, "operations")
    perform("check_bot", bot)
    (operation,) = Operation.objects.all()
    assert about[0] == {"operation": operation.pk, "bot": bot.pk, "client": bot.client_id, "server": bot.server_id}


@pytest.mark.django_db
def test_what_a_poll_logs_says_which_server_it_is_about(server, about):
    def read(server: Server, *, within: float) -> None:
        logging.getLogger("tests.poll").warning("It is slow.")

    from datetime import timedelta

    minute = timedelta(minutes=1)
    Poll(due="next_poll", read=read, every=minute, max_duration=minute).run_if_due(server.pk)
    assert about == [{"operation": None, "bot": None, "client": None, "server": server.pk}]


def test_the_setting_chooses_the_format():
    formatters = settings.LOGGING["formatters"]
    assert settings.LOGGING["handlers"]["console"]["formatter"] == "text"
    built = logging.config.DictConfigurator(settings.LOGGING).configure_formatter(dict(formatters["json"]))
    assert isinstance(built, JsonLines)
