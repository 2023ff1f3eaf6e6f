"""Money as decimals of any size: products and conversions, exact, written in plain notation."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import cast

from msgspec import Raw

from de_platform.pipeline import fixed_point
from de_platform.pipeline.fixed_point import FRACTION_DIGITS, Digits

Number = float | Raw
"""A decimal: the only one of at most 15 digits that a float can stand for, or JSON text."""

MAX_USD_INTEGER_DIGITS = 30
"""What a column of US dollars holds: Decimal(38, 8)."""

_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""Wide enough for a product of two amounts and a rate without rounding."""
_STEP = Decimal(1).scaleb(-FRACTION_DIGITS)
_USD_LIMIT = Decimal(10) ** MAX_USD_INTEGER_DIGITS


def texts_of(numbers: Sequence[Raw]) -> list[str]:
    """Return the text of JSON values, at once unless a space in one of them forbids it."""
    texts = b" ".join(numbers).decode().split(" ")
    return texts if len(texts) == len(numbers) else [bytes(number).decode() for number in numbers]


def digits_of(numbers: Sequence[Number]) -> Digits:
    """Read a column of numbers."""
    kinds = set(map(type, numbers))
    if kinds == {float}:
        return fixed_point.recover(cast("Sequence[float]", numbers))
    if kinds == {Raw}:
        return fixed_point.parse(texts_of(cast("Sequence[Raw]", numbers)))
    return fixed_point.parse([f"{exact(number):f}" for number in numbers])


def exact(number: Number) -> Decimal:
    """Return one number as it was written."""
    return Decimal(repr(number) if isinstance(number, float) else bytes(number).decode())


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Multiply exactly."""
    return _EXACT.multiply(left, right)


def write(number: Decimal) -> str:
    """Write a number exactly, without an exponent, with at least `FRACTION_DIGITS` fraction digits."""
    padded = _EXACT.quantize(number, _STEP)
    return f"{padded if padded == number else number:f}"


def to_usd(amount: Decimal, rate: Decimal) -> Decimal | None:
    """Convert, rounding half to even at `FRACTION_DIGITS`; None if the result does not fit its column."""
    usd = _EXACT.quantize(multiply(amount, rate), _STEP)
    return usd if usd < _USD_LIMIT else None
