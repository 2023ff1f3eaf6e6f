import json
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.currency import CurrencyRate, RateTable
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType
from de_platform.pipeline.lots import Content, Lot, Stamps
from de_platform.pipeline.messages import Record
from de_platform.pipeline.shapes import STAMPED_SHAPES, StampedEvent
from de_platform.pipeline.tests.sample_events import order, stamped, transaction
from de_platform.pipeline.valuation import rates_needed_at, value_members

LOADED = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
RATES = {"EUR": "1.1578", "GBP": "1.3", "JPY": "0.006256492637215529", "XAU": "4100.25"}


def table(loaded_at: datetime = LOADED) -> RateTable:
    return RateTable(
        CurrencyRate(
            from_currency=currency,
            to_currency="USD",
            rate=Decimal(rate),
            effective_on=date(2026, 11, 20),
            loaded_at=loaded_at,
        )
        for currency, rate in RATES.items()
    )


def decoded(event: dict[str, Any], **numbers: str) -> StampedEvent:
    """Decode a valid event; `numbers` are put in as JSON text."""
    record = stamped(event)
    event_type = EventType(record.headers["event_type"])
    fields = msgspec.json.decode(record.value, type=dict[str, msgspec.Raw])
    fields |= {name: msgspec.Raw(text.encode()) for name, text in numbers.items()}
    return msgspec.json.decode(msgspec.json.encode(fields), type=STAMPED_SHAPES[event_type])


def lot(*events: StampedEvent) -> Lot:
    event_type = EventType(events[0].event_type)
    records = [Record(row, event.tenant_id, b"", {}) for row, event in enumerate(events)]
    return Lot(event_type, records, Content.of(event_type, events), Stamps.of(events))


def members(event: StampedEvent, rates: RateTable | None = None) -> dict[str, Decimal]:
    (found,) = value_members(lot(event), rates or table())
    assert isinstance(found, str), found
    return json.loads("{" + found[1:] + "}", parse_float=Decimal, parse_int=Decimal)


def test_an_order_in_dollars_is_worth_its_notional() -> None:
    assert members(decoded(order(quantity=100, price=150.25))) == {
        "notional": Decimal("15025"),
        "notional_usd": Decimal("15025"),
        "usd_rate": Decimal(1),
        "usd_rate_on": "2026-11-20",
    }


def test_a_transaction_is_converted() -> None:
    assert members(decoded(transaction(currency="EUR"), amount="100.5")) == {
        "amount_usd": Decimal("116.3589"),
        "usd_rate": Decimal("1.1578"),
        "usd_rate_on": "2026-11-20",
    }


@pytest.mark.parametrize("change", [{"price": ...}, {"price": None}])
def test_a_market_order_without_a_price_has_no_notional_and_needs_no_rate(change: dict[str, Any]) -> None:
    unpriced = decoded(order(order_type="market", currency="CHF", **change))
    priced = decoded(order(id="o-2"))
    found = value_members(lot(unpriced, priced, unpriced), table())
    assert (found[0], found[2]) == ("", "")
    assert isinstance(found[1], str)
    assert '"notional"' in found[1]


def test_a_missing_rate_is_a_fault_of_that_event_alone() -> None:
    events = [decoded(order()), decoded(order(currency="CHF")), decoded(order(currency="EUR"))]
    found = value_members(lot(*events), table())
    assert [isinstance(one, FieldError) for one in found] == [False, True, False]


def test_dollars_are_rounded_half_to_even() -> None:
    assert members(decoded(transaction(), amount="0.000000005"))["amount_usd"] == 0
    assert members(decoded(transaction(), amount="0.000000015"))["amount_usd"] == Decimal("0.00000002")


def test_a_value_that_does_not_fit_its_column_is_a_fault() -> None:
    event = decoded(order(), quantity="9" * 18, price="9" * 18)
    (found,) = value_members(lot(event), table())
    assert found == FieldError("notional_usd", "has more than 30 digits before the decimal point")


def test_a_replayed_event_knows_the_rates_of_its_replay() -> None:
    late = table(loaded_at=datetime(2026, 11, 21, tzinfo=UTC))
    event = decoded(order(currency="EUR"))
    assert isinstance(value_members(lot(event), late)[0], FieldError)
    again = msgspec.structs.replace(event, replayed_at="2026-11-21T00:00:00.000000Z")
    assert members(again, late)["usd_rate"] == Decimal("1.1578")
    assert rates_needed_at(lot(event, again, decoded(order()))) == "2026-11-21T00:00:00.000000Z"


def test_dollars_alone_need_no_rates() -> None:
    assert rates_needed_at(lot(decoded(order()), decoded(order()))) == ""


NUMBERS = st.builds(
    lambda whole, fraction: f"{whole}.{fraction}" if fraction else str(whole),
    st.integers(0, 10**18 - 1) | st.integers(0, 2000),
    st.text("0123456789", max_size=18) | st.text("0123456789", max_size=3),
).filter(lambda text: text.strip("0.") != "")
CURRENCIES = st.sampled_from(["USD", "EUR", "GBP", "JPY", "XAU"])


@settings(max_examples=80)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, CURRENCIES), min_size=1, max_size=8))
def test_values_of_any_mixture_are_exact(rows: list[tuple[str, str, str]]) -> None:
    events = [decoded(order(currency=currency), quantity=q, price=p) for q, p, currency in rows]
    found = value_members(lot(*events), table())
    for (quantity, price, currency), one in zip(rows, found, strict=True):
        notional = EXACT.multiply(Decimal(quantity), Decimal(price))
        usd = EXACT.multiply(notional, Decimal(RATES.get(currency, "1"))).quantize(Decimal("1e-8"), context=EXACT)
        if usd >= Decimal(10) ** 30:
            assert isinstance(one, FieldError)
            continue
        assert isinstance(one, str)
        values = json.loads("{" + one[1:] + "}", parse_float=Decimal, parse_int=Decimal)
        assert (values["notional"], values["notional_usd"]) == (notional, usd)


def test_members_are_plain_notation() -> None:
    tiny = decoded(order(), quantity="0.000000000000000001", price="0.000000000000000001")
    (found,) = value_members(lot(tiny), table())
    assert isinstance(found, str)
    assert '"notional":0.000000000000000000000000000000000001,"notional_usd":0.0' in found
