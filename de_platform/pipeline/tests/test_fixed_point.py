from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from de_platform.pipeline.fixed_point import MAX_RATE, Column, convert, multiply, parse, recover, write
from de_platform.pipeline.fixed_point import read as read_digits

EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
STEP = Decimal("1e-8")

NUMBERS = st.builds(
    lambda whole, fraction: f"{whole}.{fraction}" if fraction else str(whole),
    st.integers(0, 10**9) | st.integers(0, 10**18 - 1),
    st.text("0123456789", max_size=4) | st.text("0123456789", max_size=18),
)
SHORT_NUMBERS = NUMBERS.filter(lambda text: len(text.replace(".", "")) <= 15)
RATES = st.integers(1, MAX_RATE) | st.sampled_from([10**18, 5 * 10**17, 25 * 10**16, 1, MAX_RATE])


def read(texts: list[str]) -> Column:
    return read_digits(parse(texts))


@given(st.lists(SHORT_NUMBERS, min_size=1, max_size=6))
@example(["0.00000001", "999999999999999", "9999999.99999999", "0.3", "123456789012.345"])
def test_floats_of_short_decimals_give_them_back(texts: list[str]) -> None:
    found = recover(list(map(float, texts)))
    for text, mantissa, scale, fits in zip(texts, *(values.tolist() for values in found), strict=True):
        assert fits == (Decimal(text).normalize().as_tuple().exponent >= -8)
        if fits:
            assert Decimal(mantissa).scaleb(-scale) == Decimal(text)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6))
def test_products_that_fit_are_exact(rows: list[tuple[str, str]]) -> None:
    column = multiply(parse([left for left, _ in rows]), parse([right for _, right in rows]))
    for (left, right), text, fits in zip(rows, write(column), column.fits, strict=True):
        if fits:
            assert Decimal(text) == EXACT.multiply(Decimal(left), Decimal(right))


def test_ordinary_numbers_fit() -> None:
    left, right = ["100", "12345.6789", "1"], ["150.25", "9999.9999", "0.00000001"]
    assert multiply(parse(left), parse(right)).fits.all()
    assert multiply(recover(list(map(float, left))), recover(list(map(float, right)))).fits.all()
    assert read(["1000000000", "0.00000001"]).fits.all()


def test_too_large_and_too_precise_numbers_do_not_fit() -> None:
    assert read(["10000000000", "0.000000001", "9" * 18, "0." + "1" * 18, "9" * 19]).fits.tolist() == [False] * 5
    assert not multiply(parse(["999999999.9"]), parse(["999999999.9"])).fits.any()


@settings(max_examples=300)
@given(st.lists(st.tuples(NUMBERS, RATES), min_size=1, max_size=6))
@example([("0.00000001", 5 * 10**17), ("0.00000003", 5 * 10**17), ("0.00000005", 5 * 10**17)])
@example([("99999999.99999999", 999999999999999999), ("90000000", 10**18 + 1), ("10000000.00000001", MAX_RATE)])
def test_conversions_that_fit_are_rounded_half_to_even(rows: list[tuple[str, int]]) -> None:
    amounts = read([number for number, _ in rows])
    column = convert(amounts, np.array([rate for _, rate in rows], np.int64))
    for (number, rate), text, fits in zip(rows, write(column), column.fits, strict=True):
        if fits:
            exact = EXACT.multiply(Decimal(number), Decimal(rate).scaleb(-18, EXACT))
            assert Decimal(text) == exact.quantize(STEP, context=EXACT)


def test_ten_million_dollars_fit() -> None:
    assert convert(read(["10000000"]), np.array([MAX_RATE], np.int64)).fits.all()


def test_a_row_without_a_rate_does_not_fit() -> None:
    assert not convert(read(["1"]), np.array([0], np.int64)).fits.any()


def test_numbers_are_written_with_eight_fraction_digits() -> None:
    numbers = ["0.5", "7", "1234567890.12345678", "10000", "100000000", "100000001.00000001", "10001"]
    assert list(map(Decimal, write(read(numbers)))) == list(map(Decimal, numbers))
    assert not any(text.startswith("00") for text in write(read(numbers)))
    assert {len(text.partition(".")[2]) for text in write(read(numbers))} == {8}
