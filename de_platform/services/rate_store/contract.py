"""What every implementation of RateStore does. Tests share a store; each works with a currency of its own."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from de_platform.services.rate_store.interface import CurrencyRate, RateStore

_serial = itertools.count(1)
LOADED_AT = datetime(2026, 11, 3, 16, 0, 0, 1, tzinfo=UTC)
_LATER = LOADED_AT + timedelta(hours=1)
_MONDAY = date(2026, 11, 2)


def fresh_currency() -> str:
    """Return a currency that no other test of this process uses."""
    return f"X{next(_serial):02}"


def make_rate(currency: str, **overrides: Any) -> CurrencyRate:
    """Return a rate from EUR."""
    fields: dict[str, Any] = {
        "from_currency": "EUR",
        "to_currency": currency,
        "rate": Decimal("1.0823"),
        "effective_on": _MONDAY,
        "loaded_at": LOADED_AT,
    }
    return CurrencyRate(**(fields | overrides))


class RateStoreContract:
    """Subclasses provide the fixture `store`."""

    async def test_rate_comes_back_as_it_was(self, store: RateStore) -> None:
        rate = make_rate(fresh_currency(), rate=Decimal("0.000123456789012345"))
        assert await store.add([rate]) == 1
        assert await self._rates(store, rate.to_currency) == [rate]

    async def test_day_is_the_same_at_both_ends_of_the_calendar(self, store: RateStore) -> None:
        currency = fresh_currency()
        days = [date(1999, 1, 4), date(2026, 3, 29), date(2026, 10, 25), date(2026, 12, 31)]
        await store.add([make_rate(currency, effective_on=day) for day in days])
        assert [rate.effective_on for rate in await self._rates(store, currency)] == days

    async def test_rate_that_is_already_known_adds_nothing(self, store: RateStore) -> None:
        currency = fresh_currency()
        await store.add([make_rate(currency)])
        assert await store.add([make_rate(currency, loaded_at=_LATER, rate=Decimal("1.08230"))]) == 0

    async def test_corrected_rate_is_added_and_the_history_kept(self, store: RateStore) -> None:
        currency = fresh_currency()
        first, corrected = make_rate(currency), make_rate(currency, rate=Decimal(2), loaded_at=_LATER)
        await store.add([first])
        assert await store.add([corrected]) == 1
        assert await self._rates(store, currency) == [first, corrected]

    async def test_rate_that_goes_back_to_an_older_value_is_news(self, store: RateStore) -> None:
        currency = fresh_currency()
        await store.add([make_rate(currency), make_rate(currency, rate=Decimal(2), loaded_at=_LATER)])
        assert await store.add([make_rate(currency, loaded_at=_LATER + timedelta(hours=1))]) == 1

    async def test_same_rate_on_another_day_or_pair_is_new(self, store: RateStore) -> None:
        currency = fresh_currency()
        others = [
            make_rate(currency, effective_on=_MONDAY + timedelta(days=1)),
            make_rate("EUR", from_currency=currency),
        ]
        await store.add([make_rate(currency)])
        assert await store.add(others) == 2

    async def test_last_rate_of_a_call_counts(self, store: RateStore) -> None:
        currency = fresh_currency()
        assert await store.add([make_rate(currency), make_rate(currency, rate=Decimal(2))]) == 1
        assert [rate.rate for rate in await self._rates(store, currency)] == [Decimal(2)]

    async def test_stored_rate_is_never_replaced(self, store: RateStore) -> None:
        currency = fresh_currency()
        await store.add([make_rate(currency)])
        assert await store.add([make_rate(currency, rate=Decimal(2))]) == 0
        assert await self._rates(store, currency) == [make_rate(currency)]

    async def test_adding_nothing_is_fine(self, store: RateStore) -> None:
        assert await store.add([]) == 0

    async def test_only_what_was_loaded_after_an_instant_is_returned_in_order(self, store: RateStore) -> None:
        currency = fresh_currency()
        rates = [make_rate(currency, rate=Decimal(n), loaded_at=LOADED_AT + timedelta(hours=n)) for n in (3, 1, 2)]
        await store.add(rates)
        newer = await store.loaded_since(LOADED_AT + timedelta(hours=1))
        assert [rate.rate for rate in newer if rate.to_currency == currency] == [Decimal(2), Decimal(3)]
        assert [rate.loaded_at for rate in newer] == sorted(rate.loaded_at for rate in newer)

    @staticmethod
    async def _rates(store: RateStore, currency: str) -> list[CurrencyRate]:
        return [rate for rate in await store.loaded_since(None) if rate.to_currency == currency]
