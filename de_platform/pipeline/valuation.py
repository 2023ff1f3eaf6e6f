"""What events are worth in US dollars: exact decimals, a batch of one type at a time, column by column."""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import repeat
from operator import attrgetter, countOf
from typing import NamedTuple

from msgspec import UNSET, Raw

from de_platform.pipeline.amounts import EXACT, MAX_USD_INTEGER_DIGITS, plain, texts_of, to_usd
from de_platform.pipeline.currency import USD, RateTable
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType
from de_platform.pipeline.shapes import StampedEvent, column

Days = Sequence[str]
"""UTC days of transact_time, one an event."""

_NULL = Raw(b"null")
_TOO_PRECISE_FOR_USD = re.compile(r"\.\d{9}")


class _Quote(NamedTuple):
    rate: Decimal
    members: str


class _Worth(NamedTuple):
    """Amounts in the events' own currencies."""

    amounts: list[Decimal]
    texts: list[str]


def rates_needed_at(events: Sequence[StampedEvent]) -> str:
    """Return the latest instant whose knowledge of rates these events need; "" if they need none."""
    known_at = _known_at(events)
    return max([at for at, event in zip(known_at, events, strict=True) if event.currency != USD], default="")


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
        worth = _Worth(list(map(Decimal, texts)), texts)
        return [
            usd if isinstance(usd, FieldError) else f',"amount_usd":{usd}'
            for usd in _in_usd("amount_usd", worth, events, days, rates)
        ]
    prices = column(events, "price")
    if UNSET in prices or _NULL in prices:
        return _value_some(event_type, events, days, rates)
    worth = _notional(events, prices)
    return [
        usd if isinstance(usd, FieldError) else f',"notional":{notional},"notional_usd":{usd}'
        for notional, usd in zip(worth.texts, _in_usd("notional_usd", worth, events, days, rates), strict=True)
    ]


def _value_some(
    event_type: EventType, events: Sequence[StampedEvent], days: Days, rates: RateTable
) -> list[str | FieldError]:
    """Value those orders that have a price."""
    unpriced = (UNSET, _NULL)
    rows = [row for row, price in enumerate(column(events, "price")) if price not in unpriced]
    members: list[str | FieldError] = [""] * len(events)
    if rows:
        found = value_members(event_type, [events[row] for row in rows], [days[row] for row in rows], rates)
        for row, one in zip(rows, found, strict=True):
            members[row] = one
    return members


def _notional(events: Sequence[StampedEvent], prices: Sequence[Raw]) -> _Worth:
    quantities = map(Decimal, texts_of(column(events, "quantity")))
    amounts = list(map(EXACT.multiply, quantities, map(Decimal, texts_of(prices))))
    texts = list(map(str, amounts))
    return _Worth(amounts, texts if "E" not in "".join(texts) else list(map(plain, amounts)))


def _in_usd(
    name: str, worth: _Worth, events: Sequence[StampedEvent], days: Days, rates: RateTable
) -> list[str | FieldError]:
    """Return the rest of the members: the value in dollars (without its name), the rate and its day."""
    quotes = _quotes(events, days, rates)
    if not _fit_as_they_are(worth.texts):
        return [_converted(name, amount, quote) for amount, quote in zip(worth.amounts, quotes, strict=True)]
    currencies = column(events, "currency")
    return [
        f"{text}{quote.members}" if currency == USD and isinstance(quote, _Quote) else _converted(name, amount, quote)
        for currency, amount, text, quote in zip(currencies, worth.amounts, worth.texts, quotes, strict=True)
    ]


def _fit_as_they_are(texts: Sequence[str]) -> bool:
    """Say whether amounts, if they are dollars, need no rounding and fit their column."""
    return max(map(len, texts), default=0) <= MAX_USD_INTEGER_DIGITS and not _TOO_PRECISE_FOR_USD.search(
        " ".join(texts)
    )


def _converted(name: str, amount: Decimal, quote: _Quote | FieldError) -> str | FieldError:
    if isinstance(quote, FieldError):
        return quote
    usd = to_usd(amount, quote.rate)
    if usd is None:
        return FieldError(name, f"has more than {MAX_USD_INTEGER_DIGITS} digits before the decimal point")
    return f"{plain(usd)}{quote.members}"


def _quotes(events: Sequence[StampedEvent], days: Days, rates: RateTable) -> list[_Quote | FieldError]:
    """Return the rate of each event; each different one is looked up once."""
    known_at = _known_at(events)
    first, last = rates.edition(min(known_at)), rates.edition(max(known_at))
    editions = repeat(first, len(events)) if first == last else map(rates.edition, known_at)
    keys = list(zip(column(events, "currency"), days, editions, strict=True))
    quotes = {key: _quote(*key, rates) for key in set(keys)}
    return [quotes[key] for key in keys]


def _quote(currency: str, day: str, edition: int, rates: RateTable) -> _Quote | FieldError:
    rate = rates.to_usd(currency, day, edition)
    if isinstance(rate, FieldError):
        return rate
    return _Quote(rate.rate, f',"usd_rate":{rate.text},"usd_rate_on":"{rate.rate_on}"')


def _known_at(events: Sequence[StampedEvent]) -> list[str]:
    """Return the instants whose knowledge counts: of the replay, or else of the intake."""
    arrivals = column(events, "ingested_at")
    if countOf(map(attrgetter("replayed_at"), events), UNSET) == len(events):
        return arrivals
    replays = column(events, "replayed_at")
    return [arrival if replay is UNSET else replay for arrival, replay in zip(arrivals, replays, strict=True)]
