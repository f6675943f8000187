"""Names that stand in lines of messages, logs and lists."""

from django.core.exceptions import ValidationError

from core.logs.records import escaped


def validate_one_line(text: str) -> None:
    """
    Raises:
        ValidationError: it would begin a line of its own, which could be taken for the panel's.
    """
    if escaped(text) != text:
        raise ValidationError("Enter one line, without control characters.", code="not_one_line")
