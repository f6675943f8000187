"""How gunicorn serves the panel. It reads this file automatically; PORT is set by Heroku and Railway."""

from controlpanel.environment import env, require_configuration

require_configuration()

bind = env("BIND") or f"0.0.0.0:{env('PORT')}"
workers = env("WEB_CONCURRENCY")
threads = env("WEB_THREADS")
# Over which scheme a request came and from where, Django alone decides, by TRUSTED_PROXIES. gunicorn would believe each
# process of this machine.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# A configuration that is refused ends the process with its sentence, instead of a worker that is started over and over.
preload_app = True
timeout = 30
# No one manages it at run time, and two panels of one user would share the socket's path.
control_socket_disable = True
