"""The Docker image of a bot."""

import re

from django.core.exceptions import ValidationError

DEFAULT_IMAGE = "hummingbot/hummingbot:latest"
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]*")


def validate_image(value: str) -> None:
    if not _IMAGE.fullmatch(value):
        raise ValidationError(f"This is not the name of a Docker image, such as {DEFAULT_IMAGE}.")
