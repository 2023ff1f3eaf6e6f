"""Conversion to US dollars by the rate of the trade's day, as it was known when the event arrived."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.fixed_point import RATE_FRACTION_DIGITS
from de_platform.pipeline.instants import format_instant

USD = "USD"
PIVOT = "EUR"
"""Currencies without a rate between them are converted through this one, which the European Central Bank quotes all
others against."""
DEFAULT_STALENESS_LIMIT = timedelta(days=7)

_CACHE_LIMIT = 100_000
_WIDE = Context(prec=100)


class CurrencyRate(msgspec.Struct, frozen=True, kw_only=True):
    """On `effective_on` one unit of `from_currency` is worth `rate` of `to_currency`, as known since `loaded_at`."""

    from_currency: str
    to_currency: str
    rate: Decimal
    effective_on: date
    loaded_at: datetime


class UsdRate(NamedTuple):
    """What one unit of a currency is worth in US dollars, and the day that this was taken from (`YYYY-MM-DD`)."""

    rate: Decimal
    text: str
    """The rate in plain notation, without trailing zeros."""
    rate_on: str


class RateTable:
    """Rates with their history, answering from a cache.

    Which rate counts: the one of the day, or the last before it that is not older than the staleness limit;
    of several for one day, the last that was loaded by then. Direct before inverse before through `PIVOT`.
    """

    def __init__(
        self, rates: Iterable[CurrencyRate] = (), *, staleness_limit: timedelta = DEFAULT_STALENESS_LIMIT
    ) -> None:
        self._staleness_limit = staleness_limit
        self._histories: dict[tuple[str, str], _History] = {}
        self._loaded_at: set[datetime] = set()
        self._editions: list[str] = []
        """When rates were loaded, ascending: after each of them the table answered differently."""
        self._cache: dict[tuple[str, str, int], UsdRate | FieldError] = {}
        self.add(rates)

    @property
    def newest_loaded_at(self) -> datetime | None:
        """When the youngest rate was loaded."""
        return max(self._loaded_at, default=None)

    def add(self, rates: Iterable[CurrencyRate]) -> None:
        """Take in rates, in any order; those it has already change nothing."""
        changed = False
        for rate in rates:
            history = self._histories.setdefault((rate.from_currency, rate.to_currency), _History())
            if history.add(rate):
                self._loaded_at.add(rate.loaded_at)
                changed = True
        if changed:
            self._editions = sorted(format_instant(instant) for instant in self._loaded_at)
            self._cache.clear()

    def edition(self, known_at: str) -> int:
        """Return the number of the table's edition at an instant written by `format_instant`."""
        return bisect_right(self._editions, known_at)

    def to_usd(self, currency: str, dated_on: str, edition: int) -> UsdRate | FieldError:
        """Return the rate for a trade of the UTC day `dated_on` by what an edition knew, or what it lacks."""
        key = (currency, dated_on, edition)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            found = self._cache[key] = self._find(currency, date.fromisoformat(dated_on), edition)
        return found

    def _find(self, currency: str, day: date, edition: int) -> UsdRate | FieldError:
        if currency == USD:
            return UsdRate(Decimal(1), "1", day.isoformat())
        known_at = datetime.fromisoformat(self._editions[edition - 1]) if edition else None
        quote = self._quote(currency, USD, day, known_at) or self._through_pivot(currency, day, known_at)
        if quote is None:
            return self._lacking(currency, day, known_at)
        rate = Decimal(round(quote.rate * 10**RATE_FRACTION_DIGITS)).scaleb(-RATE_FRACTION_DIGITS, _WIDE)
        text = f"{rate:f}".rstrip("0").removesuffix(".")
        return UsdRate(rate, text, quote.effective_on.isoformat())

    def _through_pivot(self, currency: str, day: date, known_at: datetime | None) -> "_Quote | None":
        first = self._quote(currency, PIVOT, day, known_at)
        second = self._quote(PIVOT, USD, day, known_at)
        if first is None or second is None:
            return None
        return _Quote(first.rate * second.rate, min(first.effective_on, second.effective_on))

    def _quote(self, from_currency: str, to_currency: str, day: date, known_at: datetime | None) -> "_Quote | None":
        """Return the rate between two currencies that is stored in either direction."""
        if known_at is None:
            return None
        oldest = day - self._staleness_limit
        direct = self._histories.get((from_currency, to_currency), _EMPTY).find(day, oldest, known_at)
        if direct is not None:
            return direct
        inverse = self._histories.get((to_currency, from_currency), _EMPTY).find(day, oldest, known_at)
        return _Quote(1 / inverse.rate, inverse.effective_on) if inverse is not None else None

    def _lacking(self, currency: str, day: date, known_at: datetime | None) -> FieldError:
        legs = [(PIVOT, USD)] if currency == PIVOT else [(PIVOT, currency), (PIVOT, USD)]
        lacking = [f"{from_}/{to}" for from_, to in legs if self._quote(from_, to, day, known_at) is None]
        days = self._staleness_limit.days
        return FieldError("currency", f"no {' and no '.join(lacking)} rate on {day} or up to {days} days before")


class _Quote(NamedTuple):
    """A rate between two currencies, not rounded."""

    rate: Fraction
    effective_on: date


class _History:
    """Rates of one ordered pair by day and, within a day, by when they were loaded.

    Columns, because twenty-five years of daily rates of forty currencies are a quarter of a million rows.
    """

    def __init__(self) -> None:
        self._days = array("l")
        self._loaded_at: list[datetime] = []
        self._rates: list[str] = []

    def add(self, rate: CurrencyRate) -> bool:
        """Insert one rate; False if it was there."""
        day = rate.effective_on.toordinal()
        position = bisect_right(self._days, day)
        while position and self._days[position - 1] == day and self._loaded_at[position - 1] >= rate.loaded_at:
            position -= 1
            if self._loaded_at[position] == rate.loaded_at and self._rates[position] == str(rate.rate):
                return False
        self._days.insert(position, day)
        self._loaded_at.insert(position, rate.loaded_at)
        self._rates.insert(position, str(rate.rate))
        return True

    def find(self, day: date, oldest: date, known_at: datetime) -> _Quote | None:
        """Return the last rate from `oldest` to `day` that was loaded by `known_at`."""
        position = bisect_right(self._days, day.toordinal()) - 1
        while position >= 0 and self._days[position] >= oldest.toordinal():
            if self._loaded_at[position] <= known_at:
                return _Quote(Fraction(self._rates[position]), date.fromordinal(self._days[position]))
            position -= 1
        return None


_EMPTY = _History()
