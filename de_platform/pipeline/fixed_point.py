"""Columns of decimals as 64-bit integers: read, multiplied, converted and written, exact to the last digit.

A column says which of its rows fit; the others are for `amounts`, which does the same one by one and in any size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FRACTION_DIGITS = 8
"""Of amounts in US dollars, which are rounded to them; other amounts are written with at least as many."""
RATE_FRACTION_DIGITS = 18
MAX_RATE = 9 * 10**RATE_FRACTION_DIGITS
"""The largest mantissa of a rate."""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_POWERS = 10 ** np.arange(19, dtype=np.int64)
_RATE_ONE = np.int64(10**RATE_FRACTION_DIGITS)
_RATE_HALF = np.int64(10**RATE_FRACTION_DIGITS // 2)
_FLOAT_POWERS = _POWERS.astype(np.float64)
_MAX_FLOAT_DIGITS = 1e15
_MAX_DIGITS = 18
_MAX_MANTISSA = 9e17
_MAX_CONVERTED = 1e16
_COMMA, _POINT, _ZERO, _SPACE = (np.uint8(ord(char)) for char in ",.0 ")
_QUAD = np.int64(10_000)
_QUAD_CHARS = 4
_BLANK_PADDED, _LONE_ZERO = 10_000, 20_000
"""Where in `_QUADS` the texts of leading digits begin, and the text of a zero that stands alone."""
_QUADS = np.frombuffer(
    "".join(
        [*(f"{quad:04d}" for quad in range(10_000)), "    ", *(f"{quad:4d}" for quad in range(1, 10_000)), "   0"]
    ).encode(),
    np.uint32,
)
"""Four digits at a time: padded with zeros; then padded with blanks, where zero is blank; then a zero."""
_INTEGER_CHARS = 12
_FRACTION = slice(_INTEGER_CHARS + 1, _INTEGER_CHARS + 1 + FRACTION_DIGITS)


class Digits(NamedTuple):
    """Plain positive numbers; a row means something only where `fits` says so."""

    mantissas: Ints
    """Their digits."""
    scales: Ints
    """How many of them are fraction digits."""
    fits: Flags


class Column(NamedTuple):
    """Numbers times 10 ** FRACTION_DIGITS; a row means something only where `fits` says so."""

    mantissas: Ints
    fits: Flags


def parse(texts: Sequence[str]) -> Digits:
    """Read JSON text, of at most 18 digits where it fits."""
    chars = np.frombuffer(",".join([*texts, ""]).encode("ascii"), np.uint8)
    ends = np.flatnonzero(chars == _COMMA)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts
    points = np.flatnonzero(chars == _POINT)
    row_of = np.repeat(np.arange(len(ends)), lengths + 1)
    point_of = np.full(len(ends), -1)
    point_of[row_of[points]] = points
    scales = np.where(point_of >= 0, ends - 1 - point_of, 0)
    places = np.arange(len(chars))
    exponents = ends[row_of] - 1 - places - (places < point_of[row_of])
    digits = chars - _ZERO
    digits[ends], digits[points] = 0, 0
    mantissas = np.add.reduceat(digits * _POWERS[np.clip(exponents, 0, _MAX_DIGITS)], starts)
    return Digits(mantissas, scales, lengths - (point_of >= 0) <= _MAX_DIGITS)


def recover(numbers: Sequence[float]) -> Digits:
    """Find the decimals that floats were read from, of at most 15 digits.

    There is only one such decimal for a float. It was found when its digits, divided by the power of ten, give the
    very float again: both ways round correctly, and 15 digits are fewer than a float tells apart.
    """
    floats = np.array(numbers, np.float64)
    mantissas, scales = np.zeros(len(floats), np.int64), np.zeros(len(floats), np.int64)
    fits = np.zeros(len(floats), np.bool_)
    rows = np.arange(len(floats))
    for scale in range(FRACTION_DIGITS + 1):
        wanted = floats[rows]
        digits = np.rint(wanted * _FLOAT_POWERS[scale])
        found = (digits / _FLOAT_POWERS[scale] == wanted) & (digits < _MAX_FLOAT_DIGITS)
        done = rows[found]
        mantissas[done], scales[done], fits[done] = digits[found], scale, True
        rows = rows[~found]
        if not rows.size:
            break
    return Digits(mantissas, scales, fits)


def read(numbers: Digits) -> Column:
    """Bring numbers to `FRACTION_DIGITS`."""
    return _scaled(numbers, numbers.mantissas.astype(np.float64))


def multiply(left: Digits, right: Digits) -> Column:
    """Multiply row by row."""
    product = Digits(left.mantissas * right.mantissas, left.scales + right.scales, left.fits & right.fits)
    return _scaled(product, left.mantissas.astype(np.float64) * right.mantissas)


def convert(column: Column, rates: Ints) -> Column:
    """Multiply by rates (times 10 ** RATE_FRACTION_DIGITS; 0 where there is none), rounding half to even.

    The quotient is first estimated in floating point: up to `_MAX_CONVERTED` it is off by less than six. So
    what is left over, which integers that wrap around give exactly, is less than six times the divisor, fits
    64 bits, and corrects the estimate.
    """
    one = rates == _RATE_ONE
    estimate = column.mantissas * (rates / float(_RATE_ONE))
    fits = column.fits & (rates > 0) & (one | (estimate < _MAX_CONVERTED))
    quotient = np.where(fits, np.rint(estimate), 0).astype(np.int64)
    rest = column.mantissas * rates - quotient * _RATE_ONE
    correction = rest // _RATE_ONE
    quotient += correction
    rest -= correction * _RATE_ONE
    quotient += (rest > _RATE_HALF) | ((rest == _RATE_HALF) & (quotient % 2 == 1))
    return Column(np.where(one, column.mantissas, quotient), fits)


def write(column: Column) -> list[str]:
    """Write every row with `FRACTION_DIGITS` fraction digits, in plain notation; rows that do not fit as zero."""
    rest = np.where(column.fits, column.mantissas, 0)
    quads: list[Ints] = []
    for _ in range((_INTEGER_CHARS + FRACTION_DIGITS) // _QUAD_CHARS):
        shorter = rest // _QUAD
        quads.insert(0, rest - shorter * _QUAD)
        rest = shorter
    first, second, third, *fraction = quads
    is_second_leading = first == 0
    is_third_leading = is_second_leading & (second == 0)
    third = np.where(is_third_leading & (third == 0), _LONE_ZERO, third + _BLANK_PADDED * is_third_leading)
    texts = (first + _BLANK_PADDED, second + _BLANK_PADDED * is_second_leading, third, *fraction)
    digits = np.stack([_QUADS[text] for text in texts], axis=1).view(np.uint8)
    chars = np.full((len(rest), _FRACTION.stop + 1), _SPACE)
    chars[:, :_INTEGER_CHARS] = digits[:, :_INTEGER_CHARS]
    chars[:, _INTEGER_CHARS] = _POINT
    chars[:, _FRACTION] = digits[:, _INTEGER_CHARS:]
    return chars.tobytes().decode("ascii").split()


def _scaled(numbers: Digits, estimate: NDArray[np.float64]) -> Column:
    """Bring numbers with different scales to `FRACTION_DIGITS`; `estimate` tells what wrapped around."""
    missing = FRACTION_DIGITS - numbers.scales
    factors = _POWERS[np.clip(missing, 0, _MAX_DIGITS)]
    fits = numbers.fits & (missing >= 0) & (estimate * factors < _MAX_MANTISSA)
    return Column(numbers.mantissas * factors, fits)
