"""The entry point for gunicorn."""

import os

import django

from controlpanel.starting.checks import check_web
from controlpanel.web.handler import Handler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")

django.setup(set_prefix=False)
application = Handler()
check_web()
