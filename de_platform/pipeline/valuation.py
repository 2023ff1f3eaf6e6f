"""What events are worth in US dollars, a batch of one type at a time: columns where they fit, decimals where not."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from msgspec import UNSET, Raw

from de_platform.pipeline import amounts, fixed_point
from de_platform.pipeline.amounts import texts_of
from de_platform.pipeline.currency import USD, RateTable, UsdRate
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType
from de_platform.pipeline.fixed_point import Column, Ints
from de_platform.pipeline.shapes import StampedEvent, column, count_set, unset_rows

Days = Sequence[str]
"""UTC days of transact_time, one an event."""

_NULL_TEXT = "null"
_NULL = Raw(_NULL_TEXT.encode())
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


def rates_needed_at(events: Sequence[StampedEvent]) -> str:
    """Return an instant by which all rates are known that these events need; "" if they need none."""
    if set(column(events, "currency")) <= {USD}:
        return ""
    return max(_known_at(events))


def value_members(
    event_type: EventType, events: Sequence[StampedEvent], days: Days, rates: RateTable
) -> list[str | FieldError]:
    """Return for each event the JSON members that say what it is worth, or why that cannot be said.

    All events are of one type. Members come each after a comma. The rate is the one that was known when the
    event was taken in, or replayed. A market order without a price is worth nothing yet: no members.
    """
    if not events:
        return []
    if event_type is EventType.TRANSACTION:
        texts = texts_of(column(events, "amount"))
        quotes = _quotes(events, days, rates)
        return _amount_members(texts, quotes)
    prices = column(events, "price")
    for row in unset_rows(prices):
        prices[row] = _NULL
    texts = texts_of(prices)
    if _NULL_TEXT in texts:
        priced = [row for row, text in enumerate(texts) if text != _NULL_TEXT]
        return _value_some(priced, event_type, events, days, rates)
    return _notional_members(texts_of(column(events, "quantity")), texts, _quotes(events, days, rates))


def _value_some(
    rows: Sequence[int], event_type: EventType, events: Sequence[StampedEvent], days: Days, rates: RateTable
) -> list[str | FieldError]:
    """Value some of the events; the others are worth nothing yet."""
    members: list[str | FieldError] = [""] * len(events)
    found = value_members(event_type, [events[row] for row in rows], [days[row] for row in rows], rates)
    for row, one in zip(rows, found, strict=True):
        members[row] = one
    return members


def _notional_members(quantities: Sequence[str], prices: Sequence[str], quotes: _Quotes) -> list[str | FieldError]:
    notional = fixed_point.multiply(quantities, prices)
    usd = fixed_point.convert(notional, quotes.mantissas())
    texts = fixed_point.write(notional)
    members: list[str | FieldError] = [
        f',"notional":{text},"notional_usd":{its_usd}{rate}'
        for text, its_usd, rate in zip(texts, _write_usd(usd, notional, texts), quotes.members(), strict=True)
    ]
    for row in np.flatnonzero(~usd.fits).tolist():
        amount = amounts.multiply(Decimal(quantities[row]), Decimal(prices[row]))
        value = _in_usd("notional_usd", amount, quotes.of(row))
        members[row] = value if isinstance(value, FieldError) else f',"notional":{amounts.write(amount)}{value}'
    return members


def _amount_members(texts: Sequence[str], quotes: _Quotes) -> list[str | FieldError]:
    usd = fixed_point.convert(fixed_point.read(texts), quotes.mantissas())
    members: list[str | FieldError] = [
        f',"amount_usd":{its_usd}{rate}' for its_usd, rate in zip(fixed_point.write(usd), quotes.members(), strict=True)
    ]
    for row in np.flatnonzero(~usd.fits).tolist():
        members[row] = _in_usd("amount_usd", Decimal(texts[row]), quotes.of(row))
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


def _quotes(events: Sequence[StampedEvent], days: Days, rates: RateTable) -> _Quotes:
    """Find the rate of each event; each different one is looked up once."""
    known_at = _known_at(events)
    currencies = column(events, "currency")
    first, last = rates.edition(min(known_at)), rates.edition(max(known_at))
    if first == last and len(set(days)) == 1:
        day = days[0]
        different = {currency: code for code, currency in enumerate(set(currencies))}
        codes = [different[currency] for currency in currencies]
        return _Quotes(codes, [rates.to_usd(currency, day, first) for currency in different])
    keys = list(zip(currencies, days, map(rates.edition, known_at), strict=True))
    numbers = {key: code for code, key in enumerate(set(keys))}
    return _Quotes([numbers[key] for key in keys], [rates.to_usd(*key) for key in numbers])


def _mantissa(rate: UsdRate | FieldError) -> int:
    """Return a rate for columns; `_NO_RATE` if there is none or it is too large."""
    if isinstance(rate, FieldError):
        return _NO_RATE
    mantissa = int(rate.rate.scaleb(fixed_point.RATE_FRACTION_DIGITS))
    return mantissa if mantissa <= fixed_point.MAX_RATE else _NO_RATE


def _rate_members(rate: UsdRate | FieldError) -> str:
    return "" if isinstance(rate, FieldError) else f',"usd_rate":{rate.text},"usd_rate_on":"{rate.rate_on}"'


def _known_at(events: Sequence[StampedEvent]) -> list[str]:
    """Return the instants whose knowledge counts: of the replay, or else of the intake."""
    arrivals = column(events, "ingested_at")
    replays = column(events, "replayed_at")
    if count_set(replays) == 0:
        return arrivals
    return [arrival if replay is UNSET else replay for arrival, replay in zip(arrivals, replays, strict=True)]
