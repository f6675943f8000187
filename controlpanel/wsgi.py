"""The entry point for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from controlpanel.starting.checks import check_web

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")

application = get_wsgi_application()
check_web()
