"""The meaning of the server's messages, where several resources receive them. It has no codes for these: a rejection is
mostly the text of a Python exception.
"""

import re

#: The account's directory itself: a file in it that can't be written is a different error.
NO_PROFILE = re.compile(
    r"(No such file or directory: |Directory )'([^']{0,200}/)?credentials/[^/']{1,200}(/connectors)?'",
    re.IGNORECASE,
)
NO_BOT = re.compile(r"Bot \S+ not found", re.IGNORECASE)
DOCKER_DOWN = re.compile(
    r"docker\.sock|docker daemon|docker is not running|connect to docker|fetching server API version"
    r"|Connection aborted",
    re.IGNORECASE,
)
NO_EXCHANGE = re.compile(
    r"Cannot connect to host|Name or service not known|Temporary failure in name resolution"
    r"|Server disconnected|Connection (reset|refused|closed)|timed? ?out\b|\[Errno (-[235]|101|104|11[0-3])\]"
    r"|certificate verify failed|Network is unreachable|nodename nor servname"
    r"|too many requests|service unavailable|bad gateway",
    re.IGNORECASE,
)
