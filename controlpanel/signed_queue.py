"""The queue's messages are pickles, which run code when they are read: only those that the panel signed are."""

import logging
from typing import Any

from huey.serializer import SignedSerializer


class MessageUnsigned(ValueError):
    """Nothing is lost but a bell: what nobody works on is rung for again."""


class SignedMessages(SignedSerializer):
    def _unsign(self, signed: bytes) -> Any:
        try:
            return super()._unsign(signed)
        except ValueError:
            # Without huey's words, which quote the message.
            raise MessageUnsigned from None


class UnsignedFilter(logging.Filter):
    """Makes one line of what huey says, with a traceback, of a message that it could not read for its signature."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], MessageUnsigned):
            record.msg = "Dropped a message of the queue that was not signed with this SECRET_KEY"
            record.args, record.exc_info, record.exc_text = (), None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
