"""A rate store in memory, for tests; the contract holds it equal to the real one."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from de_platform.services.rate_store.interface import CurrencyRate, RateStore


class MemoryRateStore(RateStore):
    """Keeps rates in the order of loading. Whatever `unavailable` is set to is raised by the next calls."""

    def __init__(self) -> None:
        self._rates: list[CurrencyRate] = []
        self._newest: dict[tuple[str, str, date], tuple[datetime, Decimal]] = {}
        self._told: set[tuple[str, str, date, datetime]] = set()
        self.unavailable: Exception | None = None

    async def add(self, rates: Sequence[CurrencyRate]) -> int:
        self._check()
        before = len(self._rates)
        last_of_call = {(r.from_currency, r.to_currency, r.effective_on, r.loaded_at): r for r in rates}
        for rate in sorted(last_of_call.values(), key=lambda rate: rate.loaded_at):
            key = (rate.from_currency, rate.to_currency, rate.effective_on)
            newest = self._newest.get(key)
            if (*key, rate.loaded_at) in self._told or (newest is not None and newest[1] == rate.rate):
                continue
            self._told.add((*key, rate.loaded_at))
            self._rates.append(rate)
            if newest is None or newest[0] < rate.loaded_at:
                self._newest[key] = (rate.loaded_at, rate.rate)
        return len(self._rates) - before

    async def loaded_since(self, loaded_after: datetime | None) -> list[CurrencyRate]:
        self._check()
        found = (rate for rate in self._rates if loaded_after is None or rate.loaded_at > loaded_after)
        return sorted(found, key=lambda r: (r.loaded_at, r.from_currency, r.to_currency, r.effective_on))

    def _check(self) -> None:
        if self.unavailable is not None:
            raise self.unavailable
