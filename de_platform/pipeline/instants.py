"""Instants as text: RFC 3339, exact to the microsecond."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import le
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_AHEAD = timedelta(minutes=5)
"""How far in the future of its arrival an event may be dated."""

_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_FIRST_YEAR = 1970
_DAY_CHARS = len("2026-01-31")
_SECOND_CHARS = len("2026-01-31T09:30:00")
_MAX_FRACTION_CHARS = len(".123456Z")
_REMEMBERED = 100_000
_FEW_SECONDS = 8
"""So many are looked up faster than all texts are laid out in columns."""


def format_instant(instant: datetime) -> str:
    """Write an aware datetime in UTC with six fraction digits and `Z`."""
    assert instant.tzinfo is not None, "instants are aware"
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


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
    """Say whether ASCII texts are surely timely for their arrivals; False says nothing.

    Whole columns at once: text in this format sorts like time, and characters stand in fixed places.
    """
    if not all(map(le, texts, arrivals)):
        return False
    lengths = set(map(len, texts))
    return all(
        _are_utc(texts if len(lengths) == 1 else [text for text in texts if len(text) == length], length)
        for length in lengths
    )


def utc_days(texts: Sequence[str]) -> list[str]:
    """Return the UTC day, `YYYY-MM-DD`, of each valid instant."""
    if not texts or "".join(texts).count("Z") < len(texts):
        return list(map(utc_day, texts))
    first = min(texts)[:_DAY_CHARS]
    if first == max(texts)[:_DAY_CHARS]:
        return [first] * len(texts)
    return [text[:_DAY_CHARS] for text in texts]


def utc_day(text: str) -> str:
    """Return the UTC day, `YYYY-MM-DD`, of a valid instant."""
    if text.endswith("Z"):
        return text[:_DAY_CHARS]
    return parse_instant(text).date().isoformat()


def _are_utc(texts: Sequence[str], length: int) -> bool:
    """Say whether ASCII texts of one length are all `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`, from 1970 on."""
    form = _FORMS.get(length)
    if form is None:
        return False
    seconds = {text[:_SECOND_CHARS] for text in texts}
    if len(seconds) <= _FEW_SECONDS:
        return _are_utc_fractions([text[_SECOND_CHARS:] for text in texts]) and all(map(_is_second, seconds))
    chars = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8).reshape(-1, length)
    digits = chars[:, form.digit_places] - _ZERO
    return bool(
        (digits <= 9).all()
        and (chars[:, form.mark_places] == form.marks).all()
        and (digits[:, _HOUR] * 10 + digits[:, _HOUR + 1] < 24).all()
        and (digits[:, _MINUTE] < 6).all()
        and (digits[:, _SECOND] < 6).all()
    ) and all(map(is_day, {text[:_DAY_CHARS] for text in texts}))


def _are_utc_fractions(fractions: Sequence[str]) -> bool:
    """Say whether texts of one length are all `Z`, or all `.` with digits and `Z`."""
    size, together = len(fractions[0]), "".join(fractions)
    if size == 1:
        return together == "Z" * len(fractions)
    points, marks = together[::size], together[size - 1 :: size]
    digits = together.replace(".", "").replace("Z", "")
    return (
        points == "." * len(fractions)
        and marks == "Z" * len(fractions)
        and len(digits) == len(together) - 2 * len(fractions)
        and digits.isascii()
        and digits.isdecimal()
    )


class _Form(NamedTuple):
    """Where digits stand in a text of some length, and which other characters stand where."""

    digit_places: NDArray[np.intp]
    mark_places: NDArray[np.intp]
    marks: NDArray[np.uint8]

    @classmethod
    def of(cls, example: str) -> "_Form":
        places = np.arange(len(example))
        is_digit = np.array([char.isdigit() for char in example])
        marks = np.frombuffer(example.encode(), np.uint8)[~is_digit]
        return cls(places[is_digit], places[~is_digit], marks)


_FORMS = {
    len(example): _Form.of(example)
    for example in ("2026-01-31T09:30:00Z", *(f"2026-01-31T09:30:00.{'0' * digits}Z" for digits in range(1, 7)))
}
_ZERO = np.uint8(ord("0"))
_HOUR, _MINUTE, _SECOND = 8, 10, 12
"""Places among the digits."""


def _is_utc_fraction(text: str) -> bool:
    return text == "Z" or (
        text[0:1] == "." and text[-1] == "Z" and len(text) <= _MAX_FRACTION_CHARS and text[1:-1].isdigit()
    )


@lru_cache(_REMEMBERED)
def _is_second(text: str) -> bool:
    return is_instant(f"{text}Z")


@lru_cache(_REMEMBERED)
def is_day(text: str) -> bool:
    """Say whether this is a day, `YYYY-MM-DD`, from 1970 on."""
    return is_instant(f"{text}T00:00:00Z")
