"""What events are worth in US dollars, a batch of one type at a time: columns where they fit, decimals where not."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, cast

import numpy as np
from msgspec import UNSET, Raw, UnsetType

from de_platform.pipeline import amounts, fixed_point
from de_platform.pipeline.amounts import Number, digits_of, exact
from de_platform.pipeline.currency import USD, RateTable, UsdRate
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType
from de_platform.pipeline.fixed_point import Column, Ints
from de_platform.pipeline.lots import Lot

_NULL = Raw(b"null")
_NO_RATE = 0


class _Quotes(NamedTuple):
    """The rate of each event: `rates[codes[row]]`, as a mantissa for columns, and as JSON members."""

    codes: list[int]
    rates: list[UsdRate | FieldError]

    def mantissas(self) -> Ints:
        known = [_mantissa(rate) for rate in self.rates]
        return np.array(known, np.int64)[np.array(self.codes)]

    def members(self) -> list[str]:
        known = [_rate_members(rate) for rate in self.rates]
        return [known[code] for code in self.codes]

    def of(self, row: int) -> UsdRate | FieldError:
        return self.rates[self.codes[row]]


def rates_needed_at(lot: Lot) -> str:
    """Return an instant by which all rates are known that these events need; "" if they need none."""
    if set(lot.content.currencies) <= {USD}:
        return ""
    return max(lot.stamps.known_at)


def value_members(lot: Lot, rates: RateTable) -> list[str | FieldError]:
    """Return for each event the JSON members that say what it is worth, or why that cannot be said.

    Members come each after a comma. The rate is the one that was known when the event was taken in, or
    replayed. A market order without a price is worth nothing yet: no members.
    """
    if not lot.records:
        return []
    if lot.event_type is EventType.TRANSACTION:
        return _amount_members(lot.content.sizes, _quotes(lot, rates))
    prices = lot.content.prices
    priced = _priced_rows(prices)
    if len(priced) == len(prices):
        return _notional_members(lot.content.sizes, cast("Sequence[Number]", prices), _quotes(lot, rates))
    members: list[str | FieldError] = [""] * len(prices)
    for row, one in zip(priced, value_members(lot.only(priced), rates), strict=True):
        members[row] = one
    return members


def _priced_rows(prices: Sequence[Number | UnsetType]) -> Sequence[int]:
    kinds = set(map(type, prices))
    if kinds <= {float} or (kinds <= {Raw} and _NULL not in prices):
        return range(len(prices))
    return [row for row, price in enumerate(prices) if price is not UNSET and price != _NULL]


def _notional_members(
    quantities: Sequence[Number], prices: Sequence[Number], quotes: _Quotes
) -> list[str | FieldError]:
    notional = fixed_point.multiply(digits_of(quantities), digits_of(prices))
    usd = fixed_point.convert(notional, quotes.mantissas())
    texts = fixed_point.write(notional)
    members: list[str | FieldError] = [
        f',"notional":{text},"notional_usd":{its_usd}{rate}'
        for text, its_usd, rate in zip(texts, _write_usd(usd, notional, texts), quotes.members(), strict=True)
    ]
    for row in np.flatnonzero(~usd.fits).tolist():
        amount = amounts.multiply(exact(quantities[row]), exact(prices[row]))
        value = _in_usd("notional_usd", amount, quotes.of(row))
        members[row] = value if isinstance(value, FieldError) else f',"notional":{amounts.write(amount)}{value}'
    return members


def _amount_members(sizes: Sequence[Number], quotes: _Quotes) -> list[str | FieldError]:
    usd = fixed_point.convert(fixed_point.read(digits_of(sizes)), quotes.mantissas())
    members: list[str | FieldError] = [
        f',"amount_usd":{its_usd}{rate}' for its_usd, rate in zip(fixed_point.write(usd), quotes.members(), strict=True)
    ]
    for row in np.flatnonzero(~usd.fits).tolist():
        members[row] = _in_usd("amount_usd", exact(sizes[row]), quotes.of(row))
    return members


def _write_usd(usd: Column, amounts_: Column, texts: list[str]) -> list[str]:
    """Write dollars; where all amounts are dollars, they are written already."""
    return texts if np.array_equal(usd.mantissas, amounts_.mantissas) else fixed_point.write(usd)


def _in_usd(name: str, amount: Decimal, rate: UsdRate | FieldError) -> str | FieldError:
    """Convert one amount of any size; return its members from the value in dollars on."""
    if isinstance(rate, FieldError):
        return rate
    usd = amounts.to_usd(amount, rate.rate)
    if usd is None:
        return FieldError(name, f"has more than {amounts.MAX_USD_INTEGER_DIGITS} digits before the decimal point")
    return f',"{name}":{amounts.write(usd)}{_rate_members(rate)}'


def _quotes(lot: Lot, rates: RateTable) -> _Quotes:
    """Find the rate of each event; each different one is looked up once."""
    currencies, days = lot.content.currencies, lot.content.days
    known_at = set(lot.stamps.known_at)
    edition = rates.edition(min(known_at))
    if edition == rates.edition(max(known_at)) and len(set(days)) == 1:
        different = {currency: code for code, currency in enumerate(set(currencies))}
        codes = list(map(different.__getitem__, currencies))
        return _Quotes(codes, [rates.to_usd(currency, days[0], edition) for currency in different])
    editions = {instant: rates.edition(instant) for instant in known_at}
    keys = list(zip(currencies, days, map(editions.__getitem__, lot.stamps.known_at), strict=True))
    numbers = {key: code for code, key in enumerate(set(keys))}
    return _Quotes(list(map(numbers.__getitem__, keys)), [rates.to_usd(*key) for key in numbers])


def _mantissa(rate: UsdRate | FieldError) -> int:
    """Return a rate for columns; `_NO_RATE` if there is none or it is too large."""
    if isinstance(rate, FieldError):
        return _NO_RATE
    mantissa = int(rate.rate.scaleb(fixed_point.RATE_FRACTION_DIGITS))
    return mantissa if mantissa <= fixed_point.MAX_RATE else _NO_RATE


def _rate_members(rate: UsdRate | FieldError) -> str:
    return "" if isinstance(rate, FieldError) else f',"usd_rate":{rate.text},"usd_rate_on":"{rate.rate_on}"'
