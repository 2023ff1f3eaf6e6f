"""Filter and cursor values: which ones a field takes, and how a cursor writes them."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from de_platform.pipeline.query import FieldKind

EARLIEST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_INSTANT = datetime(2149, 6, 6, tzinfo=UTC)
"""Both ends of what a ClickHouse `Date` can hold."""

_MAX_INTEGER_DIGITS = 36
_MAX_FRACTION_DIGITS = 36


def fault_of(kind: FieldKind, value: object) -> str | None:
    """Say what is wrong with a value for a field of that kind, or None."""
    match kind:
        case FieldKind.TEXT:
            return _text_fault(value)
        case FieldKind.NUMBER:
            return _number_fault(value)
        case FieldKind.INSTANT:
            if not isinstance(value, datetime) or value.tzinfo is None:
                return "must be an instant with an offset"
            return None if EARLIEST_INSTANT <= value <= LATEST_INSTANT else "must lie between 1970 and 2149"
        case FieldKind.DATE:
            if not isinstance(value, date) or isinstance(value, datetime):
                return "must be a date"
            in_range = EARLIEST_INSTANT.date() <= value <= LATEST_INSTANT.date()
            return None if in_range else "must lie between 1970 and 2149"


def _text_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        return "must not contain NUL or unpaired surrogates"
    return None


def _number_fault(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return "must be a decimal number"
    number = Decimal(value)
    if not number.is_finite():
        return "must be finite"
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "a finite number has an exponent"
    if len(digits) + exponent > _MAX_INTEGER_DIGITS or -exponent > _MAX_FRACTION_DIGITS:
        return f"must have at most {_MAX_INTEGER_DIGITS} integer and {_MAX_FRACTION_DIGITS} fraction digits"
    return None


def to_text(kind: FieldKind, value: Any) -> str:
    """Write a value that `from_text` reads back unchanged."""
    match kind:
        case FieldKind.TEXT:
            return value
        case FieldKind.NUMBER:
            return format(Decimal(value), "f")
        case FieldKind.INSTANT:
            return value.astimezone(UTC).isoformat()
        case FieldKind.DATE:
            return value.isoformat()


def from_text(kind: FieldKind, text: str) -> Any:
    """Read what `to_text` wrote. Raises ValueError for anything else."""
    value: Any
    match kind:
        case FieldKind.TEXT:
            value = text
        case FieldKind.NUMBER:
            try:
                value = Decimal(text)
            except InvalidOperation as error:
                raise ValueError(text) from error
        case FieldKind.INSTANT:
            value = datetime.fromisoformat(text)
        case FieldKind.DATE:
            value = date.fromisoformat(text)
    if fault_of(kind, value) is not None:
        raise ValueError(text)
    return value


def plain_decimal(number: Decimal) -> Decimal:
    """Strip trailing zeros, exactly: 1.500 becomes 1.5, and 100.00 becomes 100, not 1E+2."""
    text = format(number, "f")
    return Decimal(text.rstrip("0").rstrip(".")) if "." in text else Decimal(text)
