"""Which Docker image a user may have bots run."""

import re

from django.core.exceptions import ValidationError

from bots.models import DEFAULT_IMAGE, Bot
from core.visibility import AnyUser

#: Hummingbot's own, with a tag, a digest or both.
_OFFICIAL_IMAGE = re.compile(r"hummingbot/hummingbot(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", re.ASCII)


def validate_image_choice(user: AnyUser, image: str) -> None:
    """May the user have bots run this image? Hummingbot's own anyone may, and one that is in use already.

    The server hands each container its config password, the host's network and every bot's scripts to write to: who
    chooses an image has code run with all clients' keys, like one who writes a script.

    Raises:
        ValidationError
    """
    if _OFFICIAL_IMAGE.fullmatch(image) or user.has_perm("bots.write_script"):
        return
    if not Bot.objects.filter(image=image).exists():
        raise ValidationError(
            f"Choose an official Hummingbot image, such as {DEFAULT_IMAGE}: other images run with every client's "
            "keys. A user who may write scripts can assign one to a first bot. Then it is available for other bots."
        )
