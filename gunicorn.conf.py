"""How gunicorn serves the panel. It reads this file by itself; PORT is set by Heroku and Railway."""

import os

bind = os.environ.get("BIND") or f"0.0.0.0:{os.environ.get('PORT') or '8000'}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = int(os.environ.get("WEB_THREADS") or 4)
# A configuration that is refused ends the process with its sentence, instead of a worker that is started over and over.
preload_app = True
timeout = 30
