"""Instants as text: RFC 3339, exact to the microsecond."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import le

MAX_AHEAD = timedelta(minutes=5)
"""How far in the future of its arrival an event may be dated."""

_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_UTC_FRACTIONS = re.compile(r"(?:(?:\.\d{1,6})?Z\n)*(?:\.\d{1,6})?Z", re.ASCII)
_FIRST_YEAR = 1970
_DAY_CHARS = len("2026-01-31")
_SECOND_CHARS = len("2026-01-31T09:30:00")
_MAX_FRACTION_CHARS = len(".123456Z")
_REMEMBERED_SECONDS = 100_000


def format_instant(instant: datetime) -> str:
    """Write an aware datetime in UTC with six fraction digits and `Z`."""
    assert instant.tzinfo is not None, "instants are aware"
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """Read `YYYY-MM-DDTHH:MM:SS[.ffffff](Z|±HH:MM)`, from 1970 on, and return it in UTC.

    Raises ValueError with a message for the sender: never rounds, never assumes a zone.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError(
            "must be an RFC 3339 time with a zone and at most 6 fraction digits, like 2026-01-31T09:30:00.123456Z"
        )
    try:
        instant = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a time that exists: {error}") from error
    if instant.year < _FIRST_YEAR:
        raise ValueError(f"must not be before {_FIRST_YEAR}")
    return instant


def is_instant(text: str) -> bool:
    """Say whether `parse_instant` would take it."""
    try:
        parse_instant(text)
    except ValueError:
        return False
    return True


def is_timely(text: str, arrived_at: str) -> bool:
    """Say whether ASCII text is an instant at most `MAX_AHEAD` after an arrival written by `format_instant`.

    The usual case, UTC and not ahead at all, needs no parsing: the second was seen before and text in
    this format sorts like time.
    """
    second, fraction = text[:_SECOND_CHARS], text[_SECOND_CHARS:]
    if second <= arrived_at and _is_utc_fraction(fraction) and _is_second(second):
        return True
    try:
        return parse_instant(text) <= parse_instant(arrived_at) + MAX_AHEAD
    except ValueError:
        return False


def are_timely(texts: Sequence[str], arrivals: Sequence[str]) -> bool:
    """Say whether all texts are surely timely for their arrivals; False says nothing. One pass in C for each rule."""
    seconds = [text[:_SECOND_CHARS] for text in texts]
    fractions = "\n".join([text[_SECOND_CHARS:] for text in texts])
    return (
        all(map(le, seconds, arrivals))
        and (not texts or _UTC_FRACTIONS.fullmatch(fractions) is not None)
        and all(map(_is_second, set(seconds)))
    )


def utc_day(text: str) -> str:
    """Return the UTC day, `YYYY-MM-DD`, of a valid instant."""
    if text.endswith("Z"):
        return text[:_DAY_CHARS]
    return parse_instant(text).date().isoformat()


def _is_utc_fraction(text: str) -> bool:
    return text == "Z" or (
        text[0:1] == "." and text[-1] == "Z" and len(text) <= _MAX_FRACTION_CHARS and text[1:-1].isdigit()
    )


@lru_cache(_REMEMBERED_SECONDS)
def _is_second(text: str) -> bool:
    return is_instant(f"{text}Z")
