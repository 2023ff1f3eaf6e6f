from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from de_platform.pipeline.currency import CurrencyRate, RateTable, UsdRate
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.instants import format_instant

LOADED = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


def rate(from_: str, to: str, value: str, on: str = "2026-10-30", loaded_at: datetime = LOADED) -> CurrencyRate:
    return CurrencyRate(
        from_currency=from_,
        to_currency=to,
        rate=Decimal(value),
        effective_on=date.fromisoformat(on),
        loaded_at=loaded_at,
    )


def usd(table: RateTable, currency: str, on: str = "2026-10-30", known_at: datetime = LOADED) -> UsdRate:
    found = table.to_usd(currency, on, table.edition(format_instant(known_at)))
    assert isinstance(found, UsdRate), found
    return found


def lacking(table: RateTable, currency: str, on: str = "2026-10-30", known_at: datetime = LOADED) -> str:
    found = table.to_usd(currency, on, table.edition(format_instant(known_at)))
    assert isinstance(found, FieldError)
    assert found.field == "currency"
    return found.message


def test_dollars_need_no_rate() -> None:
    assert usd(RateTable(), "USD") == UsdRate(Decimal(1), "1", "2026-10-30")


def test_a_stored_rate_is_used_as_it_is() -> None:
    assert usd(RateTable([rate("EUR", "USD", "1.1578")]), "EUR").text == "1.1578"


def test_a_rate_stored_the_other_way_is_inverted() -> None:
    assert usd(RateTable([rate("USD", "JPY", "160")]), "JPY").text == "0.00625"


def test_other_currencies_go_through_the_euro() -> None:
    table = RateTable([rate("EUR", "USD", "1.15"), rate("EUR", "GBP", "0.86")])
    assert usd(table, "GBP").text == "1.337209302325581395"


def test_a_direct_rate_goes_before_one_through_the_euro() -> None:
    table = RateTable([rate("EUR", "USD", "1.15"), rate("EUR", "GBP", "0.86"), rate("GBP", "USD", "1.3")])
    assert usd(table, "GBP").text == "1.3"


@pytest.mark.parametrize(("on", "expected"), [("2026-10-30", "1.1"), ("2026-11-01", "1.1"), ("2026-11-02", "1.2")])
def test_the_last_rate_on_or_before_the_day_counts(on: str, expected: str) -> None:
    table = RateTable([rate("EUR", "USD", "1.2", "2026-11-02"), rate("EUR", "USD", "1.1", "2026-10-30")])
    found = usd(table, "EUR", on)
    assert (found.text, found.rate_on) == (expected, max(day for day in ("2026-10-30", "2026-11-02") if day <= on))


def test_a_cross_rate_is_as_old_as_its_older_leg() -> None:
    table = RateTable([rate("EUR", "USD", "1.2", "2026-10-30"), rate("EUR", "GBP", "0.8", "2026-10-28")])
    assert usd(table, "GBP").rate_on == "2026-10-28"


def test_a_rate_is_used_up_to_the_staleness_limit() -> None:
    table = RateTable([rate("EUR", "USD", "1.1")], staleness_limit=timedelta(days=3))
    assert usd(table, "EUR", "2026-11-02").text == "1.1"
    assert lacking(table, "EUR", "2026-11-03") == "no EUR/USD rate on 2026-11-03 or up to 3 days before"


def test_a_rate_after_the_day_is_never_used() -> None:
    assert "no EUR/USD rate" in lacking(RateTable([rate("EUR", "USD", "1.1", "2026-11-02")]), "EUR", "2026-11-01")


def test_what_is_lacking_is_named() -> None:
    table = RateTable([rate("EUR", "USD", "1.1")])
    assert "no EUR/GBP rate" in lacking(table, "GBP")
    assert "no EUR/GBP and no EUR/USD rate" in lacking(RateTable(), "GBP")


def test_what_was_loaded_later_was_not_known() -> None:
    later = LOADED + timedelta(hours=1)
    table = RateTable([rate("EUR", "USD", "1.1"), rate("EUR", "USD", "1.2", loaded_at=later)])
    assert "no EUR/USD" in lacking(table, "EUR", known_at=LOADED - timedelta(microseconds=1))
    assert usd(table, "EUR", known_at=LOADED).text == "1.1"
    assert usd(table, "EUR", known_at=later - timedelta(microseconds=1)).text == "1.1"
    assert usd(table, "EUR", known_at=later).text == "1.2"


def test_a_rate_that_is_added_later_is_seen_although_the_lack_was_remembered() -> None:
    table = RateTable()
    lacking(table, "EUR")
    table.add([rate("EUR", "USD", "1.1")])
    assert usd(table, "EUR").text == "1.1"


def test_adding_the_same_again_changes_nothing() -> None:
    rates = [rate("EUR", "USD", "1.1"), rate("EUR", "USD", "1.2", loaded_at=LOADED + timedelta(hours=1))]
    table = RateTable(rates)
    table.add(rates)
    assert usd(table, "EUR").text == "1.1"
    assert table.newest_loaded_at == LOADED + timedelta(hours=1)


@given(
    st.decimals("0.000001", "999999", places=6),
    st.decimals("0.000001", "999999", places=6),
)
def test_cross_rates_are_exact_to_eighteen_digits(dollars: Decimal, pounds: Decimal) -> None:
    table = RateTable([rate("EUR", "USD", str(dollars)), rate("EUR", "GBP", str(pounds))])
    found = usd(table, "GBP").rate
    assert abs(Fraction(found) - Fraction(dollars) / Fraction(pounds)) <= Fraction(1, 2 * 10**18)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4), st.integers(1, 99)), max_size=12), st.data())
def test_answers_do_not_depend_on_the_order_of_loading(rows: list[tuple[int, int, int]], data: st.DataObject) -> None:
    known = {(day, hour): cents for day, hour, cents in rows}
    rates = [
        rate("EUR", "USD", f"1.{cents:02}", f"2026-10-{day + 10}", LOADED + timedelta(hours=hour))
        for (day, hour), cents in known.items()
    ]
    table = RateTable(data.draw(st.permutations(rates)))
    day, hour = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 5))
    usable = [key for key in known if key[0] <= day <= key[0] + 7 and key[1] <= hour]
    found = table.to_usd("EUR", f"2026-10-{day + 10}", table.edition(format_instant(LOADED + timedelta(hours=hour))))
    if usable:
        assert isinstance(found, UsdRate)
        assert found.rate == Decimal(f"1.{known[max(usable)]:02}")
    else:
        assert isinstance(found, FieldError)
