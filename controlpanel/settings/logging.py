"""What is logged, and how."""

import logging

from controlpanel.environment import env

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "{asctime} {levelname} {name} {request_id} {message}{requester}", "style": "{"},
        "json": {"()": "controlpanel.observability.json_lines.JsonLines"},
    },
    "filters": {
        "request_id": {"()": "controlpanel.web.request_id.RequestIdFilter"},
        "requester": {"()": "controlpanel.web.request_id.RequesterFilter"},
        "about": {"()": "core.logs.context.AboutFilter"},
        "refusal_in_a_line": {"()": "controlpanel.web.request_id.RefusalFilter"},
        "unsigned_in_a_line": {"()": "controlpanel.queue.UnsignedFilter"},
        "outage_in_a_line": {"()": "controlpanel.queue.OutageFilter"},
        # urllib3 names the whole address of a request, which for a webhook is its password: of each one, and of one
        # whose answer has a header that can't be read.
        "errors": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: record.levelno >= logging.ERROR,
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env("LOG_FORMAT"),
            "filters": [
                "request_id",
                "requester",
                "about",
                "refusal_in_a_line",
                "unsigned_in_a_line",
                "outage_in_a_line",
            ],
        },
    },
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL")},
    "loggers": {
        "urllib3.connection": {"filters": ["errors"]},
        "urllib3.connectionpool": {"filters": ["errors"]},
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "huey": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "axes": {"level": "WARNING"},
    },
}
