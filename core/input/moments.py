"""Times as programs and pages write them: in ISO 8601."""

from datetime import UTC, datetime


def read_moment(text: str) -> datetime:
    """Return the time in UTC, which is also the zone of one without.

    Raises:
        ValueError: it is none, or one that has no date in UTC, which not every database can compare.
    """
    return in_utc(datetime.fromisoformat(text))


def in_utc(moment: datetime) -> datetime:
    """Return the same time in UTC, which is also the zone of one without.

    Raises:
        ValueError: it has no date in UTC.
    """
    try:
        return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(error) from None
