"""Prices and exchange rates as random walks. Nothing here is real, and the rates say so by being too smooth."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from de_platform.pipeline.currency import CurrencyRate
from de_platform.pipeline.generator.tenants import FIRST_USD_RATES, Instrument

_RATE_STEP = Decimal("0.000001")
_DAY_SECONDS = 86_400.0
_MAX_DRIFT = 0.4
"""Prices stay within this share of where they began, on a logarithmic scale."""


class DemoRates:
    """US dollars per unit of currency for every day of a range."""

    def __init__(self, seed: int, first_on: date, last_on: date) -> None:
        self._first_on, self._last_on = first_on, last_on
        self._rates: dict[tuple[str, date], Decimal] = {}
        for currency, first in sorted(FIRST_USD_RATES.items()):
            random = Random(f"{seed}/rates/{currency}")  # noqa: S311 - demo data
            value = float(first)
            day = first_on
            while day <= last_on:
                value *= 1 + random.gauss(0, 0.002) - 0.05 * (value / float(first) - 1)
                self._rates[currency, day] = Decimal(value).quantize(_RATE_STEP, ROUND_HALF_UP)
                day += timedelta(days=1)

    def usd_per(self, currency: str, day: date) -> Decimal:
        """Return the rate of a day, of the first or last one outside the range."""
        if currency == "USD":
            return Decimal(1)
        return self._rates[currency, min(max(day, self._first_on), self._last_on)]

    def rows(self, loaded_at: datetime) -> Sequence[CurrencyRate]:
        """Return the rates as the rate store takes them."""
        return [
            CurrencyRate(from_currency=currency, to_currency="USD", rate=rate, effective_on=day, loaded_at=loaded_at)
            for (currency, day), rate in self._rates.items()
        ]


class PriceWalk:
    """Prices of a tenant's instruments, each a walk that moves with the time between two looks at it."""

    def __init__(self, random: Random, instruments: Sequence[Instrument]) -> None:
        self._random = random
        self._instruments: Mapping[str, Instrument] = {i.symbol: i for i in instruments}
        self._drift: dict[str, float] = dict.fromkeys(self._instruments, 0.0)
        self._seen_at: dict[str, datetime] = {}

    def at(self, symbol: str, instant: datetime) -> Decimal:
        """Return the price, to the cent; instants must not go back."""
        instrument = self._instruments[symbol]
        before = self._seen_at.get(symbol, instant)
        elapsed = max((instant - before).total_seconds(), 0.0)
        self._seen_at[symbol] = max(instant, before)
        drift = self._drift[symbol]
        drift += self._random.gauss(0, instrument.daily_move * math.sqrt(elapsed / _DAY_SECONDS)) - drift * 1e-4
        self._drift[symbol] = min(max(drift, -_MAX_DRIFT), _MAX_DRIFT)
        return cents(instrument.first_price * math.exp(self._drift[symbol]))


def cents(value: float) -> Decimal:
    """Round to two digits, at least one cent."""
    return max(Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP), Decimal("0.01"))
