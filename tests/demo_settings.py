"""The demo's settings for the browser tests: as they are, in more of a hurry."""

from controlpanel.settings import *  # noqa: F403
from controlpanel.settings import FLEET

#: Operations poll at once what they wait for; the sandbox's time passes 40 times as fast as real time.
FLEET = FLEET | {"POLL": 0.1, "CONNECT_SOONEST": 0, "RESEND": 1, "QUIET": 1, "CANCELS": 1}
#: The right one takes a third of a second for each sign-in, on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
