"""Exact money: products and conversions in decimal, written in plain notation."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

from msgspec import Raw

USD_FRACTION_DIGITS = 8
MAX_USD_INTEGER_DIGITS = 30
"""What a column of US dollars holds: Decimal(38, 8)."""

EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""Wide enough for a product of two amounts and a rate without rounding."""

_USD_STEP = Decimal(1).scaleb(-USD_FRACTION_DIGITS)
_USD_LIMIT = Decimal(10) ** MAX_USD_INTEGER_DIGITS


def plain(number: Decimal) -> str:
    """Write a number without an exponent."""
    text = str(number)
    return text if "E" not in text else f"{number:f}"


def texts_of(numbers: Sequence[Raw]) -> list[str]:
    """Return the text of JSON values, at once unless a space in one of them forbids it."""
    texts = b" ".join(numbers).decode().split(" ")
    return texts if len(texts) == len(numbers) else [bytes(number).decode() for number in numbers]


def to_usd(amount: Decimal, rate: Decimal) -> Decimal | None:
    """Convert, rounding half to even at `USD_FRACTION_DIGITS`; None if the result does not fit its column."""
    usd = EXACT.quantize(EXACT.multiply(amount, rate), _USD_STEP)
    return usd if usd < _USD_LIMIT else None
