"""What the server's words mean, where several resources hear them. It has no codes for these: a refusal is mostly the
text of a Python exception.
"""

import re

NO_PROFILE = re.compile(r"(directory:? '|/)credentials/", re.IGNORECASE)
NO_BOT = re.compile(r"Bot \S+ not found", re.IGNORECASE)
DOCKER_DOWN = re.compile(
    r"docker\.sock|docker daemon|docker is not running|connect to docker|fetching server API version"
    r"|Connection aborted",
    re.IGNORECASE,
)
NO_EXCHANGE = re.compile(
    r"Cannot connect to host|Name or service not known|Temporary failure in name resolution"
    r"|Server disconnected|Connection (reset|refused|closed)|timed? ?out\b"
    r"|too many requests|service unavailable|bad gateway",
    re.IGNORECASE,
)
